"""The two halves of a step, against the simulated ledger."""

from random import Random

from wsaios.components.executor.executor import TaskExecutor
from wsaios.kernel.engine import Ended, Verdict
from wsaios.kernel.events import Effects, Hold, Reported, Submit
from wsaios.kernel.ledger import Committed
from wsaios.kernel.policy import Ordering
from wsaios.kernel.task import HandlerSpec, LaneSpec, NewTask
from wsaios.scheduler.core import Core
from wsaios.simulation.ledger import SimLedger

NOW_US = 1_800_000_000_000_000


def new_core(ledger: SimLedger, *handlers: HandlerSpec, slots: int = 10) -> Core:
    executor = TaskExecutor(Ordering())
    executor.lane(LaneSpec("default", slots))
    for handler in handlers:
        executor.handler(handler)
    core = Core(executor, ledger.open(NOW_US, "test"), Random(1))
    answer = None
    # What waits for a time is asked for first.
    for _ in range(2):
        effects = core.step([], NOW_US, answer)
        core.handed(effects)
        told = ledger.commit(effects.commit)
        answer = told if effects.again else None
        core.committed(effects)
    return core


def submitted(token: str, handler: str, count: int = 1) -> Submit:
    return Submit(token, [NewTask(handler, b"{}") for _ in range(count)])


def ended(effects: Effects) -> Reported:
    return Reported(
        None,
        [
            Ended(attempt.task, attempt.fence, Verdict.SUCCEEDED, b"1")
            for work in effects.works
            for attempt in work.attempts
        ],
    )


def test_a_commit_on_its_way_is_not_changed_by_what_is_taken_in_meanwhile() -> None:
    ledger = SimLedger()
    core = new_core(ledger, HandlerSpec("echo", "default"))
    first = core.step([submitted("a", "echo")], NOW_US)
    write = ledger.prepare(first.commit)
    core.handed(first)
    core.take([ended(first)], NOW_US + 1)
    second = core.finish()
    write()
    core.committed(first)

    (task,) = ledger.tables.live.values()
    assert (task.fence, len(task.body.history)) == (2, 2)
    ledger.commit(second.commit)
    (outcome,) = ledger.tables.outcomes.values()
    assert (outcome.stored_fence, len(outcome.body.history)) == (2, 3)


def test_what_is_taken_in_pieces_is_one_commit() -> None:
    ledger = SimLedger()
    core = new_core(ledger, HandlerSpec("echo", "default"))
    core.take([submitted("a", "echo", 2)], NOW_US)
    core.take([submitted("b", "echo", 3)], NOW_US + 5)
    effects = core.finish()

    assert [reply.token for reply in effects.replies] == ["a", "b"]
    assert (len(effects.works), len(effects.commit.accepted), effects.commit.now_us) == (5, 5, NOW_US + 5)
    assert not core.drafting


def test_no_time_that_has_come_is_waited_for_while_nothing_may_start() -> None:
    ledger = SimLedger()
    core = new_core(ledger, HandlerSpec("batched", "default", batch_size=8, max_wait_us=1_000))
    effects = core.step([submitted("a", "batched")], NOW_US)
    assert effects.wake_us == NOW_US + 1_000
    ledger.commit(effects.commit)
    core.handed(effects)
    core.committed(effects)
    effects = core.step([Hold(held=True)], NOW_US + 2_000)

    assert effects.wake_us is None
    assert not effects.works


def test_a_question_that_decides_something_wants_its_answer_first() -> None:
    ledger = SimLedger()
    core = new_core(ledger, HandlerSpec("echo", "default"))
    keyed = NewTask("echo", b"{}", idempotency_key="k", digest="d")

    assert not core.step([submitted("a", "echo")], NOW_US).alone
    assert core.step([Submit("b", [keyed])], NOW_US).alone


def test_what_a_client_sends_for_the_first_time_is_not_looked_up_and_what_it_sends_again_is_found() -> None:
    ledger = SimLedger()
    core = new_core(ledger, HandlerSpec("echo", "default"))

    def sent(token: str, *, again: bool) -> tuple[Effects, Committed | None]:
        submit = Submit(token, [NewTask("echo", b"{}")], "its name", again)
        effects = core.step([submit], NOW_US)
        core.handed(effects)
        told = ledger.commit(effects.commit)
        core.committed(effects)
        return effects, told if effects.again else None

    first, nothing = sent("a", again=False)
    assert (first.commit.questions, nothing, [reply.token for reply in first.replies]) == ([], None, ["a"])
    second, told = sent("b", again=True)
    assert (len(second.commit.questions), second.replies) == (1, [])
    third = core.step([], NOW_US, told)
    assert [(reply.token, reply.value) for reply in third.replies] == [("b", first.replies[0].value)]
    assert len(ledger.tables.live) == 1
