"""What may go wrong while a worker imports the module of a handler."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import handlers
from tests.integration.processes.modules import Modules
from tests.unit.engines.local.running import Running, running
from wsaios import LaneSpec, Processes, Scheduler, errors
from wsaios.kernel.engine import Ended, Verdict, WorkerLost
from wsaios.kernel.task import Failure

LIMIT_S = 60.0
FOR_EVER = "import threading\nthreading.Event().wait()"


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Modules:
    return Modules(tmp_path, monkeypatch, os.getpid())


@asynccontextmanager
async def workers(slots: int = 1, **options: Any) -> AsyncIterator[Running]:
    async with running(lanes={"pool": LaneSpec("pool", slots, "process", Processes(**options))}) as served:
        for name in ("double", "pid"):
            served.handlers.add(name, getattr(handlers, name), lane="pool")
        yield served


async def failure(served: Running, name: str) -> Failure:
    end = await served.end(name)
    assert end.verdict == Verdict.FAILED
    assert end.failure is not None
    return end.failure


async def test_an_import_that_does_not_end_fails_its_attempt_alone_and_in_words(modules: Modules) -> None:
    async with workers(slots=4, count=1, import_s=0.5) as served:
        served.handlers.add("endless", modules.function("endless_module", FOR_EVER), lane="pool")
        refs = await served.submit(*[served.work(name) for name in ("pid", "endless", "pid")])
        await served.until(lambda: all(served.of(Ended, ref) for ref in refs))
        before, end, after = (served.of(Ended, ref)[0] for ref in refs)
        assert (before.verdict, after.verdict) == (Verdict.SUCCEEDED, Verdict.SUCCEEDED)
        assert end.verdict == Verdict.FAILED
        assert end.failure is not None
        assert end.failure.kind == "ImportTooLong"
        assert "importing module 'endless_module' for 0.5 s" in end.failure.message
        assert "Processes(import_s=…)" in end.failure.message
        assert not any(isinstance(report, WorkerLost) for report in served.reports)
        assert served.engine.capacity() == {"pool": 4}


async def test_a_call_longer_than_the_limit_of_imports_is_left_alone() -> None:
    async with workers(import_s=0.3) as served:
        served.handlers.add("sleep", handlers.sleep, lane="pool")
        assert await served.value("sleep", seconds=0.7) == await served.value("pid")


async def test_an_import_that_does_not_end_ends_its_task(modules: Modules, tmp_path: Path) -> None:
    lanes = {"process": LaneSpec("process", 1, "process", Processes(import_s=0.3))}
    served = Scheduler(f"sqlite:///{tmp_path}/work.db", lanes=lanes)
    endless = modules.function("endless_again", FOR_EVER)
    served.add_handler("endless", endless, lane="process", max_attempts=2, backoff_initial_s=0.01)
    served.add_handler("double", handlers.double, lane="process")
    async with served:
        task = await served.submit("endless")
        other = await served.submit("double", {"i": 4})
        with pytest.raises(errors.TaskFailed, match="importing module 'endless_again'"):
            await task.result(timeout_s=LIMIT_S)
        assert await other.result(timeout_s=LIMIT_S) == 8


async def test_what_waits_for_an_import_can_be_cancelled(modules: Modules) -> None:
    async with workers() as served:
        served.handlers.add("endless", modules.function("endless_cancelled", FOR_EVER), lane="pool")
        refs = await served.submit(served.work("endless"))
        served.engine.cancel(refs)
        await served.until(lambda: bool(served.of(Ended, refs[0])))
        assert served.of(Ended, refs[0])[0].verdict == Verdict.CANCELLED
        assert await served.value("double", i=1) == 2


@pytest.mark.parametrize(
    "there, kind, told",
    [
        ("import sys\nsys.exit('no licence')", "SystemExit", "no licence"),
        ("import there_is_no_such_module", "ModuleNotFoundError", "there_is_no_such_module"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
        ("print('half a line', end='')\nprint(' and more')\n1 / 0", "ZeroDivisionError", "division by zero"),
    ],
)
async def test_an_import_that_fails_says_so_at_every_attempt_and_its_worker_goes_on(
    modules: Modules, there: str, kind: str, told: str
) -> None:
    async with workers() as served:
        pid = await served.value("pid")
        served.handlers.add("broken", modules.function("broken_module", there), lane="pool")
        for _ in range(2):
            found = await failure(served, "broken")
            assert found.kind == kind
            assert found.message.startswith("a worker process could not import module 'broken_module'")
            assert told in found.message
            assert "broken_module.py" in found.traceback
            assert ("Output:\nhalf a line and more\n" in found.traceback) is ("print" in there)
        assert await served.value("pid") == pid


async def test_a_module_with_an_error_in_its_syntax_is_named(modules: Modules) -> None:
    async with workers() as served:
        served.handlers.add("broken", modules.function("broken_syntax", "pass"), lane="pool")
        modules.broken("broken_syntax", "def work(:\n")
        found = await failure(served, "broken")
        assert found.kind == "SyntaxError"
        assert "module 'broken_syntax'" in found.message


async def test_an_import_is_tried_again_at_the_next_attempt(modules: Modules, tmp_path: Path) -> None:
    there = f"if not _os.path.exists({str(tmp_path / 'there')!r}):\n    raise OSError('not yet')"
    async with workers() as served:
        served.handlers.add("late", modules.function("late_module", there), lane="pool")
        assert (await failure(served, "late")).kind == "OSError"
        (tmp_path / "there").touch()
        assert await served.value("late") == "worked"


async def test_what_a_module_prints_is_no_output_of_the_first_call(modules: Modules) -> None:
    async with workers() as served:
        served.handlers.add("chatty", modules.function("chatty_module", "print('hello')"), lane="pool")
        end = await served.end("chatty", unknown=1)
        assert end.failure is not None
        assert end.failure.kind == "TypeError"
        assert "hello" not in end.failure.traceback


async def test_a_process_that_an_import_forked_runs_no_call(modules: Modules) -> None:
    there = "if child := _os.fork():\n    assert _os.waitpid(child, 0)[1] == 0"
    async with workers() as served:
        pid = await served.value("pid")
        served.handlers.add("forking", modules.function("forking_module", there), lane="pool")
        assert await served.value("forking") == "worked"
        assert [await served.value("pid") for _ in range(3)] == [pid] * 3
        assert len([report for report in served.reports if isinstance(report, Ended)]) == 5


async def test_a_worker_that_dies_in_an_import_says_which(modules: Modules) -> None:
    async with workers() as served:
        served.handlers.add("fatal", modules.function("fatal_module", "_os._exit(5)"), lane="pool")
        await served.submit(served.work("fatal"))
        await served.until(lambda: any(isinstance(report, WorkerLost) for report in served.reports))
        (lost,) = [report for report in served.reports if isinstance(report, WorkerLost)]
        assert lost.reason.endswith("ended with status 5 before it had imported module 'fatal_module'")
        assert await served.value("double", i=1) == 2
