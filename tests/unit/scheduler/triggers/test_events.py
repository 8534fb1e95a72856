"""Events: told once to each trigger that is there, durable, and dropped by those whose condition does not hold."""

from tests.unit.scheduler.rig import NOW_US
from tests.unit.scheduler.triggers.alarm import Alarm
from wsaios.kernel.events import Emit
from wsaios.kernel.trigger import Emitted, OnEvent, StartTask

PATH = StartTask("echo", {"path": "${ event.data.path }", "event": "${ event.name }"})


def test_an_event_is_told_once_to_each_trigger_in_one_commit() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("upload"), "a", PATH)
    alarm.put(OnEvent("upload"), "b")
    alarm.put(OnEvent("other"), "c")
    effects = alarm.core.step([Emit("token", "upload", {"path": "x"})], NOW_US)
    assert len(effects.commit.accepted) == 2
    assert [reply.token for reply in effects.replies] == ["token"]
    alarm.ledger.commit(effects.commit)
    assert alarm.started() == [{"path": "x", "event": "upload"}, {"path": "x"}]
    alarm.restart()
    assert len(alarm.started()) == 2


def test_an_event_that_was_not_committed_was_not_told() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("upload"))
    alarm.core.step([Emit("token", "upload", {})], NOW_US)
    alarm.restart()
    assert alarm.started() == []


def test_conditions_decide_and_one_without_a_value_does_not_hold() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("upload", "event.data.size > 10 && event.data.path.endsWith('.pdf')"), start=PATH)
    for data in ({"size": 11, "path": "a.pdf"}, {"size": 9, "path": "b.pdf"}, {"path": "c.pdf"}, None, "text", [1]):
        alarm.emit("upload", data)
    assert alarm.started() == [{"path": "a.pdf", "event": "upload"}]
    assert "event.data.size" in alarm.view().fault


def test_a_token_that_came_before_is_the_same_event() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("e"))
    first = alarm.emit("e", {}, "token")
    assert alarm.emit("e", {}, "token", again=True) == first
    alarm.restart()
    assert alarm.emit("e", {}, "token", again=True) == first
    assert alarm.emit("e", {}, "another", again=True) != first
    assert len(alarm.started()) == 2


def test_what_is_emitted_where_nothing_fires_is_told_by_the_next_owner_to_those_of_then() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("e"), "then", StartTask("echo", {"who": "then", "n": "${ event.data }"}))
    alarm.put(OnEvent("e", "event.data == 2"), "two", StartTask("echo", {"who": "two"}))
    alarm.restart(fires=False)
    alarm.emit("e", 1)
    alarm.emit("e", 2)
    alarm.now_us += 10
    alarm.put(OnEvent("e"), "later")
    alarm.restart(fires=True)
    assert alarm.started() == [{"who": "then", "n": 1}, {"who": "then", "n": 2}, {"who": "two"}]
    alarm.restart()
    assert len(alarm.started()) == 3
    assert not [key for key in alarm.ledger.tables.facts if key[0] == "event"]


def test_a_trigger_that_hears_another_event_from_now_on_keeps_its_name() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("e"))
    alarm.emit("e", {})
    alarm.put(OnEvent("f"))
    alarm.emit("e", {})
    alarm.emit("f", {})
    assert alarm.view().fired == 2


def test_an_unusable_argument_is_a_failed_task_with_its_reason() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("e"))
    alarm.emit("e", 5)
    assert alarm.states() == ["failed"]
    (outcome,) = alarm.ledger.tables.outcomes.values()
    assert "arguments" in str(outcome.failure)


def test_two_repeats_of_what_never_came_are_one_event() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("e"))
    alarm.step(*(Emit(number, "e", {}, "token", again=True) for number in range(2)))
    assert alarm.replies[0] == alarm.replies[1]
    assert len(alarm.started()) == 1


class Ear:
    """A listener that is ready when the test says so."""

    def __init__(self) -> None:
        self.heard: list[Emitted] = []
        self.can = True

    def ready(self, event: Emitted) -> bool:
        """Whether it hears."""
        return self.can

    def hear(self, event: Emitted) -> None:
        """It hears."""
        self.heard.append(event)


def test_whoever_listens_in_the_core_hears_each_event_in_its_step() -> None:
    alarm, ear = Alarm(), Ear()
    alarm.core.triggers.events.listeners.append(ear)
    number = alarm.emit("e", {"a": 1})
    assert ear.heard == [Emitted(number, "e", {"a": 1}, NOW_US)]


def test_while_somebody_is_not_ready_events_wait_in_their_order_and_nobody_is_told() -> None:
    alarm, ear = Alarm(), Ear()
    alarm.put(OnEvent("e"), start=PATH)
    alarm.core.triggers.events.listeners.append(ear)
    ear.can = False
    alarm.step(Emit("first", "e", {"path": "a"}, "token"), Emit("second", "e", {"path": "b"}))
    alarm.step(Emit("again", "e", {"path": "a"}, "token", again=True))
    assert (alarm.started(), ear.heard, alarm.replies) == ([], [], {})
    ear.can = True
    alarm.step()
    assert [event.data["path"] for event in ear.heard] == ["a", "b"]
    assert [arguments["path"] for arguments in alarm.started()] == ["a", "b"]
    assert alarm.replies["first"] == alarm.replies["again"] == ear.heard[0].id
    alarm.step(Emit("once more", "e", {"path": "a"}, "token", again=True))
    assert alarm.replies["once more"] == ear.heard[0].id
    assert len(alarm.started()) == 2


def test_events_that_waited_leave_nothing_behind_and_are_known_by_their_tokens() -> None:
    alarm, ear = Alarm(), Ear()
    alarm.put(OnEvent("e"))
    events = alarm.core.triggers.events
    events.listeners.append(ear)
    for number in range(3):
        ear.can = False
        alarm.step(Emit(number, "e", {}, f"token {number}"))
        ear.can = True
        # In the step that tells it, it is asked for as well.
        alarm.step(Emit("again", "e", {}, f"token {number}", again=True))
        assert alarm.replies[number] == alarm.replies.pop("again")
        assert events._named == {}  # noqa: SLF001  # nothing else says what is left over in memory
        assert alarm.emit("e", {}, f"token {number}", again=True) == alarm.replies[number]
    assert len(alarm.started()) == len(ear.heard) == 3
