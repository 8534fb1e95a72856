"""Runs that are stopped, whose input changes, and that share a ledger with other work."""

import pytest

from tests.unit.sdk.batches import Bench, Listener
from wsaios import Scheduler
from wsaios.kernel.errors import InputError, NotPossible
from wsaios.sdk.batch_run import BatchRun
from wsaios.sdk.client import AsyncClient


async def states(bench: Bench) -> list[str]:
    async with AsyncClient(bench.ledger) as client:
        return [each.state for each in await client.tasks()]


async def test_a_listener_hears_every_part(bench: Bench) -> None:
    listener = Listener()
    summary = await bench.run(bench.plan("picky"), listener)
    assert listener.phases == [("accept", 3), ("run", 3), ("write", 3)]
    assert (summary.rows, summary.succeeded, summary.failed, summary.ran, summary.unsuccessful) == (3, 2, 1, 3, 1)
    assert listener.last == (3, 1)
    assert summary.errors == str(bench.folder / "r.errors.jsonl")


async def test_a_finished_batch_is_only_compared(bench: Bench) -> None:
    await bench.run(bench.plan())
    listener = Listener()
    summary = await bench.run(bench.plan(), listener)
    assert (listener.phases, summary.ran, len(bench.calls)) == ([("write", 3)], 0, 3)


async def test_stopped_while_rows_are_taken_in_nothing_of_them_is_left(bench: Bench) -> None:
    listener = Listener()
    run = BatchRun(bench.plan(), listener, ledger=bench.ledger)
    listener.at["accept"] = run.stop
    summary = await run.go()
    assert (summary.id, summary.finished, summary.ran, bench.calls) == (None, False, 0, [])
    assert await states(bench) == []
    assert (await bench.run(bench.plan())).succeeded == 3


async def test_stopped_before_it_began_it_takes_nothing_in(bench: Bench) -> None:
    run = BatchRun(bench.plan(), Listener(), ledger=bench.ledger)
    run.stop()
    summary = await run.go()
    assert (summary.id, summary.finished, await states(bench)) == (None, False, [])


async def test_stopped_while_files_are_written_they_are_not_there_and_the_next_run_writes_them(bench: Bench) -> None:
    listener = Listener()
    run = BatchRun(bench.plan(), listener, ledger=bench.ledger)
    listener.at["write"] = run.stop
    summary = await run.go()
    assert (summary.finished, summary.succeeded, bench.out.exists()) == (False, 3, False)
    again = await bench.run(bench.plan())
    assert (again.finished, again.ran, bench.out.exists()) == (True, 0, True)


async def test_an_input_that_changes_while_it_is_taken_in_is_refused_and_nothing_is_left(bench: Bench) -> None:
    plan = bench.plan()
    with pytest.raises(InputError, match="changed while the batch ran"):
        await bench.run(plan, Listener(accept=lambda: bench.texts("a", "b", "d")))
    assert (await states(bench), bench.calls, bench.out.exists()) == ([], [], False)
    assert (await bench.run(bench.plan())).succeeded == 3


async def test_an_input_that_changes_while_it_runs_is_refused_and_nothing_is_lost(bench: Bench) -> None:
    plan = bench.plan()
    with pytest.raises(InputError, match="put it back as it was"):
        await bench.run(plan, Listener(run=lambda: bench.texts("a", "b", "d")))
    assert not bench.out.exists()
    bench.texts("a", "b", "c")
    summary = await bench.run(bench.plan())
    assert (summary.succeeded, summary.ran, len(bench.calls)) == (3, 0, 3)


async def test_other_tasks_of_the_same_handler_are_left_alone(bench: Bench) -> None:
    async with AsyncClient(bench.ledger) as client:
        task = await client.submit("rows_of_test:shout", {"text": "not mine"}, priority=100)
        summary = await bench.run(bench.plan())
        assert (await task.status()).state == "ready"
    assert (summary.succeeded, sorted(bench.calls)) == (3, ["a", "b", "c"])


async def test_goals_of_the_ledger_are_not_pursued(bench: Bench) -> None:
    async with Scheduler(bench.ledger) as scheduler:
        scheduler.goals.add("wait", 5)
        scheduler.optimizer.init([{"actions": ["rows_of_test:shout"]}])
    before = len(await states(bench))
    assert (await bench.run(bench.plan())).succeeded == 3
    assert len(await states(bench)) == before + 3


async def test_rows_of_a_finished_batch_are_kept_beyond_any_retention_time(bench: Bench) -> None:
    await bench.run(bench.plan())
    async with AsyncClient(bench.ledger) as client:
        (view,) = await client.batches()
    assert (view.keep, view.finished) == (True, True)


@pytest.mark.parametrize("target", ["all", "lane:default"])
async def test_a_ledger_whose_work_is_paused_says_how_to_go_on(bench: Bench, target: str) -> None:
    async with Scheduler(bench.ledger) as scheduler:
        await scheduler.pause(target)
    with pytest.raises(NotPossible, match=rf"paused; .*resume\('{target}'\)"):
        await bench.run(bench.plan())
    async with Scheduler(bench.ledger) as scheduler:
        await scheduler.resume(target)
    assert (await bench.run(bench.plan())).succeeded == 3
