"""What a firing does while what the last one started has not ended."""

import pytest

from tests.unit.scheduler.rig import NOW_US
from tests.unit.scheduler.triggers.alarm import Alarm
from wsaios.kernel.engine import AttemptRef, Ended, Verdict
from wsaios.kernel.errors import NotPossible
from wsaios.kernel.events import Act, Emit, Reported, Scope
from wsaios.kernel.ids import decode
from wsaios.kernel.task import HandlerSpec, LaneSpec
from wsaios.kernel.trigger import OnCron, OnEvent, StartBatch, StartTask
from wsaios.scheduler.triggers import firing

MINUTE_US = 60_000_000
MINUTELY = OnCron("* * * * *", catch_up="all")
AT = StartTask("echo", {"at": "${ trigger.at_us }"})
NUMBER = StartTask("echo", {"number": "${ event.data }"})


def minutes(count: int) -> list[int]:
    first = -(-NOW_US // MINUTE_US) * MINUTE_US
    return [first + number * MINUTE_US for number in range(count)]


def at(alarm: Alarm) -> list[int]:
    return [arguments["at"] for arguments in alarm.started()]


def numbers(alarm: Alarm) -> list[int]:
    return [arguments["number"] for arguments in alarm.started()]


def test_allow_starts_beside_what_runs() -> None:
    alarm = Alarm()
    alarm.put(MINUTELY, start=AT)
    alarm.until(minutes(3)[-1])
    assert alarm.states() == ["running"] * 3


def test_skip_starts_nothing_while_the_last_one_runs_also_after_a_restart() -> None:
    alarm = Alarm()
    alarm.put(MINUTELY, start=AT, overlap="skip")
    every = minutes(5)
    alarm.until(every[1])
    assert at(alarm) == every[:1]
    alarm.restart()
    alarm.until(every[2])
    assert at(alarm) == every[:1]
    assert (alarm.view().skipped, alarm.view().running) == (2, True)
    alarm.end()
    assert not alarm.view().running
    alarm.until(every[4])
    assert at(alarm) == [every[0], every[3]]


@pytest.mark.parametrize("verdict", [Verdict.SUCCEEDED, Verdict.GIVEN_UP])
def test_queue_starts_one_after_the_other_whatever_becomes_of_them(verdict: Verdict) -> None:
    alarm = Alarm()
    alarm.put(MINUTELY, start=AT, overlap="queue")
    every = minutes(4)
    alarm.until(every[3])
    assert at(alarm) == every[:1]
    assert alarm.view().waiting == 3
    for started in range(2, 5):
        alarm.end(verdict)
        alarm.until(alarm.now_us)
        assert at(alarm) == every[:started]
        assert alarm.states()[-1] == "running"
    alarm.end(verdict)
    assert (alarm.view().waiting, alarm.view().running) == (0, False)


def test_what_waits_in_a_queue_outlives_the_owner() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("e"), start=NUMBER, overlap="queue")
    for number in range(4):
        alarm.emit("e", number)
    alarm.restart(MINUTE_US)
    assert numbers(alarm) == [0]
    alarm.end()
    alarm.restart(MINUTE_US)
    assert numbers(alarm) == [0, 1]
    for _ in range(3):
        alarm.end()
        alarm.until(alarm.now_us)
    assert numbers(alarm) == [0, 1, 2, 3]
    assert not [key for key in alarm.ledger.tables.facts if key[0] == "trigger_waiting"]


def test_the_end_and_the_next_start_are_one_commit() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("e"), start=NUMBER, overlap="queue")
    alarm.emit("e", 0)
    alarm.emit("e", 1)
    (work,) = alarm.works
    ended = Ended(work.attempts[0].task, work.attempts[0].fence, Verdict.SUCCEEDED, result=b"1")
    effects = alarm.core.step([Reported(None, [ended])], alarm.now_us)
    assert len(effects.commit.ended) == len(effects.commit.accepted) == 1


def test_a_queue_is_bounded_and_its_events_are_refused_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firing, "MOST_WAITING", 2)
    alarm = Alarm()
    alarm.put(OnEvent("e"), start=NUMBER, overlap="queue")
    alarm.put(OnEvent("e"), "other", start=NUMBER)
    told = [alarm.emit("e", number) for number in range(4)]
    assert isinstance(told[3], NotPossible)
    assert "trigger 't'" in str(told[3])
    assert numbers(alarm) == [0, 0, 1, 2]
    alarm.put(MINUTELY, "clock", AT, overlap="queue")
    alarm.until(minutes(5)[-1])
    assert (alarm.view("clock").waiting, alarm.view("clock").skipped) == (2, 2)


def test_cancel_running_ends_what_runs_and_starts_anew_in_one_commit() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("e"), start=NUMBER, overlap="cancel_running")
    alarm.emit("e", 0)
    (work,) = alarm.works
    launched = alarm.launch(Emit(None, "e", 1))
    effects = launched.effects
    assert effects.cancels == [AttemptRef(work.attempts[0].task, work.attempts[0].fence)]
    assert (len(effects.commit.ended), len(effects.commit.accepted)) == (1, 1)
    alarm.land(launched)
    assert alarm.states() == ["cancelled", "running"]
    first = alarm.ledger.tables.outcomes[work.attempts[0].task]
    assert first.body.reason == "trigger t started another one in its place"
    alarm.end()
    assert not alarm.view().running


def test_cancel_running_ends_what_is_not_in_memory_also_over_a_death(monkeypatch: pytest.MonkeyPatch) -> None:
    alarm = Alarm((LaneSpec("default", 1), HandlerSpec("echo", "default")))
    monkeypatch.setattr(type(alarm.core.executor), "room", lambda _: 4)
    alarm.put(OnEvent("first"), "block", start=StartTask("echo", {"number": -1}))
    alarm.emit("first")
    alarm.put(
        OnEvent("e"),
        start=StartTask("echo", {"number": "${ event.data }"}, {"priority": -10}),
        overlap="cancel_running",
    )
    alarm.put(OnEvent("crowd"), "crowd", start=StartTask("echo", {"number": -2}))
    alarm.emit("e", 0)
    for _ in range(20):
        alarm.emit("crowd")
    last = alarm.view().last_started
    assert last is not None
    assert decode(last) not in alarm.core.book.tasks
    # The owner dies with its commit: the one of before is told to end in the next life.
    effects = alarm.core.step([Emit(None, "e", 1)], alarm.now_us)
    assert not effects.commit.ended
    alarm.ledger.commit(effects.commit)
    alarm.restart(MINUTE_US)
    ended = [alarm.ledger.tables.outcomes.get(decode(last))]
    assert ended[0] is not None
    assert alarm.view().running
    assert alarm.view().last_started != last
    assert alarm.ledger.tables.facts["trigger_standing", "t"][0].count('"leaving":[]') == 1


def test_cancel_running_ends_a_batch() -> None:
    alarm = Alarm((LaneSpec("default", 1), HandlerSpec("echo", "default")))
    start = StartBatch("echo", "${ event.data }")
    alarm.put(OnEvent("e"), start=start, overlap="cancel_running")
    alarm.emit("e", [{"row": number} for number in range(5)])
    alarm.emit("e", [{"row": 9}])
    alarm.end()
    assert alarm.states() == ["cancelled"] * 5 + ["running"]
    assert alarm.started()[-1] == {"row": 9}


def test_a_batch_is_live_until_its_last_row_ended() -> None:
    alarm = Alarm((LaneSpec("default", 1), HandlerSpec("echo", "default")))
    alarm.put(OnEvent("e"), start=StartBatch("echo", "${ event.data }"), overlap="queue")
    alarm.emit("e", [{"row": 0}, {"row": 1}])
    alarm.emit("e", [])
    alarm.emit("e", [{"row": 2}])
    alarm.end()
    alarm.until(alarm.now_us)
    assert len(alarm.started()) == 2
    alarm.restart(MINUTE_US)
    alarm.end()
    alarm.until(alarm.now_us)
    assert alarm.started() == [{"row": 0}, {"row": 1}, {"row": 2}]
    assert alarm.view().waiting == 0


def test_what_a_person_ended_while_nobody_ran_is_no_longer_waited_for() -> None:
    alarm = Alarm()
    alarm.put(MINUTELY, start=AT, overlap="skip")
    alarm.until(minutes(1)[0])
    last = alarm.view().last_started
    assert last is not None
    alarm.restart(fires=False)
    alarm.ask(lambda token: Act(token, "cancel", Scope("task", decode(last))))
    assert not alarm.view().running
    alarm.restart(fires=True)
    alarm.until(minutes(2)[1])
    assert at(alarm) == minutes(2)


def test_what_waited_for_a_task_that_a_person_ended_while_nobody_ran_starts_with_the_next_owner() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("e"), start=NUMBER, overlap="queue")
    alarm.emit("e", 0)
    alarm.emit("e", 1)
    last = alarm.view().last_started
    assert last is not None
    alarm.restart(fires=False)
    alarm.ask(lambda token: Act(token, "cancel", Scope("task", decode(last))))
    assert (alarm.view().running, alarm.view().waiting) == (False, 1)
    alarm.restart(fires=True)
    assert numbers(alarm) == [0, 1]
    assert (alarm.view().running, alarm.view().waiting) == (True, 0)


def test_what_waits_in_a_trigger_that_could_not_fire_starts_when_it_can() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("e"), start=NUMBER, overlap="queue")
    alarm.emit("e", 0)
    alarm.emit("e", 1)
    text, version = alarm.ledger.tables.facts["trigger", "t"]
    alarm.ledger.tables.facts["trigger", "t"] = text.replace("event.data", "evnt.data"), version
    alarm.restart()
    alarm.end()
    assert (numbers(alarm), alarm.view().state) == ([0], "broken")
    assert not alarm.view().running
    alarm.put(OnEvent("e"), start=NUMBER, overlap="queue")
    assert numbers(alarm) == [0, 1]


def test_a_trigger_that_waits_for_what_is_not_there_is_freed_by_the_ledger() -> None:
    alarm = Alarm()
    alarm.put(MINUTELY, start=AT, overlap="skip")
    alarm.until(minutes(1)[0])
    last = alarm.view().last_started
    assert last is not None
    tables = alarm.ledger.tables
    tables.payloads.pop(decode(last))
    tables.live.pop(decode(last))
    alarm.restart()
    alarm.until(minutes(2)[1])
    assert at(alarm) == minutes(2)[1:]


def test_pausing_keeps_what_waits_and_resuming_goes_on_with_it() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("e"), start=NUMBER, overlap="queue")
    alarm.emit("e", 0)
    alarm.emit("e", 1)
    alarm.act("pause")
    alarm.end()
    alarm.emit("e", 2)
    assert numbers(alarm) == [0]
    alarm.act("resume")
    assert numbers(alarm) == [0, 1]
    assert alarm.view().skipped == 1


def test_removing_forgets_what_waits_and_lets_go_on_what_runs() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("e"), start=NUMBER, overlap="queue")
    alarm.emit("e", 0)
    alarm.emit("e", 1)
    alarm.act("remove")
    assert alarm.states() == ["running"]
    alarm.end()
    alarm.restart()
    assert alarm.states() == ["succeeded"]
