"""Triggers that fire when a value of the state changes."""

from tests.unit.scheduler.triggers.alarm import Alarm
from wsaios.kernel.trigger import OnChange, StartTask


def told(alarm: Alarm) -> list[tuple[object, object, object]]:
    return [(each["key"], each["old"], each["new"]) for each in alarm.started()]


def test_a_key_fires_when_its_value_is_another_one() -> None:
    alarm = Alarm()
    alarm.faculties.state.set("site.rank", 5)
    alarm.put(OnChange("site.rank"))
    assert told(alarm) == []
    alarm.faculties.state.set("site.rank", 6)
    alarm.faculties.state.set("site.other", 6)
    alarm.step()
    alarm.faculties.state.set("site", {"rank": 6})
    alarm.step()
    alarm.faculties.state.set("site", {"rank": 7})
    alarm.step()
    alarm.faculties.state.set("site", 0)
    alarm.step()
    assert told(alarm) == [("site.rank", 5, 6), ("site.rank", 6, 7), ("site.rank", 7, None)]


def test_changes_of_one_step_are_one_change() -> None:
    alarm = Alarm()
    alarm.put(OnChange("a"))
    for value in (1, 2, 3):
        alarm.faculties.state.set("a", value)
    alarm.step()
    for value in (4, 3):
        alarm.faculties.state.set("a", value)
    alarm.step()
    assert told(alarm) == [("a", None, 3)]


def test_a_change_and_what_it_starts_are_one_commit_and_outlive_the_owner() -> None:
    alarm = Alarm()
    alarm.put(OnChange("a"))
    alarm.faculties.state.set("a", 1)
    effects = alarm.core.step((), alarm.now_us)
    assert [fact[:2] for fact in effects.commit.facts if fact[0] == "state"] == [("state", "a")]
    assert len(effects.commit.accepted) == 1
    alarm.restart()
    assert told(alarm) == []
    # The next process says it again, as programs do, and then again.
    for _ in range(2):
        alarm.faculties.state.set("a", 1)
        alarm.step()
        alarm.restart()
    assert told(alarm) == [("a", None, 1)]


def test_what_a_program_sets_before_it_starts_fires_only_when_it_is_new() -> None:
    alarm = Alarm()
    alarm.put(OnChange("a.*"))
    alarm.faculties.state.set("a.b", 1)
    alarm.step()
    for value, count in ((1, 1), (2, 2), (2, 2)):
        alarm.says["a.b"] = value
        alarm.restart()
        assert len(told(alarm)) == count


def test_patterns_meet_each_value_below_them() -> None:
    alarm = Alarm()
    alarm.put(OnChange("site.*", "change.new != null"), start=StartTask("echo", None))
    alarm.faculties.state.set("site", {"a": 1, "b": {"c": 2}})
    alarm.faculties.state.set("sites", 1)
    alarm.step()
    alarm.faculties.state.set("site.b.c", 3)
    alarm.step()
    alarm.faculties.state.set("site.b", 4)
    alarm.step()
    assert sorted(told(alarm), key=str) == sorted(
        [("site.a", None, 1), ("site.b.c", None, 2), ("site.b.c", 2, 3), ("site.b", None, 4)], key=str
    )


def test_a_trigger_hears_what_another_task_of_a_trigger_sets() -> None:
    alarm = Alarm()
    alarm.put(OnChange("*"), "all")
    alarm.faculties.state.set("x.y", [1])
    alarm.faculties.state.set("z", None)
    alarm.step()
    assert told(alarm) == [("x.y", None, [1])]
    alarm.act("remove", "all")
    alarm.faculties.state.set("z", 1)
    alarm.step()
    assert len(told(alarm)) == 1
