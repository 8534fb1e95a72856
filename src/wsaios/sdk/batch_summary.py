"""How a run of a batch ended."""

from typing import Final

import msgspec

from wsaios.kernel.ids import encode
from wsaios.kernel.states import State
from wsaios.kernel.task import Batch
from wsaios.sdk.batch_plan import Plan

_ENDS: Final = (State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED, State.LOST)


class Summary(msgspec.Struct, frozen=True):
    """How a run ended. `ran` rows ended in it, the others before; `errors` is None when no row failed."""

    id: str | None
    finished: bool
    rows: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    lost: int
    ran: int
    seconds: float
    out: str
    errors: str | None
    ledger: str

    @property
    def ended(self) -> int:
        """Rows that are over, in this run or before."""
        return self.succeeded + self.unsuccessful

    @property
    def rate(self) -> float:
        """Rows a second in this run."""
        return self.ran / self.seconds if self.seconds > 0 else 0.0

    @property
    def unsuccessful(self) -> int:
        """Rows that ended without a result."""
        return self.failed + self.cancelled + self.expired + self.lost


def summary_of(plan: Plan, batch: Batch | None, before: int, *, whole: bool, seconds: float, ledger: str) -> Summary:
    """What came of a plan. `before` rows had ended when the run began, `whole`: it was not stopped."""
    ended = {} if batch is None else batch.ended
    done, succeeded = sum(ended.values()), ended.get(State.SUCCEEDED, 0)
    finished = whole and batch is not None and done >= batch.rows
    return Summary(
        id=None if batch is None else encode(batch.id, "batch"),
        finished=finished,
        rows=plan.checked.rows,
        ran=done - before,
        seconds=seconds,
        out=str(plan.paths.results),
        errors=str(plan.paths.errors) if finished and done > succeeded else None,
        ledger=ledger,
        **{state.word: ended.get(state, 0) for state in _ENDS},
    )
