"""A window against a sorted list: whatever is loaded, trimmed or taken, it holds the best rows up to its bound."""

from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.unit.components.executor.tasks import SHARD, place, ready
from wsaios.components.executor.window import ShardWindow
from wsaios.kernel.states import State
from wsaios.kernel.task import Options, Task

KEYS = st.integers(0, 5)
_LONG = Options(timeout_s=9.0)


class WindowMachine(RuleBasedStateMachine):
    """The ledger is a dict of ready tasks; the window must be the front of it."""

    def __init__(self) -> None:
        super().__init__()
        self.window = ShardWindow(SHARD, complete=False)
        self.ledger: dict[int, Task] = {}
        self.away: list[Task] = []
        self.answer: tuple[list[Task], tuple[int, int] | None] = [], None
        self.number = 0

    def held(self) -> list[Task]:
        return sorted((task for task in self.ledger.values() if self.window.covers(task)), key=place)

    @rule(
        key=KEYS,
        options=st.sampled_from((None, None, _LONG)),
        cap=st.sampled_from((0, 0, 1, 2)),
        expires_us=st.sampled_from((None, None, None, 5)),
    )
    def a_task_becomes_ready(self, key: int, options: Options | None, cap: int, expires_us: int | None) -> None:
        self.number += 1
        task = self.ledger[self.number] = ready(self.number, key, options=options, cap=cap, expires_us=expires_us)

        assert self.window.add(task) == self.window.covers(task)

    @precondition(lambda self: self.ledger)
    @rule(data=st.data())
    def a_task_is_no_longer_ready(self, data: st.DataObject) -> None:
        task = self.ledger.pop(data.draw(st.sampled_from(sorted(self.ledger))))
        task.state = State.PAUSED
        self.away.append(task)

    @precondition(lambda self: self.away)
    @rule(data=st.data())
    def a_task_is_ready_again(self, data: st.DataObject) -> None:
        task = self.away.pop(data.draw(st.integers(0, len(self.away) - 1)))
        task.state = State.READY
        self.ledger[task.id] = task
        self.window.add(task)

    @rule(most=st.integers(1, 4))
    def some_start_together(self, most: int) -> None:
        held = self.held()
        taken = self.window.take(most, now_us=0)

        assert taken == held[: len(taken)]
        assert len(taken) <= most
        assert bool(taken) == bool(held)
        if taken:
            most = min(most, taken[0].body.cap or most)
            follower = held[len(taken)] if len(taken) < len(held) else None
            assert {task.body.options for task in taken} == {taken[0].body.options}
            assert len(taken) <= most
            fits = follower is not None and follower.body.options == taken[0].body.options and not follower.body.cap
            assert len(taken) == most or not fits
        self.start(taken)

    @rule(most=st.integers(1, 4), until=st.none() | st.tuples(KEYS, st.integers(0, 60)))
    def some_start_one_by_one(self, most: int, until: tuple[int, int] | None) -> None:
        best = [task for task in self.held() if until is None or place(task) <= until]
        taken = self.window.run(most, until, now_us=0)

        assert taken == [task for task in best if until is None or place(task) < until][:most]
        self.start(taken)

    @rule(most=st.integers(1, 4))
    def some_that_last_start_together(self, most: int) -> None:
        held = self.held()
        taken = self.window.take(most, now_us=0, lasting=True)

        assert taken == held[: len(taken)]
        assert all(task.expires_us is None for task in taken[1:])
        self.start(taken)

    @rule(most=st.integers(1, 4))
    def some_that_last_start_one_by_one(self, most: int) -> None:
        held = self.held()
        taken = self.window.run(most, None, now_us=0, lasting=True)

        alike = takewhile(lambda task: task.expires_us is None and task.body.options == held[0].body.options, held)
        assert taken == list(alike)[:most]
        self.start(taken)

    @precondition(lambda self: not self.window.asked)
    @rule(room=st.integers(2, 8))
    def it_is_trimmed(self, room: int) -> None:
        before = {task.id for task in self.held()}
        gone = self.window.trim(room)

        assert {task.id for task in gone if task.state == State.READY} == before - {task.id for task in self.held()}
        assert len(self.window) <= room

    @precondition(lambda self: not self.window.complete and not self.window.asked)
    @rule(limit=st.integers(1, 5))
    def it_asks_the_ledger_for_more(self, limit: int) -> None:
        beyond = sorted((task for task in self.ledger.values() if place(task) > self.window.bound), key=place)[:limit]
        self.window.asked = True
        self.answer = beyond, place(beyond[-1]) if len(beyond) == limit else None

    @precondition(lambda self: self.window.asked)
    @rule()
    def the_ledger_answers_what_it_knew_when_it_was_asked(self) -> None:
        self.window.extend(*self.answer)

        assert not self.window.asked

    @invariant()
    def it_holds_the_front_of_the_ledger(self) -> None:
        held = self.held()
        assert self.window.ready(len(held) + 1) == len(held)
        assert self.window.head() == (held[0] if held else None)
        nothing = None if self.window.complete else self.window.bound
        assert self.window.place() == (place(held[0]) if held else nothing)

    def start(self, taken: list[Task]) -> None:
        for task in taken:
            task.state = State.RUNNING
            del self.ledger[task.id]
            self.away.append(task)


TestWindow = WindowMachine.TestCase


@given(st.lists(st.tuples(KEYS, st.none() | st.integers(0, 20)), min_size=1, max_size=8), st.integers(0, 20))
def test_what_has_expired_never_starts_behind_a_head(rows: list[tuple[int, int | None]], now_us: int) -> None:
    window = ShardWindow(SHARD, complete=True)
    for number, (key, expires_us) in enumerate(rows, start=1):
        window.add(ready(number, key, expires_us=expires_us))
    over = [task for task in window.run(99, None, now_us) if task.expires_us is not None and task.expires_us <= now_us]
    behind = window.take(99, now_us)[1:]

    assert over == []
    assert [task for task in behind if task.expires_us is not None and task.expires_us <= now_us] == []


@given(st.lists(KEYS, min_size=1, max_size=6), st.integers(1, 6))
def test_the_oldest_of_the_first_rows_is_found_by_when_it_became_ready(keys: list[int], most: int) -> None:
    window = ShardWindow(SHARD, complete=True)
    tasks = [ready(number, key) for number, key in enumerate(keys, start=1)]
    for task in tasks:
        window.add(task)

    first = sorted(tasks, key=place)[:most]
    assert window.oldest_us(most) == min(task.id for task in first)


def test_who_left_hides_nobody_who_waits_longer() -> None:
    window = ShardWindow(SHARD, complete=True)
    first, gone, oldest = ready(9, 0), ready(8, 1), ready(1, 2)
    for task in (first, gone, oldest):
        window.add(task)
    gone.state = State.PAUSED

    assert window.oldest_us(2) == 1


def test_a_window_is_thirsty_when_a_quarter_is_left_and_it_has_not_asked() -> None:
    window = ShardWindow(SHARD, complete=False)
    window.extend([ready(number, number) for number in range(1, 6)], (5, 5))

    assert not window.thirsty(16)
    window.take(1, 0)
    assert window.thirsty(16)
    window.asked = True
    assert not window.thirsty(16)


def test_an_answer_counts_only_up_to_a_row_of_which_it_does_not_know_what_has_become() -> None:
    window = ShardWindow(SHARD, complete=False)
    rows = [ready(number, number) for number in range(1, 4)]
    window.asked = True
    window.miss(rows[2])
    window.extend(rows[:2], place(rows[2]))

    assert (window.complete, window.bound) == (False, place(rows[1]))
    assert not window.covers(rows[2])
