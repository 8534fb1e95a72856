"""Runs of workflows on a real scheduler, on both databases."""

import asyncio
from typing import Any

import pytest

from tests.integration.workflows.conftest import Site, runs_of, states, until
from wsaios import Limit, Rate, Workflow
from wsaios.kernel.errors import (
    IdempotencyConflict,
    InvalidDefinition,
    InvalidInput,
    NotPossible,
    RunFailed,
    TaskFailed,
    UnknownHandler,
    UnknownRun,
    UnknownWorkflow,
)
from wsaios.scheduler.course import Memory

SOON = 20.0


def sums() -> Workflow:
    flow = Workflow(
        "sums",
        input={"numbers": {"type": "array", "default": [1, 2, 3]}, "limit": {"type": "integer", "default": 100}},
        output={"sum": "${steps.sum.result}", "of": "${input.numbers}", "run": "${run.id}"},
    )
    flow.step("each", handler="echo", foreach="input.numbers", args={"value": "${item * 10 + index}"}, max_parallel=2)
    flow.step("sum", handler="plain", args={"values": "${steps.each.result}"}, depends_on="each")
    flow.step("large", handler="echo", when="steps.sum.result > input.limit", depends_on="sum")
    return flow


async def test_values_go_from_step_to_step(site: Site) -> None:
    scheduler = await site.open()
    run = await scheduler.run_workflow(sums(), input={"numbers": [1, 2, 3, 4]}, tenant="acme", priority=5)
    assert await run.result(SOON) == {"sum": 106, "of": [1, 2, 3, 4], "run": run.id}
    view = await run.status()
    assert (view.state, view.workflow, view.tenant, view.priority, view.has_output) == (
        "succeeded",
        "sums",
        "acme",
        5,
        True,
    )
    steps = {step.id: step for step in await run.steps()}
    assert [(step.state, step.items, step.done) for step in steps.values()] == [
        ("succeeded", 4, 4),
        ("succeeded", None, 0),
        ("succeeded", None, 0),
    ]
    task = await scheduler.status(steps["sum"].task or "")
    assert (task.tenant, task.priority, task.handler) == ("acme", 5, "plain")
    assert await scheduler.result(steps["sum"].task or "") == 106


async def test_what_is_skipped_counts_as_ended_and_its_result_is_null(site: Site) -> None:
    scheduler = await site.open()
    flow = sums()
    flow.step(
        "after",
        handler="echo",
        args={"value": "${steps.large.state} ${steps.large.result}"},
        depends_on=["large", "sum"],
    )
    run = await scheduler.run_workflow(flow)
    await run.result(SOON)
    assert (await states(run))["large"] == "skipped"
    assert site.calls[-1] == ("echo", "skipped null")


async def test_without_an_output_the_results_of_the_last_steps_are_given_back(site: Site) -> None:
    scheduler = await site.open()
    flow = Workflow("ends")
    flow.step("first", handler="echo", args={"value": 1})
    flow.step("one", handler="echo", args={"value": "${steps.first.result}"}, depends_on="first")
    flow.step("many", handler="echo", foreach="[7, 8]", args={"value": "${item}"}, depends_on="first")
    flow.step("none", handler="echo", foreach="[]", depends_on="first")
    flow.step("not", handler="echo", when="false", depends_on="first")
    run = await scheduler.run_workflow(flow)
    assert await run.result(SOON) == {"one": 1, "many": [7, 8], "none": [], "not": None}


async def test_a_failure_fails_the_run_and_what_has_not_begun_does_not_begin(site: Site) -> None:
    scheduler = await site.open()
    site.gate.clear()
    site.fail.add("bad")
    flow = Workflow("fails")
    flow.step("runs", handler="held", args={"value": "kept"})
    flow.step("bad", handler="echo", args={"value": "bad"}, max_attempts=1)
    flow.step("waits", wait_for={"event": "never"})
    flow.step("after", handler="echo", args={"value": "after"}, depends_on=["bad"])
    run = await scheduler.run_workflow(flow)
    await until(run, lambda steps: steps["bad"].state == "failed" and steps["waits"].state == "cancelled")
    assert not (await run.status()).ended
    site.gate.set()
    with pytest.raises(RunFailed, match=r"step 'bad' failed: ValueError: no bad") as caught:
        await run.result(SOON)
    assert caught.value.run_id == run.id
    assert await states(run) == {"runs": "succeeded", "bad": "failed", "waits": "cancelled", "after": "pending"}
    assert ("echo", "after") not in site.calls


async def test_a_failure_that_may_be_is_null_to_what_comes_after(site: Site) -> None:
    scheduler = await site.open()
    site.fail.update({"bad", 2})
    flow = Workflow("goes-on", output="${[steps.after.result, steps.some.result]}")
    flow.step("bad", handler="echo", args={"value": "bad"}, max_attempts=1, on_failure="continue")
    flow.step("after", handler="echo", args={"value": "${steps.bad.state}"}, depends_on="bad")
    flow.step(
        "some", handler="echo", foreach="[1, 2, 3]", args={"value": "${item}"}, max_attempts=1, on_failure="continue"
    )
    run = await scheduler.run_workflow(flow)
    assert await run.result(SOON) == ["failed", [1, None, 3]]
    steps = {step.id: step for step in await run.steps()}
    assert (steps["some"].state, steps["some"].failed) == ("failed", 1)


@pytest.mark.parametrize(
    "step, told",
    [
        (
            {"handler": "echo", "args": {"value": "${steps.one.result.name}"}},
            "args: expression 'steps.one.result.name'",
        ),
        (
            {"handler": "echo", "when": "steps.one.result"},
            "when: expression 'steps.one.result': when needs true or false",
        ),
        ({"handler": "echo", "foreach": "steps.one.result"}, "foreach: expression"),
        ({"handler": "echo", "args": {"valeu": 1}}, "args: handler 'echo' has no argument 'valeu'"),
        ({"handler": "plain"}, "args: handler 'plain' needs 'values'"),
        ({"handler": "echo", "lane": "nowhere"}, "lane: there is no lane 'nowhere'"),
    ],
)
async def test_what_cannot_begin_fails_and_names_step_field_and_expression(
    site: Site, step: dict[str, Any], told: str
) -> None:
    scheduler = await site.open()
    flow = Workflow("wrong")
    flow.step("one", handler="echo", args={"value": 1})
    flow.step("two", depends_on="one", **step)
    run = await scheduler.run_workflow(flow)
    with pytest.raises(RunFailed) as caught:
        await run.result(SOON)
    assert "step 'two'" in str(caught.value)
    assert told in str(caught.value)


async def test_an_output_that_has_no_value_fails_the_run(site: Site) -> None:
    scheduler = await site.open()
    flow = Workflow("wrong", output="${steps.one.result.name}")
    flow.step("one", handler="echo", args={"value": 1})
    with pytest.raises(RunFailed, match=r"output: expression 'steps.one.result.name'"):
        await (await scheduler.run_workflow(flow)).result(SOON)


async def test_bad_input_begins_nothing(site: Site) -> None:
    scheduler = await site.open()
    with pytest.raises(InvalidInput, match="'limit'"):
        await scheduler.run_workflow(sums(), input={"limit": "many"})
    with pytest.raises(InvalidInput, match="no such option of a run"):
        await scheduler.run_workflow(sums(), lane="default")
    flow = Workflow("unknown")
    flow.step("one", handler="nobody")
    flow.step("two", handler="no.such:thing")
    with pytest.raises(UnknownHandler, match=r"nobody, no\.such:thing"):
        await scheduler.run_workflow(flow)
    with pytest.raises(InvalidDefinition):
        await scheduler.run_workflow({"name": "x", "steps": [{"id": "a", "handler": "echo", "depends_on": ["b"]}]})
    with pytest.raises(InvalidInput, match="names no file of a definition"):
        await scheduler.run_workflow("flows/sums")
    with pytest.raises(UnknownWorkflow, match="no workflow of this name was published"):
        await scheduler.run_workflow("sums")
    with pytest.raises(UnknownRun):
        await scheduler.run_status("run_0000000000001")
    with pytest.raises(UnknownRun):
        await scheduler.cancel("run_0000000000001")
    assert await scheduler.runs() == []


async def test_the_same_key_is_the_same_run(site: Site) -> None:
    scheduler = await site.open()
    runs = await asyncio.gather(*(scheduler.run_workflow(sums(), idempotency_key="once") for _ in range(3)))
    assert len({run.id for run in runs}) == 1
    with pytest.raises(IdempotencyConflict, match=runs[0].id):
        await scheduler.run_workflow(sums(), input={"limit": 1}, idempotency_key="once")
    other = await scheduler.run_workflow(sums(), idempotency_key="once", tenant="other")
    assert other != runs[0]
    await runs[0].result(SOON)


async def test_an_event_goes_to_the_step_that_waits_for_it(site: Site) -> None:
    scheduler = await site.open()
    flow = Workflow("approval", output="${steps.told.result}")
    flow.step("first", handler="echo", args={"value": 3})
    wait_for = {"event": "approval", "filter": "event.data.level >= steps.first.result"}
    flow.step("approve", wait_for=wait_for, depends_on="first")
    flow.step(
        "told",
        handler="echo",
        args={"value": "${event.data.by} after ${steps.approve.result.by}"},
        wait_for={"event": "second"},
        depends_on="approve",
    )
    run = await scheduler.run_workflow(flow)
    await until(run, lambda steps: steps["approve"].state == "waiting")
    with pytest.raises(NotPossible, match="the filter of the step refuses it"):
        await run.signal("approval", {"level": 1, "by": "eve"})
    with pytest.raises(NotPossible, match="pending"):
        await run.signal("second", {"by": "eve"})
    with pytest.raises(InvalidInput, match="no step 'nobody'"):
        await run.signal(step="nobody")
    assert await scheduler.signal("unheard", 1) == 0
    assert await scheduler.signal("approval", {"level": 3, "by": "ann"}) == 1
    assert await run.signal(step="told", data={"by": "bob"}) == 1
    assert await run.result(SOON) == "bob after ann"
    with pytest.raises(NotPossible, match="it has ended"):
        await run.signal("approval", {})


async def test_who_waits_too_long_has_failed(site: Site) -> None:
    scheduler = await site.open()
    flow = Workflow("late")
    flow.step("wait", wait_for={"event": "never", "timeout_s": 0.05})
    with pytest.raises(RunFailed, match=r"no event 'never' came within 0\.05 s"):
        await (await scheduler.run_workflow(flow)).result(SOON)


async def test_cancel_ends_all_of_a_run(site: Site) -> None:
    scheduler = await site.open()
    site.gate.clear()
    flow = Workflow("long")
    flow.step("many", handler="held", foreach="[1, 2, 3, 4]", args={"value": "${item}"}, max_parallel=3)
    flow.step("after", handler="echo", depends_on="many")
    flow.step("wait", wait_for={"event": "never"})
    run = await scheduler.run_workflow(flow)
    await until(run, lambda _: len(site.calls) == 3)
    assert await run.cancel("no longer needed") in {"cancelling", "cancelled"}
    view = await run.wait(SOON)
    assert view.state == "cancelled"
    assert await states(run) == {"many": "cancelled", "after": "pending", "wait": "cancelled"}
    with pytest.raises(RunFailed, match="cancelled"):
        await run.result(SOON)
    with pytest.raises(NotPossible, match="it has ended"):
        await run.cancel()


async def test_a_paused_run_begins_nothing_and_goes_on_where_it_was(site: Site) -> None:
    scheduler = await site.open()
    site.gate.clear()
    flow = Workflow("pausing")
    flow.step("held", handler="held", args={"value": 1})
    flow.step("after", handler="echo", args={"value": 2}, depends_on="held")
    run = await scheduler.run_workflow(flow)
    await until(run, lambda _: site.calls)
    assert await run.pause() == "paused"
    with pytest.raises(NotPossible, match="paused"):
        await run.pause()
    site.gate.set()
    await until(run, lambda steps: steps["held"].state == "succeeded")
    await asyncio.sleep(0.1)
    assert (await states(run))["after"] == "pending"
    assert await run.resume() == "running"
    assert (await run.wait(SOON)).state == "succeeded"


async def test_what_waits_in_line_is_held_with_its_run(site: Site) -> None:
    scheduler = await site.open()
    await scheduler.pause("lane:default")
    flow = Workflow("pausing")
    flow.step("one", handler="echo", args={"value": 1})
    run = await scheduler.run_workflow(flow)
    steps = await until(run, lambda steps: steps["one"].state == "ready")
    await run.pause()
    steps = await until(run, lambda steps: steps["one"].state == "paused")
    await scheduler.resume("lane:default")
    why = await scheduler.why(steps["one"].task or "")
    assert (why.waits_for, why.detail) == ("pause", f"{run.id} is paused")
    await run.resume()
    assert (await run.wait(SOON)).state == "succeeded"


async def test_retry_does_again_what_failed_and_keeps_the_rest(site: Site) -> None:
    scheduler = await site.open()
    site.fail.add(2)
    flow = Workflow("retried", output="${steps.sum.result}")
    flow.step("before", handler="echo", args={"value": "before"})
    flow.step(
        "each",
        handler="echo",
        foreach="[1, 2, 3]",
        args={"value": "${item}"},
        max_attempts=1,
        depends_on="before",
        max_parallel=1,
    )
    flow.step("sum", handler="plain", args={"values": "${steps.each.result}"}, depends_on="each")
    run = await scheduler.run_workflow(flow)
    assert (await run.wait(SOON)).state == "failed"
    failed = next(step for step in await run.steps() if step.id == "each")
    assert failed.failure is not None
    site.fail.clear()
    assert await run.retry() == "running"
    assert await run.result(SOON) == 6
    assert site.calls.count(("echo", "before")) == site.calls.count(("echo", 1)) == 1
    assert site.calls.count(("echo", 2)) == 2
    assert (await run.status()).tries == 1
    with pytest.raises(NotPossible, match="name a step to begin from"):
        await run.retry()
    with pytest.raises(InvalidInput, match="no step 'nobody'"):
        await run.retry(from_step="nobody")
    await run.retry(from_step="each")
    assert await run.result(SOON) == 6
    assert site.calls.count(("echo", "before")) == 1
    assert site.calls.count(("echo", 1)) == 2


async def test_an_event_that_came_is_not_waited_for_again(site: Site) -> None:
    scheduler = await site.open()
    site.fail.add("go")
    flow = Workflow("told")
    flow.step("told", handler="echo", args={"value": "${event.data}"}, wait_for={"event": "go"}, max_attempts=1)
    run = await scheduler.run_workflow(flow)
    await until(run, lambda steps: steps["told"].state == "waiting")
    await run.signal("go", "go")
    assert (await run.wait(SOON)).state == "failed"
    site.fail.clear()
    await run.retry()
    assert await run.result(SOON) == {"told": "go"}


async def test_a_task_of_a_step_is_not_replayed_alone(site: Site) -> None:
    scheduler = await site.open()
    site.fail.add("bad")
    flow = Workflow("fails")
    flow.step("bad", handler="echo", args={"value": "bad"}, max_attempts=1)
    run = await scheduler.run_workflow(flow)
    await run.wait(SOON)
    task = (await run.steps())[0].task or ""
    with pytest.raises(NotPossible, match=run.id):
        await scheduler.replay(task)
    assert await scheduler.replay("all") == 0
    with pytest.raises(TaskFailed):
        await scheduler.result(task)


async def test_a_task_that_is_cancelled_fails_its_step(site: Site) -> None:
    scheduler = await site.open()
    site.gate.clear()
    flow = Workflow("one")
    flow.step("held", handler="held", args={"value": 1})
    run = await scheduler.run_workflow(flow)
    await until(run, lambda _: site.calls)
    await scheduler.cancel((await run.steps())[0].task or "")
    with pytest.raises(RunFailed, match="step 'held' cancelled"):
        await run.result(SOON)


async def test_runs_are_listed_latest_first(site: Site) -> None:
    scheduler = await site.open()
    runs = [await scheduler.run_workflow(sums()) for _ in range(3)]
    for run in runs:
        await run.wait(SOON)
    assert [view.id for view in await scheduler.runs(limit=2)] == [runs[2].id, runs[1].id]
    assert [view.id for view in await scheduler.runs(["succeeded"], before=runs[1])] == [runs[0].id]
    assert await scheduler.runs(["running"]) == []
    with pytest.raises(InvalidInput, match="no state of a run is called 'ready'"):
        await scheduler.runs(["ready"])


async def test_a_new_owner_goes_on_in_the_middle(site: Site) -> None:
    first = await site.open()
    site.gate.clear()
    flow = Workflow("long", output="${[steps.sum.result, steps.asked.result, steps.paused.result]}")
    flow.step("done", handler="echo", foreach="[1, 2]", args={"value": "${item}"})
    flow.step("many", handler="held", foreach="[5, 6, 7]", args={"value": "${item}"}, max_parallel=2, depends_on="done")
    flow.step("asked", wait_for={"event": "go", "timeout_s": 60}, depends_on="done")
    flow.step("paused", handler="echo", args={"value": "${steps.done.result[0]}"}, depends_on="asked")
    flow.step(
        "sum", handler="plain", args={"values": "${steps.done.result + steps.many.result}"}, depends_on=["done", "many"]
    )
    run = await first.run_workflow(flow)
    await until(run, lambda _: len(site.calls) == 4)
    await first.stop()
    second = await site.open()
    again = (await second.runs())[0]
    assert (again.id, again.state) == (run.id, "running")
    site.gate.set()
    assert await second.signal("go", "yes", run=run.id) == 1
    assert await second.run_result(run.id, timeout_s=SOON) == [21, "yes", 1]
    assert [call for call in site.calls if call[0] == "echo"] == [("echo", 1), ("echo", 2), ("echo", 1)]


async def test_a_paused_run_stays_paused_under_a_new_owner(site: Site) -> None:
    first = await site.open()
    await first.pause("lane:default")
    run = await first.run_workflow(sums())
    await run.pause()
    await first.stop()
    second = await site.open()
    await second.resume("lane:default")
    await asyncio.sleep(0.1)
    assert site.calls == []
    await second.resume(run.id)
    assert (await second.run_end(run.id, timeout_s=SOON)).state == "succeeded"


async def test_more_items_than_one_step_of_the_core_begins(site: Site) -> None:
    scheduler = await site.open()
    flow = Workflow("wide", input={"n": {"type": "array"}}, output="${size(steps.each.result)}")
    flow.step("each", handler="echo", foreach="input.n", args={"value": "${index}"})
    run = await scheduler.run_workflow(flow, input={"n": list(range(6_000))})
    assert await run.result(60) == 6_000
    assert len(site.calls) == 6_000


async def test_results_are_read_again_however_little_memory_there_is(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = await site.open()
    monkeypatch.setattr(runs_of(scheduler)._steps, "memory", Memory(1_000))  # noqa: SLF001  # no setting says it
    flow = Workflow("little", output="${steps.all.result}")
    for name in "abcdef":
        flow.step(name, handler="echo", args={"value": f"{name * 900}"})
    flow.step(
        "all",
        handler="plain",
        args={"values": "${[size(steps.a.result), size(steps.c.result), size(steps.f.result)]}"},
        depends_on=list("abcdef"),
    )
    assert await (await scheduler.run_workflow(flow)).result(SOON) == 2_700


async def test_when_all_runs_are_over_nothing_is_left_to_do(site: Site) -> None:
    scheduler = await site.open()
    site.fail.add(0)
    flow = Workflow("wide")
    flow.step("bad", handler="echo", args={"value": 0}, max_attempts=1)
    flow.step("many", handler="echo", foreach="[1, 2, 3, 4, 5, 6]", args={"value": "${item}"}, max_parallel=1)
    assert (await (await scheduler.run_workflow(flow)).wait(SOON)).state == "failed"
    await scheduler.flush()
    assert runs_of(scheduler).next_us() is None


async def test_large_results_are_asked_from_the_ledger(site: Site) -> None:
    scheduler = await site.open()
    flow = Workflow("large", input={"text": {"type": "string"}}, output="${size(steps.one.result)}")
    flow.step("one", handler="echo", args={"value": "${input.text}"})
    flow.step("two", handler="echo", args={"value": "${steps.one.result}"}, depends_on="one")
    flow.step("many", handler="echo", foreach="[1, 2, 3]", args={"value": "${steps.one.result}"}, depends_on="one")
    run = await scheduler.run_workflow(flow, input={"text": "x" * 200_000})
    assert await run.result(SOON) == 200_000


async def test_a_step_asks_for_resources_and_costs_of_its_own(site: Site) -> None:
    scheduler = await site.open()
    await scheduler.limit(
        Limit("handler:watched", running={"gpu": 1.0}), Limit("tenant:default", rates={"tokens": Rate(1000, 3600)})
    )
    at_once: list[int] = []

    async def watched(value: int) -> int:
        at_once.append(at_once[-1] + 1 if at_once else 1)
        await asyncio.sleep(0.02)
        at_once.append(at_once[-1] - 1)
        return value

    scheduler.add_handler("watched", watched)
    flow = Workflow("greedy")
    flow.step(
        "each",
        handler="watched",
        foreach="[1, 2, 3, 4, 5, 6]",
        args={"value": "${item}"},
        resources={"gpu": 0.4},
        costs={"tokens": 50},
    )
    assert await (await scheduler.run_workflow(flow)).result(SOON) == {"each": [1, 2, 3, 4, 5, 6]}
    assert max(at_once) == 2
    views = {view.limit.on: view for view in await scheduler.limit()}
    assert views["tenant:default"].used == {"tokens": 300.0}


@pytest.mark.parametrize(
    "asked, told",
    [
        ({"resources": {"tasks": 1}}, "units are called by letters, digits and _"),
        ({"costs": {"to ken": 1}}, "requests are counted by themselves"),
        ({"resources": {"gpu": -1}}, "must be at least 0"),
        ({"costs": 3}, "must be a mapping"),
    ],
)
def test_what_a_step_cannot_ask_for_is_told(asked: dict[str, Any], told: str) -> None:
    flow = Workflow("greedy")
    flow.step("one", handler="echo", **asked)
    with pytest.raises(InvalidDefinition, match=told):
        flow.check()
