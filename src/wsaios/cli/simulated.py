"""How simulations are run for the command line, and shown."""

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from wsaios.cli.errors import told
from wsaios.cli.output import print_json, print_lines, table
from wsaios.cli.progress import Progress, progress_for
from wsaios.cli.simulation_options import Request
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.policy import Ordering
from wsaios.planning.ordering import ordering_of
from wsaios.simulation.figures import Result, result
from wsaios.simulation.page import page
from wsaios.simulation.replay import Replay, Run, Setting
from wsaios.simulation.trace import Reading, Trace, adjusted

_COEFFICIENTS: Final = 3
_MOST: Final = 1e9
_HEADER: Final = (
    *("policy", "class", "count", "wait-mean", "p50", "p95", "p99", "longest"),
    *("completion-mean", "p50", "p95", "p99", "slowdown", "deadlines", "slo"),
)


def simulate(request: Request) -> None:
    """Read, replay under each policy, and tell."""
    with told(as_json=request.as_json):
        orderings = _orderings(request)
        reading = _reading(request)
        trace = adjusted(_trace(request, reading), reading)
        progress = progress_for(quiet=request.as_json)
        try:
            # A million requests stay as they are: to look through them for garbage again and again is in vain.
            gc.freeze()
            progress.phase("run", len(trace.jobs) * len(orderings))
            runs = list(_runs(request, trace, orderings, progress))
        finally:
            gc.unfreeze()
            progress.close()
        results = [
            result(name, trace, run, request.slots, request.slo_ms) for name, run in zip(orderings, runs, strict=True)
        ]
        if request.out is not None:
            _write(request.out, page(trace, request.slots, results, runs))
        if request.as_json:
            shown = {"trace": trace.name, "form": trace.form, "slots": request.slots, "seed": request.seed}
            print_json({**shown, "policies": msgspec.to_builtins(results)})
        else:
            print_lines(_lines(trace, request, results))


def _runs(request: Request, trace: Trace, orderings: dict[str, Ordering], progress: Progress) -> Iterator[Run]:
    setting = Setting(request.slots, request.seed, request.preempt)
    for number, ordering in enumerate(orderings.values()):
        before = number * len(trace.jobs)

        def advance(done: int, before: int = before) -> None:
            progress.advance(before + done)

        yield Replay(trace, ordering, setting).run(advance)


def _trace(request: Request, reading: Reading) -> Trace:
    if request.trace is not None and request.from_ledger is None:
        from wsaios.simulation.trace_files import read_trace

        return read_trace(request.trace, reading)
    if request.from_ledger is not None and request.trace is None:
        from wsaios.sdk.upkeep import reading_of
        from wsaios.simulation.trace_ledger import ledger_trace

        with reading_of(request.from_ledger) as reads:
            return ledger_trace(reads, request.from_ledger)
    raise InvalidInput("TRACE", "name a file, or a ledger with --from-ledger, and not both")


def _orderings(request: Request) -> dict[str, Ordering]:
    names = [name.strip() for name in request.policy.split(",") if name.strip()]
    if not names:
        raise InvalidInput("--policy", "name at least one policy, such as fcfs,priority")
    return {name: ordering_of(Ordering(), name, fair_share=request.fair_share) for name in names}


def _reading(request: Request) -> Reading:
    parts = request.model.split(",")
    if len(parts) != _COEFFICIENTS:
        raise InvalidInput("--model-ms", f"must be three numbers as in 10,0.15,30, not {request.model!r:.80}")
    base, context, generated = (1000 * _number("--model-ms", part) for part in parts)
    if request.by not in {"context", "service"}:
        raise InvalidInput("--class-by", f"must be context or service, not {request.by!r:.80}")
    return Reading(
        base,
        context,
        generated,
        request.by,
        _pairs("--priority", request.priority, lambda text: int(_number("--priority", text, -100.0, 100.0))),
        _pairs("--deadline", request.deadline, lambda text: _number("--deadline", text)),
        request.speed,
    )


def _number(option: str, text: str, low: float = 0.0, high: float = _MOST) -> float:
    try:
        value = float(text)
    except ValueError:
        value = high + 1
    if not low <= value <= high:
        raise InvalidInput(option, f"must be a number from {low:g} to {high:g}, not {text!r:.80}")
    return value


def _pairs(option: str, given: Iterable[str] | None, value: Callable[[str], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in given or ():
        name, equals, text = pair.rpartition("=")
        if not equals or not name:
            raise InvalidInput(option, f"must be CLASS=NUMBER, as in short=20, not {pair!r:.80}")
        if name in found:
            raise InvalidInput(option, f"names {name!r:.80} twice; give each class once")
        found[name] = value(text)
    return found


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput("--out", f"{path} cannot be written: {error.strerror}; name another file") from error


def _lines(trace: Trace, request: Request, results: Sequence[Result]) -> Iterator[str]:
    yield f"{len(trace.jobs):,} requests on {request.slots:,} slots; times in seconds"
    yield ""
    yield from table(_HEADER, _rows(results))
    yield ""
    header = ("policy", "makespan", "bound", "utilisation", "preemptions", "fairness")
    yield from table(
        header,
        [
            (
                each.policy,
                f"{each.makespan_s:,.3f}",
                f"{each.bound_s:,.3f}",
                f"{each.utilisation:.1%}",
                each.preemptions,
                f"{each.fairness:.3f}",
            )
            for each in results
        ],
    )


def _rows(results: Sequence[Result]) -> Iterator[tuple[object, ...]]:
    for each in results:
        for row in each.classes:
            wait, done = row.wait_s, row.completion_s
            times = (wait.mean, wait.p50, wait.p95, wait.p99, wait.longest, done.mean, done.p50, done.p95, done.p99)
            yield (
                each.policy,
                row.grade,
                row.count,
                *(f"{number:,.3f}" for number in times),
                f"{row.slowdown.mean:,.2f}",
                f"{row.deadlines_met:,} of {row.deadlines:,}" if row.deadlines else "-",
                "-" if row.within_slo is None else f"{row.within_slo / row.count:.1%}",
            )
