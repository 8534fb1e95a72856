"""Each check turns red when what it guards against is forged into what a good round left."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from tests.acceptance.crash.lines import Line, read
from tests.acceptance.crash.plan import Plan
from tests.acceptance.crash.rounds import Round, run_rounds
from tests.acceptance.crash.verdict import CHECKS, judge
from wsaios.kernel.ids import decode

Forgery = Callable[["Remains"], None]

pytestmark = pytest.mark.timeout(120)


class Remains:
    """What a round left, to be forged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def sql(self, statement: str, *values: object) -> None:
        """Change the ledger behind its own back; the trigger that would refuse is there again afterwards."""
        connection = apsw.Connection(str(self.folder / "work.db"))
        trigger = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'outcome_is_final'").get
        connection.execute("DROP TRIGGER outcome_is_final")
        connection.execute(statement, values)
        assert connection.changes() > 0
        connection.execute(trigger)
        connection.close()

    def in_body(self, handler: str, path: str, value: object) -> None:
        """Change the record of a task of this handler that was acknowledged."""
        self.sql("UPDATE outcome SET body = jsonb_replace(body, ?, ?) WHERE id = ?", path, value, self.number(handler))

    def lines(self, name: str, change: Callable[[list[Line]], list[Line]]) -> None:
        """Change journal or trace."""
        changed = change(read(self.folder / name))
        (self.folder / name).write_text("".join(json.dumps(line) + "\n" for line in changed), "utf-8")

    def acknowledged(self, handler: str) -> str:
        """The id of a task of this handler that was acknowledged."""
        journal = read(self.folder / "journal")
        calls = {line["call"] for line in journal if line["what"] == "asked" and line["handler"] == handler}
        return next(str(line["id"]) for line in journal if line["what"] == "acknowledged" and line["call"] in calls)

    def number(self, handler: str) -> int:
        return decode(self.acknowledged(handler))

    def twice(self, handler: str, what: str, **changes: object) -> None:
        """Have the trace say at its end what it said of a task before."""
        task = self.acknowledged(handler)

        def again(lines: list[Line]) -> list[Line]:
            line = next(line for line in lines if task in line["tasks"] and line["what"] == what)
            return [*lines, {**line, **changes}]

        self.lines("trace", again)


def hide(remains: Remains) -> None:
    task = remains.acknowledged("double")
    remains.lines("trace", lambda lines: [line for line in lines if task not in line["tasks"]])


def forget_row_of_batch(remains: Remains) -> None:
    rows = "SELECT max(o.id) FROM outcome o JOIN shard s ON s.id = o.shard WHERE s.batch <> 0"
    remains.sql(f"DELETE FROM outcome WHERE id = ({rows})")


def loosen(remains: Remains) -> None:
    connection = apsw.Connection(str(remains.folder / "work.db"))
    connection.execute("DROP TRIGGER outcome_is_final")
    connection.close()


def swap(remains: Remains) -> None:
    """A child starts before everything else."""
    task = remains.acknowledged("follow")
    remains.lines("trace", lambda lines: sorted(lines, key=lambda line: task not in line["tasks"]))


def come_later(remains: Remains) -> None:
    life = {"what": "life", "life": 1, "pid": 1, "at_us": time.time_ns() // 1000}
    remains.lines("journal", lambda lines: [*lines, life])
    remains.twice("flaky", "start", pid=1)


def crowd(remains: Remains) -> None:
    """Executions under one key start together and end together."""
    journal = read(remains.folder / "journal")
    calls = {line["call"] for line in journal if line["what"] == "asked" and line["handler"] == "crowded"}
    ids = {line["id"] for line in journal if line["what"] == "acknowledged" and line["call"] in calls}
    late = ("end", True)
    remains.lines(
        "trace", lambda lines: sorted(lines, key=lambda line: (line["what"], line["tasks"][0] in ids) == late)
    )


def say_otherwise(remains: Remains) -> None:
    def lie(lines: list[Line]) -> list[Line]:
        return [line | {"result": {"value": -1}} if line["what"] == "told" else line for line in lines]

    remains.lines("journal", lie)


def say_it_died_silently(remains: Remains) -> None:
    asked = {"what": "asked", "call": "L9.9", "handler": "double", "key": None, "dies": True, "life": 9}
    remains.lines("journal", lambda lines: [*lines, asked, {"what": "died behind a submit", "life": 9}])


def say_an_event_was_acknowledged(remains: Remains) -> None:
    asked = {"what": "asked", "call": "L9.8", "handler": "double", "key": None, "dies": False, "life": 9}
    remains.lines("journal", lambda lines: [*lines, asked, {"what": "promised", "call": "L9.8", "life": 9}])


def unreplay(remains: Remains) -> None:
    remains.in_body("mended", "$[14][3][3]", "ready")


LAST_UPPER = """
    SELECT payload.data FROM payload JOIN outcome ON outcome.id = payload.id JOIN shard ON shard.id = outcome.shard
    WHERE shard.handler = 'upper' ORDER BY payload.id DESC LIMIT 1
"""
FORGERIES: dict[str, tuple[str, Forgery]] = {
    "an outcome that is gone": ("lost", lambda r: r.sql("DELETE FROM outcome WHERE id = ?", r.number("upper"))),
    "a submit that returned before a death": ("lost", say_it_died_silently),
    "an event that was acknowledged": ("lost", say_an_event_was_acknowledged),
    "a task that still waits": (
        "drained",
        lambda r: r.sql("INSERT INTO live SELECT id, shard, 2, fence, key, NULL, NULL, body FROM outcome LIMIT 1"),
    ),
    "a second execution of what may run once": ("twice", lambda r: r.twice("once", "start", run="9.9")),
    "a second execution beside a living owner": ("twice", lambda r: r.twice("upper", "start", run="9.9")),
    "a call that became two tasks": (
        "twice",
        lambda r: r.sql(f"UPDATE payload SET data = ({LAST_UPPER}) WHERE id = ?", r.number("upper")),
    ),
    "a task that nobody asked for": (
        "invented",
        lambda r: r.sql("UPDATE payload SET data = ? WHERE id = ?", b'{"call":"x","text":"x"}', r.number("upper")),
    ),
    "a key that stands for another task": ("keys", lambda r: r.sql("UPDATE idempotency SET task = task + 1")),
    "a batch that lacks a row": ("torn", forget_row_of_batch),
    "a wrong result": (
        "outcomes",
        lambda r: r.sql("UPDATE outcome SET result = ? WHERE id = ?", b'{"value":77,"run":""}', r.number("steps")),
    ),
    "a wrong end": ("outcomes", lambda r: r.sql("UPDATE outcome SET state = 8 WHERE id = ?", r.number("upper"))),
    "a history with a gap": ("history", lambda r: r.in_body("upper", "$[14][0][0]", 5)),
    "a fence that fell": ("history", lambda r: r.in_body("upper", "$[14][0][2]", 99)),
    "a replay without a trace in the history": ("replays", unreplay),
    "a result that changed": ("told", say_otherwise),
    "a result without an execution": ("executed", hide),
    "the result of an execution that was not the last": ("fence", lambda r: r.twice("double", "start", run="9.9")),
    "an execution of what is not in the ledger": (
        "phantom",
        lambda r: r.twice("double", "start", tasks=["task_0000000000001"]),
    ),
    "an execution by an owner that came later": ("settled", come_later),
    "a child before its parent": ("order", swap),
    "two under one key at once": ("overlap", crowd),
    "a checkpoint that nobody saved": ("checkpoints", lambda r: r.twice("steps", "start", saved=99)),
    "a schema that lets outcomes change": ("integrity", loosen),
    "a shard that counts wrongly": ("integrity", lambda r: r.sql("UPDATE shard SET tasks = tasks + 1")),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Round]:
    (done,) = run_rounds([Plan("good.0", ())], tmp_path_factory.mktemp("good"), jobs=1)
    yield done
    shutil.rmtree(done.folder)


def test_a_good_round_is_green(good: Round) -> None:
    assert good.problems == []


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_seen(good: Round, tmp_path: Path, name: str) -> None:
    check, forge = FORGERIES[name]
    folder = tmp_path / "round"
    shutil.copytree(good.folder, folder)

    forge(Remains(folder))

    assert check in {problem.check for problem in judge(folder).problems}


def test_every_check_has_a_forgery() -> None:
    assert {check.__name__ for check in CHECKS} == {check for check, _ in FORGERIES.values()}
