"""The verdict on a round: every check by its name, and what was counted."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.acceptance.crash import checks
from tests.acceptance.crash import checks_trace as trace
from tests.acceptance.crash.case import Case, Check, address, read_case
from tests.acceptance.crash.postgres_rows import made
from wsaios.ledger.postgres.ledger import PostgresLedger
from wsaios.ledger.sqlite import SqliteLedger

CHECKS: Final[tuple[Check, ...]] = (
    *(checks.integrity, checks.drained, checks.lost, checks.twice, checks.invented, checks.keys, checks.torn),
    *(checks.outcomes, checks.history, checks.replays, checks.told),
    *(trace.executed, trace.fence, trace.phantom, trace.settled, trace.order, trace.overlap, trace.checkpoints),
)
NAMES: Final = ("process", *(check.__name__ for check in CHECKS))
"""What can be wrong with a round."""


@dataclass(frozen=True)
class Problem:
    """Something that must not be; `check` is one of `NAMES`."""

    check: str
    text: str

    def __str__(self) -> str:
        return f"{self.check}: {self.text}"


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a round, and figures of it."""

    problems: tuple[Problem, ...]
    figures: Counter[str] = field(default_factory=Counter)


def judge(folder: Path) -> Verdict:
    """Judge what a round left in its folder, with no process working in it."""
    path, url = folder / "work.db", address(folder)
    in_file = url.startswith("sqlite")
    if not (path.exists() if in_file else made(url)):
        return Verdict((Problem("lost", "there is no ledger"),))
    case = read_case(folder, (SqliteLedger(path) if in_file else PostgresLedger(url)).check())
    problems = tuple(Problem(check.__name__, text) for check in CHECKS for text in _found(check, case))
    return Verdict(problems, _figures(case))


def _found(check: Check, case: Case) -> list[str]:
    """What a check finds; where it cannot even judge, that is red too."""
    try:
        return list(check(case))
    except (KeyError, IndexError, TypeError) as error:
        return [f"cannot be judged: {error!r}"]


def _figures(case: Case) -> Counter[str]:
    record = case.record
    figures = Counter(ended.state.word for ended in case.rows.ended)
    figures["acknowledged"] = len(record.silent) + sum(
        len(set(asked.rows_acknowledged or asked.acknowledged)) for asked in record.asked.values()
    )
    figures["tasks"] = len(case.rows.ended)
    figures["executions"] = sum(len(step.tasks) for step in record.steps if step.what == "start")
    figures["stale"] = record.stale
    figures["silent"] = len(record.silent)
    figures["promised"] = len(record.promised)
    figures["taken back"] = sum(batch.state == 2 for batch in case.rows.batches)
    figures["repeated"] = sum(len(asked.acknowledged) > 1 for asked in record.asked.values())
    figures["replayed"] = sum(bool(case.noted("replayed", ended)) for ended in case.rows.ended)
    figures["died with its owner"] = sum(
        "its owner died while it ran" in (entry[3] or "") for ended in case.rows.ended for entry in ended.history
    )
    return figures
