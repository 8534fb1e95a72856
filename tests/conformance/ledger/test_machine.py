"""Random histories: every ledger says what a plain dictionary says."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.conformance.ledger.desk import (
    NOW_US,
    ClientLedger,
    Desk,
    arguments,
    body,
    kept,
    outcome,
    shard,
    stored,
    task,
)
from wsaios.kernel.errors import LedgerBroken
from wsaios.kernel.ledger import (
    ById,
    DependentsOf,
    DueAfter,
    EndedAfter,
    ExpiringAfter,
    IdempotencyOf,
    IdempotencyRow,
    LiveAfter,
    Payload,
    ReadyAfter,
)
from wsaios.kernel.states import ENDED, State
from wsaios.kernel.task import Outcome, Task
from wsaios.ledger.postgres.ledger import PostgresLedger
from wsaios.ledger.sqlite import SqliteLedger
from wsaios.simulation.ledger import SimLedger

SHARDS = [1, 2, 3]
IDS = st.integers(1, 30)
TIMES = st.none() | st.integers(0, 50)
LIVE = st.sampled_from([1, 2, 3, 4, 5])
FIELDS = st.fixed_dictionaries(
    {
        "state": LIVE,
        "key": st.integers(-3, 3),
        "due_us": TIMES,
        "expires_us": TIMES,
        "reason": st.none() | st.text(max_size=8),
    }
)
EVERYTHING = LiveAfter(0, 1 << 62, 999)
LOWEST = -(1 << 63)


class LedgerMachine(RuleBasedStateMachine):
    """Commits that are valid by construction, and some that are not, against what they should leave."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(self.made())
        self.desk.write(shards=[shard(number) for number in SHARDS])
        self.live: dict[int, Task] = {}
        self.ended: dict[int, tuple[Outcome, bytes]] = {}
        self.data: dict[int, bytes] = {}
        self.saved: dict[int, bytes] = {}
        self.links: set[tuple[int, int]] = set()
        self.facts: dict[tuple[str, str], Any] = {}
        self.keys: dict[str, IdempotencyRow] = {}

    def made(self) -> ClientLedger:
        raise NotImplementedError

    def teardown(self) -> None:
        self.desk.ledger.close()

    @rule(numbers=st.sets(IDS, max_size=6), place=st.sampled_from(SHARDS), fields=FIELDS, data=st.binary(max_size=20))
    def accept(self, numbers: set[int], place: int, fields: dict[str, Any], data: bytes) -> None:
        new = sorted(numbers - set(self.data))
        tasks = [_task(number, place, 1, fields) for number in new]
        self.desk.write(accepted=tasks, payloads=[arguments(number, data, 2) for number in new])
        self.live.update((row.id, stored(row)) for row in tasks)
        self.data.update(dict.fromkeys(new, data))

    @precondition(lambda self: self.live)
    @rule(pick=st.data(), fields=FIELDS, raised=st.integers(0, 2))
    def change_and_end(self, pick: st.DataObject, fields: dict[str, Any], raised: int) -> None:
        chosen = pick.draw(st.lists(st.sampled_from(sorted(self.live)), unique=True))
        middle = pick.draw(st.integers(0, len(chosen)))
        changed, over = chosen[:middle], chosen[middle:]
        updated = [
            _task(number, self.live[number].shard, self.live[number].fence + raised, fields) for number in changed
        ]
        for row in updated:
            row.stored_fence = self.live[row.id].fence
        states = [pick.draw(st.sampled_from(sorted(ENDED))) for _ in over]
        gone = [outcome(self.live[number], state) for number, state in zip(over, states, strict=True)]
        results = {number: pick.draw(st.binary(max_size=9)) for number in over if pick.draw(st.booleans())}
        self.desk.write(updated=updated, ended=gone, results=[Payload(key, 0, data) for key, data in results.items()])
        self.live.update((row.id, stored(row)) for row in updated)
        for end in gone:
            data = results.get(end.id, b"")
            self.ended[end.id] = kept(end, len(data)), data
            del self.live[end.id]
            self.saved.pop(end.id, None)

    @precondition(lambda self: self.live)
    @rule(pick=st.data(), facts=st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.integers())))
    def break_a_rule(self, pick: st.DataObject, facts: list[tuple[str, int | None]]) -> None:
        one = self.live[pick.draw(st.sampled_from(sorted(self.live)))]
        wrong = _task(one.id, one.shard, one.fence + 1, {"state": 2, "key": 9, "due_us": None, "expires_us": None})
        wrong.stored_fence = one.fence + pick.draw(st.sampled_from([-1, 1]))
        family = pick.draw(st.sampled_from(["updated", "ended", "accepted", "replayed"]))
        with pytest.raises(LedgerBroken):
            self.desk.write(
                **{family: [outcome(wrong) if family == "ended" else wrong]},
                facts=[("state", key, value) for key, value in facts],
                releases=[1],
            )

    @precondition(lambda self: self.ended)
    @rule(pick=st.data(), fields=FIELDS)
    def replay(self, pick: st.DataObject, fields: dict[str, Any]) -> None:
        old, _ = self.ended.pop(pick.draw(st.sampled_from(sorted(self.ended))))
        row = _task(old.id, old.shard, old.fence + 1, fields)
        self.desk.write(replayed=[row])
        self.live[row.id] = stored(row)

    @precondition(lambda self: self.live)
    @rule(pick=st.data(), data=st.binary(max_size=9))
    def save(self, pick: st.DataObject, data: bytes) -> None:
        number = pick.draw(st.sampled_from(sorted(self.live)))
        self.desk.write(saved=[Payload(number, 1, data)])
        self.saved[number] = data

    @rule(add=st.sets(st.tuples(IDS, IDS)), drop=st.sets(st.tuples(IDS, IDS)))
    def link(self, add: set[tuple[int, int]], drop: set[tuple[int, int]]) -> None:
        made = {(parent, child) for parent, child in add if parent != child}
        self.desk.write(links=sorted(made), links_done=sorted(drop))
        self.links = (self.links | made) - drop

    @rule(facts=st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers() | st.text(max_size=3))))
    def say(self, facts: list[tuple[str, Any]]) -> None:
        facts = [(key, value) for key, value in facts if not isinstance(value, int) or abs(value) < 1 << 63]
        self.desk.write(facts=[("state", key, value) for key, value in facts])
        for key, value in facts:
            self.facts["state", key] = value
        self.facts = {place: value for place, value in self.facts.items() if value is not None}

    @rule(key=st.sampled_from("xyz"), number=IDS, window_us=st.integers(1, 20))
    def claim(self, key: str, number: int, window_us: int) -> None:
        row = IdempotencyRow("t", key, number, "d", self.desk.now_us + window_us)
        old = self.keys.get(key)
        if old is not None and old.until_us > self.desk.now_us + 1 and old.task != number:
            with pytest.raises(LedgerBroken):
                self.desk.write(keys=[row])
        else:
            self.desk.write(keys=[row])
            self.keys[key] = row

    @rule(ranges=st.lists(st.tuples(IDS, IDS), max_size=3), rows=st.integers(1, 40))
    def purge_everything_within(self, ranges: list[tuple[int, int]], rows: int) -> None:
        within = {number for number in self.live if any(first <= number <= last for first, last in ranges)}
        purged = 0
        while within and purged < len(within):
            purged += (told := self.desk.write(purged=ranges, purge_rows=rows).purged_rows)
            assert 0 < told <= rows
        for number in within:
            del self.live[number], self.data[number]
            self.saved.pop(number, None)
        self.links = {(parent, child) for parent, child in self.links if not within & {parent, child}}

    @rule(rows=st.integers(1, 40), before_us=st.integers(0, 10))
    def prune_everything_before(self, rows: int, before_us: int) -> None:
        while self.desk.ledger.prune(NOW_US + before_us, rows):
            pass
        if before_us > 5:
            gone = set(self.ended)
            self.ended.clear()
            self.data = {number: data for number, data in self.data.items() if number not in gone}
            self.links = {(parent, child) for parent, child in self.links if not gone & {parent, child}}
        self.keys = {key: row for key, row in self.keys.items() if row.until_us > self.desk.now_us}

    @rule()
    def begin_again(self) -> None:
        opening = self.desk.reopen()
        assert opening.running == [self.live[number] for number in sorted(self.live) if self.live[number].state == 3]
        assert opening.ready_shards == sorted({row.shard for row in self.live.values() if row.state == State.READY})
        used = {row.shard for row in self.live.values()} | {row.shard for row, _ in self.ended.values()}
        needed = {row.shard for row in self.live.values() if row.state in {State.READY, State.RUNNING}}
        assert [row.id for row in opening.shards] == sorted(needed)
        assert opening.shard_high == max(used, default=0)
        self.desk.write(shards=[shard(number) for number in SHARDS if number not in used])

    @rule(
        place=st.sampled_from(SHARDS),
        key=st.integers(-4, 4),
        number=IDS,
        limit=st.integers(1, 9),
        at_us=st.integers(-1, 50),
    )
    def ask(self, place: int, key: int, number: int, limit: int, at_us: int) -> None:
        rows = list(self.live.values())
        ready = sorted(
            (t.key, t.id) for t in rows if t.state == 2 and t.shard == place and (t.key, t.id) > (key, number)
        )
        due = sorted((t.due_us or 0, t.id) for t in rows if t.due_us is not None and t.state in (1, 4))
        expiring = sorted((t.expires_us or 0, t.id) for t in rows if t.expires_us is not None and t.state != 3)
        for question, expected in (
            (ReadyAfter(place, key, number, limit), ready),
            (DueAfter(at_us, number, limit), [row for row in due if row > (at_us, number)]),
            (ExpiringAfter(at_us, number, limit), [row for row in expiring if row > (at_us, number)]),
        ):
            assert self.desk.ask(question).tasks == [self.live[found] for _, found in expected[:limit]]

    @invariant()
    def every_task_is_as_it_should_be(self) -> None:
        assert self.desk.ask(EVERYTHING).tasks == [self.live[number] for number in sorted(self.live)]
        everything = EndedAfter(0, 1 << 62, tuple(ENDED), 999)
        assert self.desk.ask(everything).outcomes == [self.ended[number][0] for number in sorted(self.ended)]
        reads = self.desk.ledger.reads()
        assert reads.outcomes(0, 1 << 62, 999) == [self.ended[number] for number in sorted(self.ended)]
        assert reads.totals().live == _counts(self.live.values())
        assert reads.totals().ended == _counts(row for row, _ in self.ended.values())

    @invariant()
    def everything_else_is_as_it_should_be(self) -> None:
        desk = self.desk
        for parent in {parent for parent, _ in self.links} | {1}:
            assert desk.ask(DependentsOf(parent, 99)).links == sorted(link for link in self.links if link[0] == parent)
        asked = IdempotencyOf(tuple(("t", key) for key in "xyz"), desk.now_us)
        rows = [self.keys[key] for key in "xyz" if key in self.keys]
        assert desk.ask(asked).keys == [row for row in rows if row.until_us > desk.now_us]
        numbers = sorted(set(self.data) | set(self.saved) | {1})
        told = desk.write(fetch=numbers)
        assert {number: row.data for number, row in told.payloads.items()} == self.data
        assert {number: row.data for number, row in told.saved.items()} == self.saved
        assert desk.ask(ById(tuple(numbers))).tasks == [self.live[number] for number in sorted(self.live)]

    @invariant()
    def the_ledger_does_not_contradict_itself(self) -> None:
        if isinstance(self.desk.ledger, SqliteLedger | PostgresLedger):
            said = [line for line in self.desk.ledger.check() if "dependencies point" not in line]
            assert said == []


def _task(number: int, place: int, fence: int, fields: dict[str, Any]) -> Task:
    given = {name: value for name, value in fields.items() if name not in {"state", "reason"}}
    return task(number, fields["state"], shard=place, fence=fence, body=body(reason=fields.get("reason")), **given)


def _counts(rows: Any) -> dict[int, int]:
    states = sorted(int(row.state) for row in rows)
    return {state: states.count(state) for state in states}


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "sim"])
def test_any_history_leaves_what_a_dictionary_holds(kind: str, request: pytest.FixtureRequest) -> None:
    class Machine(LedgerMachine):
        def made(self) -> ClientLedger:
            if kind == "postgres":
                return PostgresLedger(request.getfixturevalue("postgres").fresh())
            return SimLedger() if kind == "sim" else SqliteLedger(":memory:")

    # A server is asked many times at every step, so it gets fewer histories.
    examples = 8 if kind == "postgres" else 30
    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=examples, stateful_step_count=25, suppress_health_check=list(HealthCheck)),
    )
