"""Finished work goes after its retention time, unless its batch is kept."""

import pytest

from wsaios import Scheduler, Settings, errors


async def test_finished_work_is_pruned_after_its_retention_and_kept_batches_stay(url: str) -> None:
    scheduler = Scheduler(url, settings=Settings(retention_s=0))
    scheduler.add_handler("one", lambda number=0: number)
    async with scheduler:
        single = await scheduler.submit("one")
        await single.result(timeout_s=10)
        passing = await scheduler.submit_many("one", ({"number": n} for n in range(2500)))
        kept = await scheduler.submit_many("one", ({"number": n} for n in range(10)), keep=True)
        await passing.wait(timeout_s=20)
        await kept.wait(timeout_s=20)
        waiting = await scheduler.submit("one", delay_s=3600)
        pruning = scheduler._parts.pruning  # noqa: SLF001  # its rounds come every ten minutes
        assert await pruning.round() >= 2501
        for gone in (single, passing[0], passing[-1]):
            with pytest.raises(errors.UnknownTask):
                await gone.status()
        assert [await task.result() for task in kept] == list(range(10))
        assert (await waiting.status()).state == "pending"
        await pruning.round()
        with pytest.raises(errors.UnknownBatch):
            await passing.status()
        assert (await kept.status()).finished
