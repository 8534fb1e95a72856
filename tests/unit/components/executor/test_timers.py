"""Timers against a sorted list: nothing is late, nothing comes twice, and memory stays within its marks."""

from unittest.mock import patch

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.unit.components.executor.tasks import ready
from wsaios.components.executor import timers
from wsaios.components.executor.executor import due_of, expiry_of
from wsaios.components.executor.timers import TimerWindow
from wsaios.kernel.states import State
from wsaios.kernel.task import Flag, Task

_REFILL, _HIGH = 3, 6


class TimerMachine(RuleBasedStateMachine):
    """The ledger is a dict of waiting tasks; the timers must be the nearest of them."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = patch.multiple(timers, LOW_WATER=2, REFILL=_REFILL, HIGH_WATER=_HIGH)
        self.patch.start()
        self.timer = TimerWindow(due_of, complete=False)
        self.ledger: dict[int, Task] = {}
        self.number = 0
        self.now_us = 0

    def teardown(self) -> None:
        self.patch.stop()

    def held(self) -> list[tuple[int, int]]:
        return sorted((task.due_us or 0, task.id) for task in self.ledger.values() if self.timer.covers(task))

    @rule(after_us=st.integers(0, 9))
    def a_task_waits(self, after_us: int) -> None:
        self.number += 1
        task = self.ledger[self.number] = ready(self.number, 0)
        task.state, task.due_us = State.RETRYING, self.now_us + after_us
        self.timer.add(task)

    @precondition(lambda self: self.ledger)
    @rule(data=st.data())
    def a_task_waits_no_longer(self, data: st.DataObject) -> None:
        task = self.ledger.pop(data.draw(st.sampled_from(sorted(self.ledger))))
        task.state = State.CANCELLED
        self.timer.leave(task)

    @precondition(lambda self: self.ledger)
    @rule(data=st.data(), after_us=st.integers(0, 9))
    def a_task_leaves_and_waits_again(self, data: st.DataObject, after_us: int) -> None:
        task = self.ledger[data.draw(st.sampled_from(sorted(self.ledger)))]
        task.state = State.PAUSED
        self.timer.leave(task)
        task.state, task.due_us = State.RETRYING, self.now_us + after_us
        self.timer.add(task)

    @rule(by_us=st.integers(0, 4), most=st.integers(1, 4))
    def time_goes_on(self, by_us: int, most: int) -> None:
        self.now_us += by_us
        over = [number for at_us, number in self.held() if at_us <= self.now_us][:most]
        found = [task.id for task in self.timer.due(self.now_us, most)]

        assert found == over
        for number in found:
            self.ledger.pop(number).state = State.READY

    @precondition(lambda self: not self.timer.complete)
    @rule()
    def it_asks_the_ledger_for_more(self) -> None:
        waiting = sorted((task.due_us or 0, task.id) for task in self.ledger.values())
        beyond = [at for at in waiting if at > self.timer.bound][: self.timer.refill]
        bound = beyond[-1] if len(beyond) == self.timer.refill else None
        self.timer.extend([self.ledger[number] for _, number in beyond], bound)

    @rule()
    def it_is_trimmed(self) -> None:
        before = self.held()
        gone = sorted((task.due_us or 0, task.id) for task in self.timer.trim())

        assert gone == [at for at in before if at not in self.held()]
        assert len(self.timer) <= _HIGH

    @rule()
    def it_reads_everything_anew(self) -> None:
        before = {number for _, number in self.held()}

        assert {task.id for task in self.timer.reset()} == before
        assert not self.timer.complete

    @invariant()
    def it_holds_the_nearest_and_wakes_in_time(self) -> None:
        assert len(self.timer) == len(self.held())
        first = min((task.due_us or 0 for task in self.ledger.values()), default=None)
        next_us = self.timer.next_us()
        assert first is None or (next_us is not None and next_us <= first)


TestTimers = TimerMachine.TestCase


def test_only_what_waits_for_a_time_is_due() -> None:
    task = ready(1, 0)
    task.due_us = 5

    assert [due_of(_in(task, state)) for state in State] == [
        5 if state in {State.PENDING, State.RETRYING} else None for state in State
    ]


def test_only_what_never_started_expires() -> None:
    task = ready(1, 0, expires_us=7)
    unstarted = {State.PENDING, State.READY, State.PAUSED}

    assert [expiry_of(_in(task, state)) for state in State] == [7 if state in unstarted else None for state in State]
    task.body.flags |= Flag.STARTED
    assert [expiry_of(_in(task, state)) for state in State] == [None] * len(State)


def _in(task: Task, state: State) -> Task:
    task.state = state
    return task
