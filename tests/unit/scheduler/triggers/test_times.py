"""Cron and single times in the core: when they fire, and what is made up for after downtime."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.scheduler.rig import NOW_US
from tests.unit.scheduler.triggers.alarm import Alarm
from wsaios.kernel.errors import UnknownTrigger
from wsaios.kernel.trigger import CatchUp, OnCron, OnTime, StartBatch, StartTask
from wsaios.planning.cron import Cron
from wsaios.planning.due import due

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
AT = StartTask("echo", {"at": "${ trigger.at_us }"})
HOURLY = Cron("0 * * * *", UTC)


def hours(begin_us: int, count: int) -> list[int]:
    first = -(-begin_us // HOUR_US) * HOUR_US
    return [first + number * HOUR_US for number in range(count)]


def times(alarm: Alarm) -> list[int]:
    return [arguments["at"] for arguments in alarm.started()]


def test_cron_fires_at_each_of_its_times_and_asks_for_no_step_between_them() -> None:
    alarm = Alarm()
    alarm.put(OnCron("0 * * * *"), start=AT)
    expected = hours(NOW_US, 3)
    assert alarm.core.wake_us() == expected[0]
    alarm.until(expected[2])
    assert times(alarm) == expected
    assert alarm.core.wake_us() == expected[2] + HOUR_US
    view = alarm.view()
    assert (view.fired, view.missed, view.skipped) == (3, 0, 0)
    assert view.last_for == datetime.fromtimestamp(expected[2] / 1e6, UTC)
    assert view.last_started == alarm.ids()[-1]


def test_a_firing_carries_its_key_into_the_commit_of_its_task() -> None:
    alarm = Alarm()
    alarm.put(OnCron("0 * * * *"), "nightly", AT)
    (at_us,) = hours(NOW_US, 1)
    alarm.until(at_us)
    (key,) = [row for row in alarm.ledger.tables.keys.values() if row.key == f"trigger nightly@{at_us}"]
    assert alarm.ledger.tables.live[key.task].body.history[0][3] == "started by trigger nightly"


@pytest.mark.parametrize("written", [False, True])
def test_a_death_beside_the_commit_of_a_firing_neither_loses_nor_doubles_it(written: bool) -> None:
    alarm = Alarm()
    alarm.put(OnCron("0 * * * *", catch_up="all"), start=AT)
    (alarm.now_us,) = hours(NOW_US, 1)
    effects = alarm.core.step((), alarm.now_us)
    assert len(effects.commit.accepted) == 1
    assert not alarm.started()
    if written:
        alarm.ledger.commit(effects.commit)
    alarm.restart(MINUTE_US)
    assert times(alarm) == hours(NOW_US, 1)
    alarm.restart(MINUTE_US)
    assert times(alarm) == hours(NOW_US, 1)


@pytest.mark.parametrize(
    "catch_up, limit, fires, missed",
    [("none", 100, [], 5), ("one", 100, [4], 4), ("all", 100, [0, 1, 2, 3, 4], 0), ("all", 2, [3, 4], 3)],
)
def test_what_passed_while_nobody_ran_is_made_up_for_as_asked(
    catch_up: CatchUp, limit: int, fires: list[int], missed: int
) -> None:
    alarm = Alarm()
    alarm.put(OnCron("0 * * * *", "UTC", catch_up, limit), start=AT)
    passed = hours(NOW_US, 6)
    alarm.restart(passed[4] + 30 * MINUTE_US - NOW_US)
    assert times(alarm) == [passed[number] for number in fires]
    assert alarm.view().missed == missed
    alarm.until(passed[5])
    assert times(alarm)[len(fires) :] == [passed[5]]


def test_a_time_that_is_a_minute_late_was_not_missed() -> None:
    alarm = Alarm()
    alarm.put(OnCron("0 * * * *", catch_up="none"), start=AT)
    passed = hours(NOW_US, 2)
    alarm.restart(passed[0] + MINUTE_US - NOW_US)
    assert times(alarm) == [passed[0]]
    alarm.restart(passed[1] + MINUTE_US + 1 - alarm.now_us)
    assert times(alarm) == [passed[0]]
    assert alarm.view().missed == 1


def test_a_year_of_downtime_of_a_cron_by_the_minute_is_decided_at_once() -> None:
    alarm = Alarm()
    alarm.put(OnCron("* * * * *", "Europe/Berlin", "all", 3), start=AT)
    alarm.restart(365 * 24 * HOUR_US)
    assert len(times(alarm)) == 3
    assert alarm.view().missed == 97


def test_a_time_fires_once_however_often_it_is_declared() -> None:
    alarm = Alarm()
    when = OnTime(NOW_US + HOUR_US)
    alarm.put(when, start=AT)
    alarm.until(NOW_US + 2 * HOUR_US)
    alarm.put(when, start=AT)
    alarm.restart(HOUR_US)
    alarm.put(when, start=AT)
    alarm.until(alarm.now_us + HOUR_US)
    assert times(alarm) == [when.at_us]
    assert alarm.view().state == "done"
    later = OnTime(alarm.now_us + HOUR_US)
    alarm.put(later, start=AT)
    alarm.until(later.at_us)
    assert times(alarm) == [when.at_us, later.at_us]


def test_a_time_that_passed_while_nobody_ran_fires_late_and_one_in_the_past_at_once() -> None:
    alarm = Alarm()
    alarm.put(OnTime(NOW_US + HOUR_US), start=AT)
    alarm.put(OnTime(NOW_US - HOUR_US), "past", start=AT)
    assert times(alarm) == [NOW_US - HOUR_US]
    alarm.restart(10 * HOUR_US)
    assert times(alarm) == [NOW_US - HOUR_US, NOW_US + HOUR_US]


def test_another_expression_under_the_same_name_goes_on_from_now() -> None:
    alarm = Alarm()
    alarm.put(OnCron("0 * * * *", catch_up="all"), start=AT)
    first = hours(NOW_US, 1)[0]
    alarm.until(first)
    alarm.now_us = first + 45 * MINUTE_US
    # Half past would have been missed by the new one, but nobody had asked for it then.
    view = alarm.put(OnCron("30 * * * *", catch_up="all"), start=AT)
    assert view.last_for == datetime.fromtimestamp(first / 1e6, UTC)
    alarm.until(first + 2 * HOUR_US)
    assert times(alarm) == [first, first + 90 * MINUTE_US]


def test_the_times_of_before_are_decided_before_others_take_their_place() -> None:
    alarm = Alarm()
    alarm.put(OnCron("0 * * * *"), start=AT)
    first = hours(NOW_US, 1)[0]
    alarm.now_us = first + 10
    alarm.put(OnCron("30 * * * *"), start=AT)
    assert times(alarm) == [first]


def test_other_arguments_keep_the_times() -> None:
    alarm = Alarm()
    alarm.put(OnCron("0 * * * *", catch_up="all"), start=AT)
    passed = hours(NOW_US, 2)
    alarm.ledger.crash()
    alarm.restart(passed[0] + 5 * MINUTE_US - NOW_US)
    alarm.put(OnCron("0 * * * *", catch_up="all"), start=StartTask("echo", {"at": 1}))
    alarm.until(passed[1])
    assert times(alarm) == [passed[0], 1]


def test_what_passed_during_a_pause_is_over() -> None:
    alarm = Alarm()
    alarm.put(OnCron("0 * * * *", catch_up="all"), start=AT)
    passed = hours(NOW_US, 4)
    assert alarm.act("pause").state == "paused"
    assert alarm.core.wake_us() is None
    alarm.until(passed[1])
    alarm.restart(MINUTE_US)
    alarm.act("resume")
    alarm.until(passed[3])
    assert times(alarm) == passed[2:]


def test_a_single_time_that_passed_during_a_pause_fires_when_it_ends() -> None:
    alarm = Alarm()
    alarm.put(OnTime(NOW_US + HOUR_US), start=AT)
    alarm.act("pause")
    alarm.until(NOW_US + 2 * HOUR_US)
    alarm.act("resume")
    assert times(alarm) == [NOW_US + HOUR_US]


def test_a_removed_trigger_is_gone_also_after_a_restart_and_may_come_again() -> None:
    alarm = Alarm()
    alarm.put(OnCron("0 * * * *"), start=AT)
    alarm.act("remove")
    assert isinstance(alarm.act("pause"), UnknownTrigger)
    alarm.restart(MINUTE_US)
    assert alarm.core.wake_us() is None
    assert not [key for key in alarm.ledger.tables.facts if key[0].startswith("trigger")]
    alarm.put(OnCron("0 * * * *"), start=AT)
    alarm.until(hours(alarm.now_us, 1)[0])
    assert len(times(alarm)) == 1


def test_fire_starts_at_once() -> None:
    alarm = Alarm()
    alarm.put(OnCron("0 * * * *"), start=AT)
    alarm.act("fire")
    assert times(alarm) == [NOW_US]
    alarm.until(hours(NOW_US, 1)[0])
    assert len(times(alarm)) == 2


def test_a_batch_of_fixed_rows_is_started_whole() -> None:
    alarm = Alarm()
    alarm.put(OnCron("0 * * * *"), start=StartBatch("echo", [{"row": 1}, {"row": 2}, {"row": "${ trigger.name }"}]))
    at_us = hours(NOW_US, 1)[0]
    alarm.until(at_us)
    (batch,) = alarm.ledger.tables.batches.values()
    assert (batch.rows, batch.state, batch.key, batch.meta) == (3, 1, f"trigger t@{at_us}", {"name": "t"})
    assert alarm.started() == [{"row": 1}, {"row": 2}, {"row": "t"}]
    assert alarm.view().running
    alarm.end()
    assert not alarm.view().running


def test_what_cannot_be_started_is_a_task_that_failed_and_says_why() -> None:
    alarm = Alarm()
    alarm.put(OnCron("0 * * * *"), start=StartTask("echo", {"x": "${ trigger.nothing }"}, {"tenant": "acme"}))
    alarm.put(OnCron("1 * * * *"), "lost", start=StartTask("echo", {}, {"lane": "nowhere"}))
    alarm.until(hours(NOW_US, 1)[0] + MINUTE_US)
    assert alarm.states() == ["failed", "failed"]
    messages = [str(outcome.failure) for outcome in alarm.ledger.tables.outcomes.values()]
    assert "nothing" in messages[0]
    assert "no lane 'nowhere'" in messages[1]
    assert {alarm.ledger.tables.shards[each.shard].tenant for each in alarm.ledger.tables.outcomes.values()} == {
        "acme",
        "default",
    }
    assert "nothing" in alarm.view().fault


def test_where_nothing_fires_triggers_can_be_declared_and_looked_at() -> None:
    alarm = Alarm()
    alarm.restart(fires=False)
    alarm.put(OnCron("0 * * * *"), start=AT)
    assert alarm.core.wake_us() is None
    assert alarm.view().state == "active"
    passed = hours(NOW_US, 1)[0]
    alarm.restart(passed - NOW_US, fires=True)
    assert times(alarm) == [passed]


def test_a_trigger_of_a_newer_version_is_left_as_it_is_and_harms_no_other() -> None:
    alarm = Alarm()
    alarm.put(OnCron("0 * * * *"), "new", AT)
    alarm.put(OnCron("0 * * * *"), start=AT)
    text, version = alarm.ledger.tables.facts["trigger", "new"]
    newer = text.replace('"cron"', '"moonrise"')
    alarm.ledger.tables.facts["trigger", "new"] = newer, version
    alarm.restart(MINUTE_US)
    alarm.until(hours(NOW_US, 1)[0])
    assert len(times(alarm)) == 1
    assert alarm.ledger.tables.facts["trigger", "new"][0] == newer


def test_what_cannot_be_read_here_does_not_fire_and_says_why() -> None:
    alarm = Alarm()
    alarm.put(OnCron("0 * * * *", "Europe/Berlin"), start=AT)
    text, version = alarm.ledger.tables.facts["trigger", "t"]
    alarm.ledger.tables.facts["trigger", "t"] = text.replace("Europe/Berlin", "Europe/Atlantis"), version
    alarm.restart(MINUTE_US)
    alarm.until(hours(NOW_US, 2)[1])
    view = alarm.view()
    assert (view.state, view.fired, times(alarm)) == ("broken", 0, [])
    assert "there is no time zone 'Europe/Atlantis'" in view.fault
    alarm.put(OnCron("0 * * * *", "Europe/Berlin"), start=AT)
    alarm.until(hours(NOW_US, 3)[2])
    assert len(times(alarm)) == 1


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["0 * * * *", "*/7 * * * *", "30 4 * * *", "*/20 * * * * *", "0 0 1 * *"]),
    st.lists(st.one_of(st.integers(1, 200_000_000), st.integers(1, 40 * 24 * HOUR_US)), max_size=12),
    st.sampled_from(["none", "one", "all"]),
    st.integers(1, 5),
)
def test_looking_at_any_moments_decides_each_time_once_and_in_order(
    expression: str, gaps: list[int], catch_up: CatchUp, limit: int
) -> None:
    cron, now_us, through_us, fired = Cron(expression, UTC), NOW_US, NOW_US, 0
    for gap_us in gaps:
        now_us += gap_us
        found = due(cron, through_us, now_us, catch_up, limit)
        passed = list(cron.between(through_us, now_us)) if gap_us < 10 * HOUR_US else None
        assert found.times == sorted(set(found.times))
        assert all(through_us < at_us <= now_us for at_us in found.times)
        if passed is not None:
            late = bool(passed) and passed[0] < now_us - MINUTE_US
            expected = {
                "none": [at_us for at_us in passed if at_us >= now_us - MINUTE_US],
                "one": passed[-1:],
                "all": passed[-limit:],
            }[catch_up]
            assert found.times == (expected if late else passed)
            if len(passed) <= 100:
                assert found.missed == len(passed) - len(found.times)
        fired += len(found.times)
        through_us = now_us
