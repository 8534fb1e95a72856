"""Ended tasks stand in partitions by day on PostgreSQL, which are made ahead of need and dropped as a whole."""

import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from tests.conformance.ledger.desk import Desk, batch, outcome, shard, task
from tests.integration.copying.victim import Deaf
from tests.servers.postgres import PostgresServer
from wsaios.kernel.ledger import ById, Commit, EndedAfter, Payload
from wsaios.kernel.states import ENDED, State
from wsaios.ledger.postgres import days
from wsaios.ledger.postgres.address import address_of
from wsaios.ledger.postgres.days import DAY_US, day_of, first_id, start_us
from wsaios.ledger.postgres.ledger import PostgresLedger
from wsaios.ledger.postgres.session import Session, named
from wsaios.sdk.copying import copy

NOW_US = time.time_ns() // 1000
TODAY = day_of(NOW_US)
FAMILIES = ("outcome", "payload", "history_part")


class Place:
    """A ledger whose owner believes it is another day, and what the server says of it."""

    def __init__(self, url: str, connection: Any) -> None:
        self.url = url
        self.connection = connection
        self.desk = self.owner(TODAY)

    def owner(self, day: int) -> Desk:
        """Own the ledger at noon of a day."""
        ledger = PostgresLedger(self.url)
        now_us = start_us(day) + DAY_US // 2
        desk = Desk(ledger, ledger.open(now_us, "the suite"))
        desk.now_us = now_us
        return desk

    def on(self, day: int) -> None:
        """Let the next day begin, for an owner of its own."""
        self.desk.ledger.close()
        self.desk = self.owner(day)

    def run(self, day: int, *numbers: int, of: int = 1, ended_us: int | None = None) -> list[int]:
        """Tasks that were accepted on a day and ended then, each with arguments, a result and old history."""
        ids = [first_id(day) + number for number in numbers]
        rows = self.desk.add(*(task(each, shard=of) for each in ids), spilled=[(each, 0, "[]") for each in ids])
        at_us = start_us(day) + 1 if ended_us is None else ended_us
        ends = [outcome(row, ended_us=at_us) for row in rows]
        self.desk.end(*ends, results=[Payload(row.id, 0, b"1") for row in rows])
        return ids

    def prune(self, before_us: int) -> int:
        """One step, as an owner does it that has all shards in memory."""
        return self.desk.ledger.prune(before_us, 1000, [1, 2, 3])

    def contradictions(self) -> list[str]:
        """As `ledger check`."""
        return PostgresLedger(self.url).check()

    def left(self) -> list[int]:
        """Which tasks ended and are still there."""
        return [row.id for row in self.desk.ask(EndedAfter(0, (1 << 63) - 1, tuple(ENDED), 10_000)).outcomes]

    async def days(self, family: str = "outcome") -> dict[str, int]:
        """The partitions of a table with the rows of each, the first letters aside."""
        return await self.days_of(self.connection, family)

    @staticmethod
    async def days_of(connection: Any, family: str) -> dict[str, int]:
        """The same of another ledger."""
        found = await connection.fetch(
            "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = $1::regclass",
            family,
        )
        count = "SELECT count(*) FROM {}"
        return {
            name.removeprefix(f"{family}_"): await connection.fetchval(count.format(name)) for (name,) in sorted(found)
        }


@pytest.fixture
async def place(postgres: PostgresServer) -> AsyncIterator[Place]:
    """A ledger that was opened today."""
    url = postgres.fresh()
    address = address_of(url)
    connection = await asyncpg.connect(address.dsn, server_settings={"search_path": address.schema})
    made = Place(url, connection)
    made.desk.write(shards=[shard(1), shard(2, batch=50), shard(3, batch=51)])
    yield made
    made.desk.ledger.close()
    await connection.close()


def _name(day: int) -> str:
    return time.strftime("%Y%m%d", time.gmtime(start_us(day) / 1e6))


async def test_today_and_tomorrow_are_there_before_they_are_needed(place: Place) -> None:
    place.run(TODAY, 1, 2)
    place.run(TODAY + 1, 3)
    for family in FAMILIES:
        assert await place.days(family) == {_name(TODAY): 2, _name(TODAY + 1): 1, "rest": 0}
    place.desk.now_us += DAY_US
    place.desk.write(releases_done=[1])
    place.prune(0)
    assert list(await place.days()) == [_name(TODAY), _name(TODAY + 1), _name(TODAY + 2), "rest"]


async def test_a_day_that_nobody_made_stands_in_the_rest_and_nothing_fails(place: Place) -> None:
    for day in (TODAY + 9, TODAY - 400, 25_000):
        (number,) = place.run(day, 1)
        assert [row.id for row in place.desk.ask(ById((number,))).outcomes] == [number]
    assert (await place.days())["rest"] == 3


async def test_a_day_that_is_over_is_dropped_and_leaves_no_dead_rows(place: Place) -> None:
    place.desk.write(batches=[batch(50, rows=200, ended={6: 200})])
    place.run(TODAY, *range(300))
    place.run(TODAY, *range(1000, 1200), of=2)
    place.run(TODAY + 1, 7)
    place.on(TODAY + 8)
    # Not before the whole day is over.
    assert place.prune(start_us(TODAY + 1) - 1) == 0
    assert place.prune(start_us(TODAY + 1)) == 500
    assert place.left() == [first_id(TODAY + 1) + 7]
    for family in FAMILIES:
        assert _name(TODAY) not in await place.days(family)
    await place.connection.execute("SELECT pg_stat_force_next_flush()")
    dead = await place.connection.fetchval(
        "SELECT sum(n_tup_del) FROM pg_stat_user_tables WHERE schemaname = current_schema() AND relname ~ $1",
        f"^({'|'.join(FAMILIES)})_",
    )
    assert dead == 0
    assert place.contradictions() == []
    # The batch of which no row is left goes with its last one.
    place.prune(place.desk.now_us - 7 * DAY_US + DAY_US)
    assert place.desk.ledger.reads().batch(50) is None


async def test_a_large_day_is_counted_a_little_at_a_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days, "_STEP", 4)
    place.desk.write(batches=[batch(50, rows=3, ended={6: 3})])
    place.run(TODAY, *range(5))
    place.run(TODAY, 7, 8, 9, of=2)
    place.run(TODAY + 1, *range(3))
    place.on(TODAY + 8)
    over_us = start_us(TODAY + 1)
    assert [place.prune(over_us) for _ in range(2)] == [0, 0]
    # One of them runs again and ends anew: what was counted is not dropped.
    old = place.desk.ask(ById((first_id(TODAY) + 2,))).outcomes[0]
    again = task(old.id, fence=old.fence + 1)
    place.desk.write(replayed=[again])
    again.stored_fence = again.fence
    place.desk.end(outcome(again, ended_us=place.desk.now_us))
    assert place.prune(over_us) == 0
    assert place.left()[:8] == [first_id(TODAY) + number for number in (0, 1, 2, 3, 4, 7, 8, 9)]
    assert place.contradictions() == []
    place.on(TODAY + 17)
    assert [place.prune(start_us(TODAY + 10)) for _ in range(3)] == [0, 0, 8 + 3]
    assert (place.left(), place.contradictions()) == ([], [])


async def test_what_must_stay_keeps_its_day_and_then_goes_one_by_one(place: Place) -> None:
    place.desk.write(batches=[batch(50, keep=True, rows=2, ended={6: 2}), batch(51, rows=2, ended={6: 1})])
    (plain,) = place.run(TODAY, 1)
    kept = place.run(TODAY, 2, 3, of=2)
    begun = place.run(TODAY, 4, of=3)
    parent = place.run(TODAY, 5)
    late = place.run(TODAY, 6, ended_us=start_us(TODAY + 5))
    waiting = place.desk.add(task(first_id(TODAY) + 7, State.PENDING))
    place.desk.write(releases=parent)
    place.on(TODAY + 8)
    over_us = start_us(TODAY + 1)
    assert place.prune(over_us) == 0
    assert len(place.left()) == 6
    place.on(TODAY + 9)
    assert place.prune(over_us + DAY_US) == 1
    assert place.left() == [*kept, *begun, *parent, *late]
    assert [row.id for row in place.desk.ask(ById((plain, waiting[0].id))).tasks] == [waiting[0].id]
    # The few that are left were moved, with their arguments and histories; no partition is kept for them.
    known = [await place.days(family) for family in FAMILIES]
    assert [_name(TODAY) in found for found in known] == [False] * 3
    told = place.desk.ledger.commit(Commit(place.desk.epoch, place.desk.now_us, fetch=[*kept, waiting[0].id]))
    assert sorted(told.payloads) == [*kept, waiting[0].id]
    assert place.contradictions() == []


async def test_rows_are_not_taken_one_by_one_while_their_day_may_still_be_dropped(place: Place) -> None:
    place.run(TODAY, 1)
    place.run(TODAY, 2, ended_us=start_us(TODAY + 1) + 1)
    place.on(TODAY + 8)
    assert place.prune(start_us(TODAY + 1) + 1) == 0
    assert len(place.left()) == 2
    # Not looked at again for an hour; then all of it is over.
    assert place.prune(start_us(TODAY + 1) + 2) == 0
    assert place.prune(start_us(TODAY + 1) + 2 + DAY_US // 24) == 2


async def test_pruning_without_an_owner_takes_exactly_what_is_asked_for(place: Place) -> None:
    place.run(TODAY, 1, 2)
    place.run(TODAY, 3, ended_us=start_us(TODAY) + 500)
    place.on(TODAY + 8)
    assert place.desk.ledger.prune(start_us(TODAY) + 400, 1000) == 2
    assert place.left() == [first_id(TODAY) + 3]


async def test_a_short_retention_does_not_wait_for_the_end_of_a_day(place: Place) -> None:
    place.run(TODAY, 1, 2)
    assert place.prune(place.desk.now_us - DAY_US // 4) == 2


async def test_a_transaction_that_stays_open_holds_nobody_up(place: Place) -> None:
    place.run(TODAY, 1)
    async with place.connection.transaction(isolation="repeatable_read"):
        for family in FAMILIES:
            await place.connection.fetch(f"SELECT count(*) FROM {family}")
        place.on(TODAY + 8)
        began = time.monotonic()
        assert place.prune(start_us(TODAY + 1)) == 0
        assert time.monotonic() - began < 30
        place.run(TODAY + 8, 1)
        assert len(place.left()) == 2
    assert (await place.days())["rest"] == 1
    place.prune(start_us(TODAY + 1) + DAY_US // 24)
    assert place.left() == [first_id(TODAY + 8) + 1]
    assert place.contradictions() == []


async def test_what_is_copied_here_stands_in_its_days(place: Place, postgres: PostgresServer) -> None:
    place.run(TODAY, 1, 2)
    place.run(TODAY - 3, 3)
    place.run(TODAY - 400, 4)
    place.desk.ledger.close()
    target = postgres.fresh()
    copy(place.url, target, Deaf())
    there = await asyncpg.connect(address_of(target).dsn, server_settings={"search_path": address_of(target).schema})
    found = await Place.days_of(there, "payload")
    await there.close()
    assert found == {_name(TODAY - 3): 1, _name(TODAY): 2, "rest": 1}


async def test_no_more_days_are_made_than_lookups_can_bear(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days, "MOST_DAYS", 2)
    place.run(TODAY, 1)
    place.on(TODAY + 8)
    place.run(TODAY + 8, 1)
    assert (await place.days()) == {_name(TODAY): 1, _name(TODAY + 1): 0, "rest": 1}
    place.prune(start_us(TODAY + 1))
    place.prune(start_us(TODAY + 1))
    assert list(await place.days()) == [_name(TODAY + 1), _name(TODAY + 9), "rest"]


async def test_a_user_who_may_only_read_and_write_rows_works_without_new_days(place: Place) -> None:
    place.run(TODAY, 1)
    schema = address_of(place.url).schema
    await place.connection.execute(
        f"CREATE ROLE only_rows_{schema} LOGIN; GRANT USAGE ON SCHEMA {schema} TO only_rows_{schema};"
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO only_rows_{schema}"
    )
    place.url = place.url.replace("//wsaios@", f"//only_rows_{schema}@")
    place.on(TODAY + 9)
    place.run(TODAY + 9, 2)
    assert place.prune(start_us(TODAY + 2)) == 1
    assert place.left() == [first_id(TODAY + 9) + 2]
    assert await place.days() == {_name(TODAY): 0, _name(TODAY + 1): 0, "rest": 1}
    assert place.contradictions() == []


async def test_an_epoch_that_is_over_drops_nothing(place: Place) -> None:
    place.run(TODAY, 1)
    place.on(TODAY + 8)
    await place.connection.execute("UPDATE owner SET epoch = epoch + 1")
    with pytest.raises(Exception, match="epoch"):
        place.prune(start_us(TODAY + 1))
    assert _name(TODAY) in await place.days()
    await place.connection.execute("UPDATE owner SET epoch = epoch - 1")


@pytest.fixture(scope="module")
def looked_up() -> dict[str, dict[str, Any]]:
    """What is asked of the task of one day, by the name of the statement."""
    number = first_id(TODAY) + 1
    return {
        "outcomes_by_id": {"ids": [number]},
        "payloads_of": {"ids": [number]},
        "arguments_and_result": {"id": number},
        "history_of": {"id": number},
        "outcomes_remove": {"ids": [number]},
        "payloads_remove": {"ids": [number]},
        "history_remove": {"ids": [number]},
        "outcomes_recall": {"ids": [number], "shards": [1], "fences": [1]},
        "ended_after": {"after": number - 1, "upto": number, "states": [6], "limit": 5},
        "unsuccessful_after": {"after": number - 1, "upto": number, "states": [7], "limit": 5},
        "outcomes_between": {"first": number, "last": number, "limit": 5},
        "ended_ids": {"first": number, "last": number, "limit": 5},
    }


async def test_a_task_is_looked_for_in_its_day_alone(place: Place, looked_up: dict[str, dict[str, Any]]) -> None:
    for day in range(TODAY - 9, TODAY + 3):
        await place.connection.fetchval("SELECT day_make($1)", day)
        place.run(day, 1, 2)
    sql = named("commit", "answers", "reads", "upkeep")
    session = await Session.open(address_of(place.url), sql, "owner")
    for name, given in looked_up.items():
        text, parameters = sql[name]
        visited = await _visited(session, text, [given[each] for each in parameters])
        assert visited, name
        assert {each.rpartition("_")[2] for each in visited} == {_name(TODAY)}, name
    recent = {"after": first_id(TODAY), "upto": (1 << 63) - 1, "states": [6], "limit": 3}
    text, parameters = sql["ended_after"]
    visited = await _visited(session, text, [recent[each] for each in parameters])
    assert {each.rpartition("_")[2] for each in visited} <= {_name(day) for day in range(TODAY, TODAY + 3)} | {"rest"}
    await session.close()


async def _visited(session: Session, text: str, given: list[Any]) -> set[str]:
    """The partitions that a statement really looks into."""
    connection = session._connection  # noqa: SLF001  # past our own code
    transaction = connection.transaction()
    await transaction.start()
    rows = await connection.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {text}", *given)
    await transaction.rollback()
    lines = [str(row[0]) for row in rows]
    scans = [line for line in lines if "Scan" in line and " on " in line and "never executed" not in line]
    assert not [line for line in scans if "Seq Scan on outcome" in line or "Seq Scan on payload" in line]
    return {word for line in scans for word in line.split(" on ")[1].split()[:1] if word.startswith(FAMILIES)}
