"""A definition of a workflow from its text to its order: parse, check, order, hash."""

import time
from typing import Any

import msgspec
import yaml

from benchmarks.figures import Values
from benchmarks.machine import own_s
from benchmarks.processes import Given
from wsaios.expressions import Cel
from wsaios.planning.workflow.check import check_text
from wsaios.planning.workflow.plan import plan_of

_SPREAD = 50
_PARTS = 4


def measure(given: Given) -> Values:
    """`steps` steps, each with up to two parents among the 50 before it whose result it reads, a tenth conditional.

    `growth` is the time of all by the time of a quarter of them, divided by four: 1 is linear. Libraries are loaded
    before.
    """
    form, n = given.word("form"), given.number("steps")
    _time(_text(100, form), form)
    quarter_s, _ = _time(_text(n // _PARTS, form), form)
    text = _text(n, form)
    used_s = own_s()
    check_s, content = _time(text, form)
    used_s = own_s() - used_s
    begun = time.perf_counter()
    plan_of(content)
    load_s = time.perf_counter() - begun
    return {"s": [check_s], "growth": [check_s / quarter_s / _PARTS], "load_s": [load_s], "cpu_s": [used_s]}


def _time(text: bytes, form: str) -> tuple[float, bytes]:
    begun = time.perf_counter()
    plan = check_text(text, source="flow", form="json" if form == "json" else "yaml", language=Cel())
    wall_s = time.perf_counter() - begun
    if len(plan.order) != len(plan.steps):
        raise AssertionError(f"{len(plan.order)} of {len(plan.steps)} steps are ordered")
    return wall_s, plan.content


def _text(n: int, form: str) -> bytes:
    value = {
        "name": "large",
        "input": {"folder": {"type": "string", "default": "docs"}},
        "steps": [_step(number) for number in range(n)],
    }
    return msgspec.json.encode(value) if form == "json" else yaml.dump(value, Dumper=yaml.CSafeDumper).encode()


def _step(number: int) -> dict[str, Any]:
    args: dict[str, Any] = {"number": number, "label": f"row {number}"}
    step: dict[str, Any] = {"id": f"s{number}", "handler": "module:function", "args": args}
    if number:
        before = sorted({max(0, number - 1 - (number * prime) % _SPREAD) for prime in (7_919, 104_729)})
        step["depends_on"] = [f"s{each}" for each in before]
        args["before"] = f"${{steps.s{before[0]}.result.count}}"
        if number % 10 == 0:
            step["when"] = f"steps.s{before[0]}.result.count > {number % 7}"
    return step
