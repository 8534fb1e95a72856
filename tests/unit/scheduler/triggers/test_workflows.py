"""Triggers that start workflows: the firing and the run are one commit, and a run is live until it has ended."""

from typing import Any

import msgspec
import pytest

from tests.unit.scheduler.triggers.alarm import Alarm
from wsaios.kernel.errors import NotPossible
from wsaios.kernel.events import Act, Emit, PutTrigger, Route, Scope
from wsaios.kernel.ids import decode, encode
from wsaios.kernel.run import Run, RunState
from wsaios.kernel.trigger import OnChange, OnCron, OnEvent, OnTime, StartWorkflow, TriggerSpec
from wsaios.scheduler import runs
from wsaios.scheduler.triggers import firing
from wsaios.sdk.workflows import Workflow

MINUTE_US = 60_000_000
START = StartWorkflow("flow", {"n": "${ event.data.n }", "by": "${ trigger.key }"})


def flow(extra: str = "") -> Workflow:
    made = Workflow("flow", input={"n": {"type": "integer", "default": 0}, "by": {"type": "string", "default": ""}})
    made.step("one", handler="echo", args={"n": "${ input.n }", "extra": extra})
    made.step("two", handler="echo", args={"n": "${ input.n + 1 }"}, depends_on="one")
    return made


def alarm_with(flow_: Workflow | None = None) -> Alarm:
    alarm = Alarm()
    alarm.publish(flow_ or flow())
    return alarm


def words(alarm: Alarm) -> list[str]:
    return [RunState(run.state).word for run in alarm.runs()]


def inputs(alarm: Alarm) -> list[Any]:
    return [msgspec.json.decode(run.input) for run in alarm.runs()]


def carry_on(alarm: Alarm, turns: int = 2) -> None:
    """What runs ends, so many times."""
    for _ in range(turns):
        alarm.end()
        alarm.until(alarm.now_us)


def test_an_event_begins_a_run_in_the_commit_that_acknowledges_it() -> None:
    alarm = alarm_with()
    alarm.put(OnEvent("e"), start=START)
    effects = alarm.core.step([Emit("token", "e", {"n": 4})], alarm.now_us)
    (run,) = effects.commit.runs
    assert [reply.token for reply in effects.replies] == ["token"]
    assert effects.begun == [run.version]
    assert not effects.commit.definitions
    alarm.ledger.commit(effects.commit)
    alarm.restart(1000)
    assert inputs(alarm) == [{"n": 4, "by": f"t!{effects.replies[0].value}"}]
    assert (alarm.view().fired, alarm.view().last_started, alarm.view().running) == (1, encode(run.id, "run"), True)
    carry_on(alarm)
    assert (words(alarm), alarm.view().running) == (["succeeded"], False)
    assert [each["n"] for each in alarm.started()] == [4, 5]


def test_each_kind_of_trigger_begins_runs() -> None:
    alarm = alarm_with()
    alarm.put(OnCron("* * * * *"), "clock", StartWorkflow("flow"))
    alarm.put(OnTime(alarm.now_us + 1), "once", StartWorkflow("flow", {"n": 1}))
    alarm.put(OnEvent("e"), "event", StartWorkflow("flow"))
    alarm.put(OnChange("k"), "change", StartWorkflow("changed"))
    changed = Workflow("changed", input={"old": {}, "new": {"type": "integer"}})
    changed.step("one", handler="echo")
    alarm.publish(changed)
    alarm.until(alarm.now_us + 2)
    alarm.emit("e", {"n": 2})
    alarm.faculties.state.set("k", 3)
    alarm.step()
    alarm.until(alarm.now_us + MINUTE_US)
    alarm.act("fire", "clock")
    plain = {"by": ""}
    none = {"n": 0, **plain}
    assert inputs(alarm) == [{"n": 1, **plain}, {"n": 2, **plain}, {"old": None, "new": 3}, none, none]
    assert {run.name for run in alarm.runs()} == {"flow", "changed"}


def test_a_firing_while_its_workflow_is_being_read_waits_durably_and_begins_in_one_commit() -> None:
    alarm = alarm_with()
    alarm.put(OnEvent("e"), start=START)
    alarm.ledger.crash()
    alarm.ledger = type(alarm.ledger)(alarm.ledger.tables)
    alarm.core = alarm._core()  # noqa: SLF001  # the first step of it has the event
    effects = alarm.core.step([Emit("token", "e", {"n": 1})], alarm.now_us)
    assert (len(effects.replies), effects.commit.runs) == (1, [])
    told = alarm.ledger.commit(effects.commit)
    assert alarm.core.triggers._roster.named("t").waiting  # noqa: SLF001  # it is durable as that
    effects = alarm.core.step([], alarm.now_us, told)
    assert len(effects.commit.runs) == 1
    assert next(fact for fact in effects.commit.facts if fact[0] == "trigger_waiting")[2] is None
    # Neither the one commit nor the other may be all that there is.
    alarm.restart(1000)
    assert inputs(alarm) == [{"n": 1, "by": inputs(alarm)[0]["by"]}]
    assert (alarm.view().fired, alarm.view().waiting) == (1, 0)


def test_a_time_that_is_due_at_a_start_begins_one_run_whatever_dies_when() -> None:
    alarm = alarm_with()
    alarm.put(OnCron("* * * * *", catch_up="all"), start=StartWorkflow("flow"))
    for lives in range(1, 4):
        alarm.restart(MINUTE_US)
        assert len(alarm.runs()) == lives
        alarm.restart(0)
        assert len(alarm.runs()) == lives


@pytest.mark.parametrize("overlap", ["skip", "queue", "cancel_running", "allow"])
def test_a_run_is_live_until_it_has_ended_also_over_a_restart(overlap: Any) -> None:
    alarm = alarm_with()
    alarm.put(OnEvent("e"), start=START, overlap=overlap)
    for number in range(2):
        alarm.emit("e", {"n": number})
    alarm.restart(1000)
    alarm.emit("e", {"n": 2})
    alarm.until(alarm.now_us)
    begun = {"skip": [0], "queue": [0], "cancel_running": [0, 1, 2], "allow": [0, 1, 2]}[overlap]
    assert [each["n"] for each in inputs(alarm)] == begun
    if overlap == "cancel_running":
        assert words(alarm) == ["cancelled", "cancelled", "running"]
        assert set(alarm.states()) == {"cancelled", "running"}
    carry_on(alarm)
    if overlap == "queue":
        assert [each["n"] for each in inputs(alarm)] == [0, 1]
        carry_on(alarm, 4)
        assert [each["n"] for each in inputs(alarm)] == [0, 1, 2]
    assert set(words(alarm)) <= {"succeeded", "cancelled"}
    assert not alarm.view().running
    assert alarm.view().skipped == (2 if overlap == "skip" else 0)


def test_the_end_of_a_run_and_the_beginning_of_the_next_are_one_commit() -> None:
    alarm = alarm_with()
    alarm.put(OnEvent("e"), start=START, overlap="queue")
    for number in range(2):
        alarm.emit("e", {"n": number})
    first = decode(alarm.view().last_started or "", "run")
    effects = alarm.core.step([Act(None, "cancel", Scope("run", first))], alarm.now_us)
    assert not effects.commit.runs or effects.commit.runs[0].id == first
    alarm.ledger.commit(effects.commit)
    alarm.restart(1000)
    alarm.until(alarm.now_us)
    assert words(alarm) == ["cancelled", "running"]


def test_what_is_replaced_while_it_is_being_read_is_cancelled_also_when_the_owner_dies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alarm = alarm_with()
    alarm.put(OnCron("* * * * *", catch_up="all"), start=StartWorkflow("flow"), overlap="cancel_running")
    alarm.until(alarm.now_us + MINUTE_US)
    monkeypatch.setattr(runs, "_LOADED", 0)
    alarm.now_us += MINUTE_US
    alarm.ledger.crash()
    alarm.ledger = type(alarm.ledger)(alarm.ledger.tables)
    alarm.core = alarm._core()  # noqa: SLF001  # it never comes to read the run
    told = alarm.ledger.commit(alarm.core.step([], alarm.now_us).commit)
    alarm.ledger.commit(alarm.core.step([], alarm.now_us, told).commit)
    assert words(alarm) == ["cancelling", "running"]
    monkeypatch.undo()
    alarm.restart(1000)
    alarm.until(alarm.now_us)
    assert words(alarm) == ["cancelled", "running"]


def test_a_run_that_ended_while_no_trigger_could_fire_is_live_no_more() -> None:
    alarm = alarm_with()
    alarm.put(OnEvent("e"), start=START, overlap="skip")
    alarm.emit("e", {"n": 0})
    alarm.restart(1000, fires=False, serves=True)
    alarm.until(alarm.now_us)
    carry_on(alarm)
    assert (words(alarm), alarm.view().running) == (["succeeded"], False)
    alarm.restart(1000)
    alarm.emit("e", {"n": 1})
    assert len(alarm.runs()) == 2


def test_the_version_is_chosen_at_the_firing() -> None:
    alarm = alarm_with()
    alarm.put(OnEvent("e"), start=START)
    alarm.emit("e", {"n": 1})
    first = alarm.runs()[0].version
    assert alarm.publish(flow("second")) == 2
    alarm.emit("e", {"n": 2})
    assert alarm.runs()[1].version != first
    alarm.ask(lambda token: Route(token, "flow", {1: 100}))
    alarm.emit("e", {"n": 3})
    assert alarm.runs()[2].version == first
    alarm.ask(lambda token: Route(token, "flow", {1: 50, 2: 50}))
    for number in range(40):
        alarm.emit("e", {"n": number})
    shared = [run.version for run in alarm.runs()[3:]]
    assert 5 < shared.count(first) < 35


def test_what_was_published_in_the_same_moment_is_waited_for() -> None:
    alarm = alarm_with()
    alarm.put(OnEvent("e"), start=START)
    plan = flow("second").check()
    alarm.step(*(Emit(None, "e", {"n": number}) for number in range(2)))
    alarm.publish(flow("second"))
    alarm.emit("e", {"n": 2})
    assert [run.version == plan.version for run in alarm.runs()] == [False, False, True]


def test_a_workflow_that_nobody_published_starts_nothing_and_says_so_until_it_is() -> None:
    alarm = Alarm()
    view = alarm.put(OnEvent("e"), start=START, overlap="queue")
    told = "workflow 'flow': no workflow of this name was published"
    assert (view.state, view.fault) == ("broken", told)
    alarm.emit("e", {"n": 1})
    view = alarm.view()
    assert (alarm.runs(), view.fired, view.skipped, view.waiting, view.fault) == ([], 0, 1, 0, told)
    alarm.restart(1000)
    assert alarm.view().state == "broken"
    alarm.publish(flow())
    assert alarm.view().state == "active"
    alarm.emit("e", {"n": 2})
    view = alarm.view()
    assert (len(alarm.runs()), view.fired, view.fault) == (1, 1, "")


def test_a_replaced_run_goes_on_when_there_is_nothing_to_put_in_its_place() -> None:
    alarm = alarm_with()
    alarm.put(OnEvent("e"), start=START, overlap="cancel_running")
    alarm.emit("e", {"n": 1})
    alarm.put(OnEvent("e"), start=StartWorkflow("nobody"), overlap="cancel_running")
    alarm.emit("e", {"n": 2})
    assert (words(alarm), alarm.view().running) == (["running"], True)


def test_input_that_does_not_fit_is_a_failed_run_that_says_why_and_holds_nothing_up() -> None:
    alarm = alarm_with()
    alarm.put(OnEvent("e"), start=StartWorkflow("flow"), overlap="queue")
    for data in ({"n": "many"}, {"x": 1}, 5, {"n": 1}, {"n": 2}):
        alarm.emit("e", data)
    alarm.until(alarm.now_us)
    assert words(alarm) == ["failed", "failed", "failed", "running"]
    kinds = [(run.failure.kind, run.failure.message) for run in alarm.runs()[:3] if run.failure is not None]
    assert [kind for kind, _ in kinds] == ["InvalidInput"] * 3
    assert [
        told in message for (_, message), told in zip(kinds, ("'n'", "'x' is not declared", "mapping"), strict=True)
    ]
    assert inputs(alarm)[0] == {"n": "many"}
    view = alarm.view()
    assert (view.fired, view.waiting, view.running, view.fault) == (4, 1, True, "")
    told = alarm.ask(lambda token: Act(token, "replay", Scope("run", alarm.runs()[0].id)))
    assert isinstance(told, NotPossible)
    assert "it never began" in str(told)


def test_an_expression_without_a_value_is_a_failed_run() -> None:
    alarm = alarm_with()
    alarm.put(OnEvent("e"), start=START)
    alarm.emit("e", {"m": 1})
    assert words(alarm) == ["failed"]
    assert "event.data.n" in alarm.view().fault
    assert not alarm.view().running


def test_options_of_a_run_are_its_own() -> None:
    alarm = alarm_with()
    start = StartWorkflow("flow", {"n": 1}, {"priority": 7, "tenant": "acme"})
    alarm.put(OnEvent("e"), start=start)
    alarm.emit("e")
    (run,) = alarm.runs()
    assert (run.priority, run.tenant) == (7, "acme")


def test_a_definition_that_is_gone_starts_nothing() -> None:
    alarm = alarm_with()
    alarm.put(OnEvent("e"), start=START)
    alarm.ledger.tables.definitions.clear()
    alarm.restart(1000)
    alarm.emit("e", {"n": 1})
    assert (alarm.runs(), alarm.view().skipped) == ([], 1)
    assert "publish it again" in alarm.view().fault
    assert alarm.publish(flow()) == 1
    alarm.emit("e", {"n": 2})
    assert ([each["n"] for each in inputs(alarm)], alarm.view().state, alarm.view().fault) == ([2], "active", "")


def test_a_definition_that_cannot_be_read_starts_nothing_says_so_once_and_harms_no_other_trigger() -> None:
    alarm = alarm_with()
    alarm.put(OnEvent("e"), start=START)
    alarm.put(OnEvent("e"), "other")
    (stored,) = alarm.ledger.tables.definitions.values()
    stored.content = b"{"
    alarm.restart(1000)
    for number in range(2):
        alarm.emit("e", {"n": number})
    view = alarm.view()
    assert (alarm.runs(), view.state, view.skipped, len(alarm.started())) == ([], "broken", 2, 2)
    assert "'flow': its definition cannot be read (" in view.fault
    told = [message for message, _ in alarm.warnings if "cannot be read" in message]
    assert told == ["the definition of a workflow that a trigger starts cannot be read"]
    alarm.publish(flow("another"))
    alarm.emit("e", {"n": 3})
    assert ([each["n"] for each in inputs(alarm)], alarm.view().fault) == ([3], "")


def test_a_version_that_cannot_be_read_takes_only_its_share_of_new_runs_with_it() -> None:
    alarm = alarm_with()
    (first,) = alarm.ledger.tables.definitions.values()
    alarm.publish(flow("second"))
    alarm.ask(lambda token: Route(token, "flow", {1: 50, 2: 50}))
    alarm.put(OnEvent("e"), start=START)
    first.content = b"{"
    alarm.restart(1000)
    assert alarm.view().state == "active"
    for number in range(40):
        alarm.emit("e", {"n": number})
    assert 5 < len(alarm.runs()) < 35
    assert len(alarm.runs()) + alarm.view().skipped == 40


def test_what_waits_for_a_workflow_is_bounded_and_its_events_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firing, "MOST_WAITING", 2)
    alarm = alarm_with()
    alarm.put(OnEvent("e"), start=START)
    alarm.ledger.crash()
    alarm.ledger = type(alarm.ledger)(alarm.ledger.tables)
    alarm.core = alarm._core()  # noqa: SLF001  # its first step has all events
    alarm.step(*(Emit(number, "e", {"n": number}) for number in range(4)))
    assert [isinstance(alarm.replies[number], NotPossible) for number in range(4)] == [False, False, True, True]
    assert [each["n"] for each in inputs(alarm)] == [0, 1]


def test_a_paused_trigger_begins_nothing_and_a_removed_one_is_forgotten() -> None:
    alarm = alarm_with()
    alarm.put(OnEvent("e"), start=START)
    alarm.act("pause")
    alarm.emit("e", {"n": 1})
    alarm.act("resume")
    alarm.emit("e", {"n": 2})
    alarm.act("remove")
    alarm.emit("e", {"n": 3})
    assert [each["n"] for each in inputs(alarm)] == [2]
    carry_on(alarm)
    assert words(alarm) == ["succeeded"]


def test_a_client_may_declare_one_while_nobody_runs() -> None:
    alarm = alarm_with()
    alarm.restart(fires=False)
    alarm.step(PutTrigger("put", TriggerSpec("t", OnEvent("e"), START)))
    alarm.emit("e", {"n": 1})
    assert alarm.runs() == []
    alarm.restart(1000)
    assert [type(run) for run in alarm.runs()] == [Run]
