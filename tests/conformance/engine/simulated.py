"""The simulated engine, behaving like the handlers of the suite; with faults of the pipe in a variant."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from tests.conformance.engine.rig import LANES, MAX_RESULT_BYTES, NOW_US, Rig
from wsaios.kernel.engine import Attempt, Verdict, Work
from wsaios.kernel.task import Failure
from wsaios.simulation.clock import SimClock
from wsaios.simulation.engine import SimEngine
from wsaios.simulation.faults import FaultPlan
from wsaios.simulation.port import SimPort
from wsaios.simulation.script import Answer

PIPE_FAULTS = FaultPlan(lose_submit=0.3, lose_report=0.3, duplicate=0.4, delay=0.4, reorder=0.8)
BAD_ROW = Failure("ValueError", "a bad row", "traceback")


class SimulatedRig(Rig):
    """No handler runs here: a script says what would come of it."""

    def __init__(self, plan: FaultPlan | None = None, seed: int = 0) -> None:
        super().__init__()
        self.exact = plan is None
        names = [f"{name}@{lane}" for name in _ANSWERS for lane in LANES]
        sim = SimEngine(random.Random(seed), plan, script=self._script, lanes=LANES, handlers=names)
        self.engine = self._port = SimPort(sim, SimClock(NOW_US))

    def release(self) -> None:
        self._port.release()

    def calm(self) -> None:
        self._port.calm()

    def _script(self, work: Work, attempt: Attempt) -> Answer:
        value = msgspec.json.decode(attempt.payload)["value"]
        self.signal(value)
        name = work.handler.partition("@")[0]
        answer = _ANSWERS[name]
        if answer.verdict != Verdict.SUCCEEDED:
            return answer
        if name in ("rows_raise", "rows_mixed") and value == "bad":
            return Answer(1, Verdict.FAILED, failure=BAD_ROW)
        if name == "large" and value + 2 > MAX_RESULT_BYTES:
            return _failed("ResultTooLarge", f"result has {value + 2} bytes, the limit is {MAX_RESULT_BYTES}")
        if name in ("rows_short", "rows_no_list"):
            rows = len(work.attempts)
            gave = f"{rows - 1} results" if name == "rows_short" else "dict instead of a list"
            return _failed("WrongResults", f"it was given {rows} rows and returned {gave}")
        result = "x" * value if name == "large" else value
        return msgspec.structs.replace(answer, result=msgspec.json.encode(result))


def _failed(kind: str, message: str) -> Answer:
    return Answer(1, Verdict.FAILED, failure=Failure(kind, message, "traceback" if kind == "ValueError" else ""))


_HELD: dict[str, Any] = {"takes_us": None}
_RETRY = Answer(1, Verdict.RETRY_AFTER, retry_after_s=2.5, failure=Failure("RetryAfter", "busy"))
_GIVE_UP = Answer(1, Verdict.GIVEN_UP, failure=Failure("GiveUp", "no use"))
_ANSWERS = {
    "echo": Answer(fraction=0.5),
    "hold": Answer(**_HELD),
    "stubborn": Answer(**_HELD, stubborn=True),
    "steps": Answer(**_HELD),
    "raise": _failed("ValueError", "boom"),
    "exit": _failed("SystemExit", "3"),
    "retry": _RETRY,
    "retry_returned": _RETRY,
    "give_up": _GIVE_UP,
    "give_up_returned": _GIVE_UP,
    "nan": _failed("ResultNotJson", "result['scores'][2] is nan"),
    "object": _failed("ResultNotJson", "result['thing'][0] is of type object"),
    "large": Answer(),
    "rows": Answer(),
    "rows_hold": Answer(**_HELD),
    "rows_raise": Answer(),
    "rows_short": Answer(),
    "rows_no_list": Answer(),
    "rows_retry": Answer(1, Verdict.RETRY_AFTER, retry_after_s=1.0, failure=Failure("RetryAfter", "busy")),
    "rows_mixed": Answer(),
}
