"""The checks on the ledger: nothing lost, nothing twice, every result the right one."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from tests.acceptance.crash import laws
from tests.acceptance.crash.case import Case
from wsaios.kernel.states import ALLOWED, State


def integrity(case: Case) -> Iterator[str]:
    """The file is sound, refuses a second or changed outcome, and contradicts itself nowhere."""
    yield from case.rows.damage
    yield from case.contradictions


def drained(case: Case) -> Iterator[str]:
    """Nothing is left to do."""
    for table, count in case.rows.left.items():
        if count:
            yield f"{count} rows are left in {table}"


def lost(case: Case) -> Iterator[str]:
    """What was acknowledged has ended, each task under the id that was given for it."""
    for asked in case.record.asked.values():
        there = [ended.id for ended in case.by_call.get(asked.call, [])]
        if asked.call in case.record.silent and not there:
            yield f"{asked.call} ({asked.handler}): its submit returned, and it is not in the ledger"
        if asked.call in case.record.promised and not there:
            yield f"{asked.call} ({asked.handler}): its event or its time was acknowledged, and it is not in the ledger"
        given = set(asked.acknowledged if asked.rows is None else asked.rows_acknowledged)
        for number in sorted(given - set(there)):
            yield f"{asked.call} ({asked.handler}): {number} was acknowledged and has no outcome"


def twice(case: Case) -> Iterator[str]:
    """A call is one task, a row of a batch is one task, and nothing runs again without a reason."""
    # A step that failed is tried again by another task; that succeeds once.
    again = [ended for ended in case.rows.ended if ended.handler == "amend" and ended.state == State.FAILED]
    seen = Counter((ended.call, ended.row) for ended in case.rows.ended if ended not in again)
    for (call, row), count in seen.items():
        if count > 1:
            yield f"{call}{'' if row is None else f' row {row}'} is {count} tasks"
    for ended in case.rows.ended:
        lives = Counter(case.record.steps[place].life for place in case.record.starts(ended.id))
        name = f"{ended.call} ({ended.handler})"
        if ended.handler in laws.AT_MOST_ONCE and lives.total() > 1:
            yield f"{name} may run at most once and ran {lives.total()} times"
        if ended.handler in laws.ONCE_IN_A_LIFE and max(lives.values(), default=0) > 1:
            yield f"{name} ran {max(lives.values())} times although its owner lived on"


def invented(case: Case) -> Iterator[str]:
    """Every task in the ledger was asked for."""
    for ended in case.rows.ended:
        if ended.call not in case.record.asked:
            yield f"{ended.id} belongs to {ended.call!r}, which nobody asked for"


def keys(case: Case) -> Iterator[str]:
    """Every answer under one idempotency key names the same task."""
    for asked in case.record.asked.values():
        if asked.key is not None and asked.acknowledged:
            recorded = case.rows.keys.get(asked.key)
            if {*asked.acknowledged} != {recorded}:
                yield f"{asked.key}: answered with {sorted(set(asked.acknowledged))}, recorded for {recorded}"


def torn(case: Case) -> Iterator[str]:
    """A batch is whole or has left nothing; one that was acknowledged is whole, one that was refused is gone."""
    whole = {batch.id: batch.rows for batch in case.rows.batches if batch.state == 1}
    for asked in case.record.asked.values():
        if asked.rows is None:
            continue
        rows = sorted(ended.row or 0 for ended in case.by_call.get(asked.call, []))
        surely = asked.acknowledged or asked.call in case.record.silent
        if rows and rows != list(range(asked.rows)):
            yield f"{asked.call}: {len(rows)} of {asked.rows} rows are there"
        elif rows and asked.call in case.record.refused:
            yield f"{asked.call}: it was refused and its rows are there"
        elif surely and not rows:
            yield f"{asked.call}: it was acknowledged and has no rows"
        for batch in asked.acknowledged:
            if whole.get(batch) != asked.rows:
                yield f"{asked.call}: {batch} counts {whole.get(batch)} rows instead of {asked.rows}"


def outcomes(case: Case) -> Iterator[str]:
    """Every task ended as it must, with the right result."""
    for ended in case.rows.ended:
        name = f"{ended.call} ({ended.handler})"
        allowed = laws.states(case, ended)
        if ended.state not in allowed:
            words = " or ".join(sorted(state.word for state in allowed))
            yield f"{name} is {ended.state.word}, not {words}: {ended.failure}"
        elif ended.state != State.SUCCEEDED:
            if ended.result is not None:
                yield f"{name} is {ended.state.word} and has a result"
        elif ended.result["value"] != laws.VALUES[ended.handler](ended.arguments):
            yield f"{name} has the result {ended.result}"
        used = laws.attempts(ended)
        if used is not None and ended.state in {State.SUCCEEDED, State.FAILED} and ended.attempts != used:
            yield f"{name} used {ended.attempts} attempts instead of {used}"


def history(case: Case) -> Iterator[str]:
    """Histories go from one allowed state to the next, under fences and at times that never fall, to the outcome."""
    for ended in case.rows.ended:
        states = [State.NEW, *(entry[0] for entry in ended.history)]
        for before, after in pairwise(states):
            if (before, after) not in ALLOWED:
                yield f"{ended.call} ({ended.handler}) went from {before.word} to {after.word}"
        for (_, at_us, fence_before, _), (_, next_us, fence_after, _) in pairwise(ended.history):
            if next_us < at_us or fence_after < fence_before:
                yield f"{ended.call} ({ended.handler}): time or fence fell in its history"
        if ended.history[-1][0] != ended.state or ended.history[-1][2] != ended.fence:
            yield f"{ended.call} ({ended.handler}) is {ended.state.word}, and its history ends as {ended.history[-1]}"


def replays(case: Case) -> Iterator[str]:
    """What a replayed task failed with stands in its history."""
    for ended in case.rows.ended:
        reasons = [entry[3] or "" for entry in ended.history]
        if case.noted("replayed", ended) and not any("replayed after failed" in reason for reason in reasons):
            yield f"{ended.call} was replayed and its history does not say so"


def told(case: Case) -> Iterator[str]:
    """A result that a caller was given stays."""
    for task, result in case.record.told.items():
        ended = case.by_id.get(task)
        if ended is None or ended.result["value"] != result["value"]:
            yield f"{task}: a caller was given {result}, the ledger has {ended.result if ended else None}"
