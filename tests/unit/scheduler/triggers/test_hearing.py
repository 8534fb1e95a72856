"""Emitted events and the steps of runs that wait for them."""

from typing import Any

import pytest

from tests.unit.scheduler.triggers.alarm import Alarm
from wsaios.kernel.events import Act, Emit, Scope, Signal
from wsaios.kernel.run import RunState
from wsaios.kernel.trigger import OnEvent
from wsaios.scheduler import runs
from wsaios.scheduler.course import Memory
from wsaios.scheduler.steps import NoLanguage
from wsaios.sdk.workflows import Workflow


def waits(filter_: str = "", **options: Any) -> Workflow:
    flow = Workflow("waits", output="${steps.told.result}")
    flow.step("told", wait_for={"event": "go"} | ({"filter": filter_} if filter_ else {}), **options)
    return flow


def ended(alarm: Alarm) -> list[tuple[str, str | None]]:
    """How the runs ended, and what they gave back."""
    return [(RunState(run.state).word, run.output) for _, run in sorted(alarm.ledger.tables.runs.items())]


def left(alarm: Alarm) -> list[str]:
    return [key for component, key in alarm.ledger.tables.facts if component == "event"]


def test_an_event_is_told_to_triggers_and_steps_in_the_commit_that_acknowledges_it() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("go"))
    for _ in range(2):
        alarm.start(waits())
    effects = alarm.core.step([Emit("token", "go", {"n": 1})], alarm.now_us)
    commit = effects.commit
    assert (len(commit.accepted), len(commit.steps), len(commit.runs)) == (1, 2, 2)
    assert [reply.token for reply in effects.replies] == ["token"]
    alarm.ledger.commit(commit)
    assert ended(alarm) == [("succeeded", '{"n":1}')] * 2


def test_an_event_whose_commit_is_lost_was_not_told() -> None:
    alarm = Alarm()
    alarm.start(waits())
    alarm.core.step([Emit("token", "go", 1)], alarm.now_us)
    alarm.restart()
    assert alarm.steps() == {"told": "waiting"}
    alarm.emit("go", 2)
    assert ended(alarm) == [("succeeded", "2")]


def test_an_event_that_comes_before_a_step_waits_is_not_kept_for_it() -> None:
    alarm = Alarm()
    alarm.emit("go", 0)
    flow = Workflow("two", output="${[steps.a.result, steps.b.result]}")
    flow.step("a", wait_for={"event": "go"})
    flow.step("b", wait_for={"event": "go"}, depends_on="a")
    alarm.start(flow)
    alarm.emit("go", 1)
    assert alarm.steps() == {"a": "succeeded", "b": "waiting"}
    alarm.restart(1000)
    assert alarm.steps() == {"a": "succeeded", "b": "waiting"}
    alarm.emit("go", 2)
    assert ended(alarm) == [("succeeded", "[1,2]")]


def test_filters_decide_and_one_without_a_value_takes_nothing() -> None:
    alarm = Alarm()
    runs_ = [alarm.start(waits(filter_)) for filter_ in ("", "event.data.n > 1", "event.data.level == 'high'")]
    alarm.emit("go", {"n": 1})
    assert [alarm.steps(run)["told"] for run in runs_] == ["succeeded", "waiting", "waiting"]
    alarm.emit("go", {"n": 2, "level": "high"})
    assert [alarm.steps(run)["told"] for run in runs_] == ["succeeded"] * 3


def test_a_filter_that_cannot_be_read_here_takes_nothing_and_harms_nobody() -> None:
    alarm = Alarm()
    runs_ = [alarm.start(waits(filter_)) for filter_ in ("event.data.n > 0", "")]
    alarm.restart(1000)
    alarm.core.runs.speak(NoLanguage())
    assert isinstance(alarm.emit("go", {"n": 1}), int)
    assert [alarm.steps(run)["told"] for run in runs_] == ["waiting", "succeeded"]
    alarm.restart(1000)
    alarm.emit("go", {"n": 2})
    assert alarm.steps(runs_[0])["told"] == "succeeded"


def test_a_step_with_work_goes_on_with_what_the_event_carries() -> None:
    alarm = Alarm()
    alarm.start(waits(handler="echo", args={"got": "${event.data.n}"}))
    alarm.emit("go", {"n": 7})
    assert alarm.started() == [{"got": 7}]
    alarm.restart(1000)
    alarm.end()
    assert ended(alarm) == [("succeeded", "1")]
    assert alarm.started() == [{"got": 7}]


def test_what_is_emitted_while_runs_are_being_loaded_reaches_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    alarm = Alarm()
    for _ in range(5):
        alarm.start(waits())
    monkeypatch.setattr(runs, "_LOADED", 2)
    alarm.ledger.crash()
    alarm.ledger = type(alarm.ledger)(alarm.ledger.tables)
    alarm.core = alarm._core()  # noqa: SLF001  # the first step of it has the event
    alarm.step(Emit("early", "go", 1), Emit("token", "go", 2))
    assert ended(alarm) == [("succeeded", "1")] * 5
    assert isinstance(alarm.replies["early"], int)


def test_nobody_is_told_that_an_event_is_durable_before_it_reached_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    alarm = Alarm()
    for _ in range(5):
        alarm.start(waits())
    monkeypatch.setattr(runs, "_LOADED", 2)
    alarm.ledger.crash()
    alarm.ledger = type(alarm.ledger)(alarm.ledger.tables)
    alarm.core = alarm._core()  # noqa: SLF001  # as above
    effects = alarm.core.step([Emit("token", "go", 1)], alarm.now_us)
    assert effects.replies == []
    assert alarm.core.unanswered() == ["token"]
    alarm.ledger.commit(effects.commit)
    alarm.restart()
    assert [state for state, _ in ended(alarm)] == ["running"] * 5


def test_what_a_client_emitted_while_nobody_ran_reaches_who_waited_then() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("go"))
    flow = Workflow("two")
    flow.step("a", wait_for={"event": "go"})
    flow.step("b", wait_for={"event": "go"}, depends_on="a")
    alarm.start(flow)
    alarm.restart(1000, fires=False)
    alarm.emit("go", {"n": 1})
    assert len(left(alarm)) == 1
    alarm.restart(1000)
    assert alarm.steps() == {"a": "succeeded", "b": "waiting"}
    assert (alarm.started(), left(alarm)) == ([{"n": 1}], [])
    alarm.restart(1000)
    assert alarm.steps() == {"a": "succeeded", "b": "waiting"}


def test_an_event_that_came_in_time_is_told_although_the_time_passes_before_all_runs_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alarm = Alarm()
    monkeypatch.setattr(runs, "_LOADED", 2)
    flow = Workflow("timed", output="${steps.told.result}")
    flow.step("told", wait_for={"event": "go", "timeout_s": 10})
    for _ in range(5):
        alarm.start(flow)
    alarm.restart(1000, fires=False)
    alarm.emit("go", 1)
    alarm.restart(20_000_000)
    assert ended(alarm) == [("succeeded", "1")] * 5


def test_an_event_that_came_in_time_is_told_although_what_a_filter_reads_comes_after_the_time() -> None:
    alarm = Alarm()
    flow = Workflow("timed", output="${steps.told.result}")
    flow.step("first", handler="echo")
    wait_for = {"event": "go", "filter": "event.data.n == steps.first.result", "timeout_s": 10}
    flow.step("told", wait_for=wait_for, depends_on="first")
    alarm.start(flow)
    alarm.end()
    alarm.restart(1000, fires=False)
    alarm.emit("go", {"n": 1})
    alarm.restart(20_000_000)
    assert ended(alarm) == [("succeeded", '{"n":1}')]


def test_who_waits_until_the_time_has_passed_is_ended_once_all_runs_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    alarm = Alarm()
    monkeypatch.setattr(runs, "_LOADED", 2)
    flow = Workflow("timed")
    flow.step("told", wait_for={"event": "go", "timeout_s": 10})
    for _ in range(5):
        alarm.start(flow)
    alarm.restart(20_000_000)
    alarm.until(alarm.now_us)
    assert ended(alarm) == [("failed", None)] * 5
    alarm.start(flow)
    alarm.restart(1000)
    alarm.until(alarm.now_us + 9_000_000)
    assert ended(alarm)[-1] == ("running", None)
    alarm.until(alarm.now_us + 2_000_000)
    assert ended(alarm)[-1] == ("failed", None)


def test_where_no_trigger_fires_steps_hear_at_once_and_triggers_later() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("go"))
    flow = Workflow("two")
    flow.step("a", wait_for={"event": "go"})
    flow.step("b", wait_for={"event": "go"}, depends_on="a")
    alarm.start(flow)
    alarm.restart(1000, fires=False, serves=True)
    alarm.emit("go", {"n": 1})
    assert alarm.steps() == {"a": "succeeded", "b": "waiting"}
    assert (alarm.started(), len(left(alarm))) == ([], 1)
    for _ in range(2):
        alarm.restart(1000, fires=False, serves=True)
    alarm.restart(1000)
    assert alarm.steps() == {"a": "succeeded", "b": "waiting"}
    assert (alarm.started(), left(alarm)) == ([{"n": 1}], [])


def test_a_filter_that_reads_what_is_not_in_memory_delays_the_event_and_what_it_starts() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("go"))
    flow = Workflow("reads", output="${steps.told.result}")
    flow.step("first", handler="echo")
    flow.step("told", wait_for={"event": "go", "filter": "event.data.n == steps.first.result"}, depends_on="first")
    alarm.start(flow)
    alarm.end()
    alarm.core.runs._steps.memory = Memory(0)  # noqa: SLF001  # no setting says it
    effects = alarm.core.step([Emit("token", "go", {"n": 1})], alarm.now_us)
    assert (effects.replies, effects.commit.accepted, effects.commit.steps) == ([], [], [])
    answered = alarm.ledger.commit(effects.commit)
    effects = alarm.core.step([Emit("next", "go", {"n": 2})], alarm.now_us, answered)
    assert (len(effects.commit.accepted), len(effects.commit.steps)) == (2, 1)
    assert [reply.token for reply in effects.replies] == ["token", "next"]
    alarm.ledger.commit(effects.commit)
    assert ended(alarm) == [("succeeded", '{"n":1}')]


def test_a_signal_goes_to_steps_alone() -> None:
    alarm = Alarm()
    alarm.put(OnEvent("go"))
    alarm.start(waits())
    assert alarm.ask(lambda token: Signal(token, "go", "1")) == 1
    assert (alarm.started(), ended(alarm)) == ([], [("succeeded", "1")])


def test_a_run_is_read_although_the_last_other_one_of_its_version_ends_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alarm = Alarm()
    flow = Workflow("either", input={"waits": {"type": "boolean"}}, output="${steps.told.result}")
    flow.step("works", handler="echo", when="!input.waits")
    flow.step("told", wait_for={"event": "go"}, when="input.waits")
    for waits_ in (False, True):
        alarm.start(flow, {"waits": waits_})
    monkeypatch.setattr(runs, "_LOADED", 1)
    alarm.ledger.crash()
    alarm.ledger = type(alarm.ledger)(alarm.ledger.tables)
    alarm.core = alarm._core()  # noqa: SLF001  # its second step has the end of one run, and asks for the other
    (task,) = alarm.ledger.tables.live
    told = alarm.ledger.commit(alarm.core.step([], alarm.now_us).commit)
    effects = alarm.core.step([Act(None, "cancel", Scope("task", task))], alarm.now_us, told)
    while effects.again:
        effects = alarm.core.step([], alarm.now_us, alarm.ledger.commit(effects.commit))
    alarm.emit("go", 5)
    assert ended(alarm) == [("failed", None), ("succeeded", "5")]
