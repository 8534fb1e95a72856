"""A ledger that is copied to another one is the same ledger, whatever kills the copy meanwhile."""

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Final

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.architecture.modules import ROOT
from tests.conformance.ledger.desk import shard, task
from tests.integration.copying.content import FIRST, TABLES, desk_at, fill, raw
from tests.integration.copying.victim import AT_THE_END, ONCE, REPEATED, Deaf
from tests.servers.postgres import PostgresServer
from wsaios import Client, Scheduler
from wsaios.cli import app
from wsaios.kernel.errors import InvalidInput, LedgerBroken, LedgerOwned, LedgerUnavailable, NotPossible
from wsaios.ledger.copying import Copied
from wsaios.ledger.postgres.address import is_postgres
from wsaios.ledger.postgres.ledger import PostgresLedger
from wsaios.ledger.sqlite import SqliteLedger
from wsaios.sdk.copying import copy as copied
from wsaios.sdk.health import contradictions
from wsaios.sdk.names import number_of

Fresh = Callable[[str], str]


def copy(source: str, target: str) -> Copied:
    """Copy without telling anybody how it goes."""
    return copied(source, target, Deaf())


@pytest.fixture
def fresh(postgres: PostgresServer, tmp_path: Path) -> Fresh:
    """Where a new ledger of a kind will be."""
    numbers = count()
    return lambda kind: postgres.fresh() if kind == "postgres" else str(tmp_path / f"{next(numbers)}.db")


@pytest.fixture(params=["sqlite to postgres", "postgres to sqlite", "sqlite to sqlite", "postgres to postgres"])
def ends(request: pytest.FixtureRequest, fresh: Fresh) -> tuple[str, str]:
    """Two new ledgers; the first one is full."""
    one, _, other = str(request.param).split()
    source, target = fresh(one), fresh(other)
    fill(source, random.Random(1))
    return source, target


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 30))
def test_there_and_back_every_value_is_the_same(fresh: Fresh, seed: int) -> None:
    first, there, back = fresh("sqlite"), fresh("postgres"), fresh("sqlite")
    fill(first, random.Random(seed))
    before = raw(Path(first))
    assert {name for name in TABLES if before[name]} == {*TABLES}
    gone = copy(first, there)
    come = copy(there, back)
    assert raw(Path(back)) == before == raw(Path(first))
    assert gone == come
    assert gone.tables == {name: len(rows) for name, rows in before.items()}
    assert contradictions(first) == contradictions(there) == contradictions(back) == []


def test_pages_end_by_rows_and_by_size(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    for side in ("sqlite", "postgres"):
        monkeypatch.setattr(f"wsaios.ledger.{side}.side.PAGE_BYTES", 2000)
    first, there, back = fresh("sqlite"), fresh("postgres"), fresh("sqlite")
    fill(first, random.Random(5), 500)
    copy(first, there)
    copy(there, back)
    assert raw(Path(back)) == raw(Path(first))


def test_the_next_owner_goes_on_counting_and_makes_no_id_twice(ends: tuple[str, str]) -> None:
    source, target = ends
    old = desk_at(source)
    old.ledger.close()
    copy(source, target)
    new = desk_at(target)
    assert new.epoch > old.epoch
    assert new.opening.id_high == old.opening.id_high >= FIRST
    assert new.opening.clock_us >= old.opening.clock_us
    assert [row.id for row in new.opening.running] == [row.id for row in old.opening.running]
    assert (new.opening.facts, new.opening.shards) == (old.opening.facts, old.opening.shards)
    new.ledger.close()


@pytest.mark.parametrize("direction", ["sqlite to postgres", "postgres to sqlite"])
def test_killed_at_every_place_it_goes_on_where_it_was(fresh: Fresh, direction: str) -> None:
    one, _, other = direction.split()
    source, target, again = fresh(one), fresh(other), fresh("sqlite")
    fill(source, random.Random(2), 120)
    for place in (*ONCE, *REPEATED, "copy.marked", *REPEATED, *AT_THE_END):
        command = [sys.executable, "-m", "tests.integration.copying.victim", source, target, place]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert (place, done.returncode, done.stderr) == (place, -signal.SIGKILL, "")
        if place not in ("copy.owned", "copy.entered", "copy.finished"):
            with pytest.raises(LedgerUnavailable, match="unfinished copy of"):
                desk_at(target)
    done_at_last = copy(source, target)
    assert done_at_last.earlier == done_at_last.rows
    fill(fresh_first := fresh("sqlite"), random.Random(2), 120)
    copy(target, again)
    assert raw(Path(again)) == raw(Path(fresh_first))


def test_what_an_earlier_run_brought_over_is_not_brought_again(
    ends: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = ends
    in_small_pages_until_the_test_ends(monkeypatch)
    _interrupted(source, target, "copy.added", 4)
    done = copy(source, target)
    # One batch, three shards, and two pages of live tasks.
    assert done.earlier == 1 + 3 + 7 + 7
    assert done.rows == sum(done.tables.values()) > 18
    assert contradictions(target) == []


def test_half_a_copy_lets_nobody_in_and_is_no_original(ends: tuple[str, str], fresh: Fresh) -> None:
    source, target = ends
    _interrupted(source, target, "copy.added", 2)
    with pytest.raises(LedgerUnavailable, match=r"unfinished copy of .*; finish it first: wsaios ledger copy "):
        desk_at(target)
    with Client(target) as client, pytest.raises(LedgerUnavailable, match="unfinished copy"):
        client.submit("any", {})
    with pytest.raises(LedgerUnavailable, match="unfinished copy"):
        copy(target, fresh("sqlite"))
    copy(source, target)
    desk_at(target).ledger.close()


LOOKING: Final = (
    ("task", "list"),
    ("task", "show", "task_1000000000000"),
    ("batch", "list"),
    ("ledger", "check"),
    ("ledger", "prune"),
    ("policy",),
    ("policy", "fcfs"),
    ("simulate", "--policy", "fcfs", "--slots", "1", "--from-ledger"),
)


def test_every_command_says_that_half_a_copy_is_to_be_finished_first(ends: tuple[str, str], tmp_path: Path) -> None:
    source, target = ends
    _interrupted(source, target, "copy.added", 4)
    backup = str(tmp_path / "backup.db")
    asked = [*LOOKING, *([("ledger", "backup", backup)] if target.endswith(".db") else [])]
    for words in asked:
        there = [target] if words[0] == "simulate" else ["--ledger", target]
        done = CliRunner().invoke(app, [*words, *there])
        said = f"it is an unfinished copy of {source}; finish it first: wsaios ledger copy {source} {target}"
        assert (words, done.exit_code, done.stdout) == (words, 2, "")
        assert said in done.stderr, words
    assert not Path(backup).exists()
    looked = CliRunner().invoke(app, ["doctor", "--json", "--ledger", target])
    found = json.loads(looked.stdout)
    assert (looked.exit_code, found["live"], found["ended"]) == (1, {}, {})
    assert f"finish it first: wsaios ledger copy {source} {target}" in [each["remedy"] for each in found["wrong"]]
    copy(source, target)
    assert contradictions(target) == []


def test_an_original_that_was_worked_on_meanwhile_is_told_apart(ends: tuple[str, str], fresh: Fresh) -> None:
    source, target = ends
    _interrupted(source, target, "copy.added", 2)
    other = fresh("sqlite")
    copy(source, other)  # nobody's work: it changes nothing
    _interrupted(source, target, "copy.added", 2)
    desk = desk_at(source)
    desk.ledger.close()
    with pytest.raises(NotPossible, match=r"was worked on since that copy began; .*, and copy again from the start"):
        copy(source, target)
    with pytest.raises(LedgerUnavailable, match="unfinished copy"):
        desk_at(target)


def test_half_a_copy_of_another_ledger_is_left_alone(ends: tuple[str, str], fresh: Fresh) -> None:
    source, target = ends
    _interrupted(source, target, "copy.added", 2)
    stranger = fresh("sqlite")
    fill(stranger, random.Random(3))
    with pytest.raises(NotPossible, match="it is an unfinished copy of"):
        copy(stranger, target)
    copy(source, target)


def test_a_copy_that_is_whole_is_compared_once_more(ends: tuple[str, str]) -> None:
    source, target = ends
    first = copy(source, target)
    assert copy(source, target) == Copied(first.tables, first.rows)
    desk = desk_at(target)
    desk.ledger.close()
    with pytest.raises(NotPossible, match=r"not empty \(1 in batch, 3 in shard"):
        copy(source, target)


def test_a_ledger_that_holds_something_is_not_written_to(fresh: Fresh) -> None:
    source, target = fresh("postgres"), fresh("sqlite")
    fill(source, random.Random(1))
    fill(target, random.Random(2))
    before = Path(target).read_bytes()
    with pytest.raises(NotPossible, match=r"cannot copy to .*: it is not empty .*name a ledger that is not there yet"):
        copy(source, target)
    assert Path(target).read_bytes() == before


def test_an_empty_ledger_that_had_an_owner_is_taken(ends: tuple[str, str]) -> None:
    source, target = ends
    for _ in range(3):
        desk_at(target).ledger.close()
    copy(source, target)
    assert contradictions(target) == []


@pytest.mark.parametrize("owned", ["source", "target"])
def test_a_live_scheduler_is_named_and_nothing_is_copied(ends: tuple[str, str], owned: str) -> None:
    source, target = ends
    desk = desk_at(source if owned == "source" else target)
    with pytest.raises(LedgerOwned, match="is owned by 'the suite'"):
        copy(source, target)
    desk.write(shards=[shard(77)])
    desk.ledger.close()
    if owned == "source":
        assert not target.endswith(".db") or not Path(target).exists()


def test_a_scheduler_that_starts_meanwhile_hears_what_goes_on(ends: tuple[str, str]) -> None:
    said: list[str] = []

    def failpoint(place: str) -> None:
        if place == "copy.moved":
            for url in ends:
                with pytest.raises(LedgerOwned) as caught:
                    _impatient(url)
                said.append(str(caught.value))

    copied(*ends, Deaf(), failpoint)
    assert ["'wsaios ledger copy'" in text for text in said] == [True, True]


def test_what_cannot_be_copied_is_refused_and_leaves_nothing(fresh: Fresh, tmp_path: Path) -> None:
    there = fresh("sqlite")
    fill(there, random.Random(1))
    (tmp_path / "other").write_text("mine " * 1000)
    for source, target, said in (
        (there, there, "TO: .* is FROM itself"),
        (there, f"sqlite:////{there}", "TO: .* is FROM itself"),
        ("sqlite:///:memory:", there, "one in memory"),
        (there, ":memory:", "one in memory"),
        (str(tmp_path / "none"), str(tmp_path / "new"), "no such ledger"),
        (fresh("postgres"), str(tmp_path / "new"), "no such ledger"),
        (there, str(tmp_path / "other"), "not a SQLite database"),
        (there, str(tmp_path / "folder" / "new"), "no folder"),
    ):
        with pytest.raises((InvalidInput, LedgerUnavailable, LedgerBroken), match=said):
            copy(source, target)
    assert (tmp_path / "other").read_text() == "mine " * 1000
    assert {path.name for path in tmp_path.iterdir()} == {"0.db", "0.db.lock", "other"}


def test_a_difference_is_found_and_the_copy_stays_unfinished(fresh: Fresh) -> None:
    source, target = fresh("sqlite"), fresh("sqlite")
    fill(source, random.Random(1))

    def failpoint(place: str) -> None:
        if place == "copy.moved":
            connection = apsw.Connection(target)
            connection.execute("UPDATE payload SET codec = (codec + 1) % 3 WHERE id = (SELECT max(id) FROM payload)")
            connection.close()

    with pytest.raises(LedgerBroken, match=r"rows of payload are not the 60 of .*0\.db; remove .*1\.db"):
        copied(source, target, Deaf(), failpoint)
    with pytest.raises(LedgerUnavailable, match="unfinished copy"):
        desk_at(target)


def test_what_no_scheduler_took_in_is_not_left_behind(fresh: Fresh) -> None:
    source, target = fresh("postgres"), fresh("sqlite")
    fill(source, random.Random(1))

    def failpoint(place: str) -> None:
        if place == "copy.compared":
            with Client(source) as client:
                client.submit("any", {})

    with pytest.raises(
        NotPossible, match=r"1 submissions that nobody took in; let its clients rest, .* from the start"
    ):
        copied(source, target, Deaf(), failpoint)
    with pytest.raises(NotPossible, match=r"1 submissions that nobody took in; start a scheduler on it"):
        copy(source, fresh("sqlite"))
    with pytest.raises(LedgerUnavailable, match="unfinished copy"):
        desk_at(target)


def test_the_intake_of_a_copy_gives_out_no_id_twice(fresh: Fresh, postgres: PostgresServer) -> None:
    source, target = fresh("sqlite"), fresh("postgres")
    ahead = (1 << 40) - 1
    desk = desk_at(source)
    desk.write(shards=[shard(1)])
    desk.add(task((ahead << 22) | 5))
    desk.ledger.close()
    copy(source, target)
    with Client(target) as client:
        given = number_of(client.submit("any", {}).id)
    assert given >> 22 > ahead


def test_a_ledger_whose_intake_holds_something_is_not_empty(fresh: Fresh) -> None:
    source, target = fresh("sqlite"), fresh("postgres")
    fill(source, random.Random(1))
    desk_at(target).ledger.close()
    with Client(target) as client:
        client.submit("any", {})
    with pytest.raises(NotPossible, match=r"not empty \(1 in intake\)"):
        copy(source, target)


@pytest.mark.parametrize("direction", ["sqlite to postgres", "postgres to sqlite"])
async def test_waiting_work_runs_to_its_end_on_the_copy_once(fresh: Fresh, direction: str) -> None:
    one, _, other = direction.split()
    source, target = fresh(one), fresh(other)
    ran: list[int] = []

    def scheduler(url: str) -> Scheduler:
        made = Scheduler(url)

        @made.handler("square")
        async def square(n: int) -> int:
            ran.append(n)
            return n * n

        return made

    async with scheduler(source) as before:
        done = await before.submit("square", {"n": 100}, idempotency_key="hundred")
        assert await done.result(timeout_s=30) == 10_000
        before.state.set("a.b", {"c": [1, 2]})
        await before.flush()
        waiting = [(await before.submit("square", {"n": n}, idempotency_key=f"k{n}", delay_s=1)).id for n in range(30)]
    copy(source, target)
    async with scheduler(target) as after:
        results = [
            await (await after.submit("square", {"n": n}, idempotency_key=f"k{n}")).result(30) for n in range(30)
        ]
        repeated = await after.submit("square", {"n": 100}, idempotency_key="hundred")
        assert (repeated.id, await repeated.result(timeout_s=30)) == (done.id, 10_000)
        assert after.state.get("a.b") == {"c": [1, 2]}
    assert results == [n * n for n in range(30)]
    assert sorted(ran) == [*range(30), 100]
    with Client(target) as client:
        assert {client.status(each).state for each in waiting} == {"succeeded"}


def in_small_pages_until_the_test_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a copy take many steps."""
    for side in ("sqlite", "postgres"):
        monkeypatch.setattr(f"wsaios.ledger.{side}.side.PAGE_ROWS", 7)


def _impatient(url: str) -> None:
    ledger = PostgresLedger(url, lock_wait_s=0.1) if is_postgres(url) else SqliteLedger(url, lock_wait_s=0.1)
    try:
        ledger.open(1, "another one")
    finally:
        ledger.close()


class _StopError(Exception):
    pass


def _interrupted(source: str, target: str, place: str, hit: int) -> None:
    """Break a copy off when it reaches a place so often."""
    hits = 0

    def failpoint(reached: str) -> None:
        nonlocal hits
        hits += reached == place
        if hits == hit:
            raise _StopError

    with pytest.raises(_StopError):
        copied(source, target, Deaf(), failpoint)
