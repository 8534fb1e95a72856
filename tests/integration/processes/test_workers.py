"""Functions in worker processes, on the engine alone."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import handlers
from tests.unit.engines.local.running import Running, running
from wsaios.engines.local.process.lane import ProcessLane
from wsaios.kernel.engine import AtHand, AttemptRef, Ended, Unbegun, Verdict, WorkerLost
from wsaios.kernel.task import Failure, LaneSpec, Processes

PATIENCE_S = 60.0
LOOK_S = 0.005
SINGLE = [
    *("pid", "imported", "double", "die", "hold", "heed", "born", "talk", "flood", "remember", "steps", "grow"),
    *("settings", "sleep", "fork"),
]


@asynccontextmanager
async def workers(slots: int = 2, grace_s: float = 0.2, **options: Any) -> AsyncIterator[Running]:
    lanes = {"pool": LaneSpec("pool", slots, "process", Processes(**options))}
    async with running(lanes=lanes, grace_s=grace_s) as served:
        for name in SINGLE:
            served.handlers.add(name, getattr(handlers, name), lane="pool")
        for name in ("rows", "rows_die", "fork_rows"):
            served.handlers.add(name, getattr(handlers, name), lane="pool", batched=True)
        yield served


def lane(served: Running) -> ProcessLane:
    found = served.engine._lanes["pool"]  # noqa: SLF001  # which processes there are is nobody's business but a test's
    assert isinstance(found, ProcessLane)
    return found


def lost(served: Running) -> list[WorkerLost]:
    return [report for report in served.reports if isinstance(report, WorkerLost)]


async def left(served: Running, count: int) -> None:
    """Wait until there are so many workers."""
    async with asyncio.timeout(PATIENCE_S):
        while len(lane(served).pids) != count:  # noqa: ASYNC110  # nobody tells how many there are
            await asyncio.sleep(LOOK_S)


async def appeared(path: Path) -> str:
    async with asyncio.timeout(PATIENCE_S):
        while not path.exists():  # noqa: ASYNC110  # a file of another process tells nobody
            await asyncio.sleep(LOOK_S)
    return path.read_text("ascii")


async def gone(pid: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not ended(pid):  # noqa: ASYNC110  # the same
            await asyncio.sleep(LOOK_S)


def ended(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text("utf-8")
    except OSError:
        return True


async def test_a_function_runs_in_another_process_and_its_module_is_imported_once() -> None:
    async with workers(slots=1) as served:
        first = await served.value("imported")
        assert first[0] != os.getpid()
        assert await served.value("imported") == [first[0], 2]
        assert await served.value("pid") == first[0]


async def test_workers_start_as_works_come_up_to_their_number() -> None:
    async with workers(slots=8, count=2) as served:
        assert lane(served).pids == []
        await served.value("pid")
        assert len(lane(served).pids) == 1
        ends = await served.ends(*[served.work("sleep", {"seconds": 0.05}) for _ in range(8)])
        assert {end.verdict for end in ends} == {Verdict.SUCCEEDED}
        assert len({end.result for end in ends}) == 2
        assert len(lane(served).pids) == 2


async def test_workers_that_have_nothing_to_do_end_and_come_back_when_there_is_more() -> None:
    async with workers(slots=4, count=4, idle_s=0.05, least=1) as served:

        async def busy(count: int) -> set[int]:
            """Who was at work."""
            ends = await served.ends(*[served.work("sleep", {"seconds": 0.2}) for _ in range(count)])
            assert {end.verdict for end in ends} == {Verdict.SUCCEEDED}
            return {int(end.result) for end in ends}

        first = await busy(4)
        assert len(first) > 1
        await left(served, 1)
        (stays,) = lane(served).pids
        for pid in first - {stays}:
            await gone(pid)
        assert await served.value("pid") == stays
        assert len(await busy(4)) > 1
        assert lost(served) == []


async def test_a_worker_that_is_at_work_does_not_end_however_long_others_are_idle() -> None:
    async with workers(slots=2, count=2, idle_s=0.02, least=0) as served:
        ends = await served.ends(served.work("sleep", {"seconds": 0.3}), served.work("sleep", {"seconds": 0}))
        assert {end.verdict for end in ends} == {Verdict.SUCCEEDED}
        await left(served, 0)
        assert await served.value("double", i=4) == 8
        assert lost(served) == []


async def test_short_calls_go_ahead_in_order_and_come_back_each_once() -> None:
    async with workers(slots=2_000, count=1) as served:
        ends = await served.ends(*[served.work("double", {"i": i}) for i in range(2_000)])
        assert [end.result for end in ends] == [b"%d" % (2 * i) for i in range(2_000)]
        over = [report.task for report in served.reports if isinstance(report, Ended)]
        assert over == sorted(over)


async def test_a_call_behind_one_that_takes_long_goes_to_another_worker(tmp_path: Path) -> None:
    async with workers(slots=100, count=2) as served:
        # Calls of this handler are known as short, so that several are sent ahead.
        await served.ends(*[served.work("sleep", {"seconds": 0}) for _ in range(50)])
        works = [served.work("hold", {"mark": str(tmp_path / "held")})]
        works += [served.work("sleep", {"seconds": 0}) for _ in range(50)]
        refs = await served.submit(*works)
        await served.until(lambda: all(served.of(Ended, ref) for ref in refs[1:]))
        assert served.of(Ended, refs[0]) == []


async def test_what_waits_beyond_the_slots_is_given_back_when_no_worker_gets_further(tmp_path: Path) -> None:
    async with workers(slots=1) as served:
        # On a machine that is busy a call may take longer than what may wait.
        while not any(isinstance(report, AtHand) and report.rows for report in served.reports):
            await served.value("double", i=0)
        works = [served.work("hold", {"mark": str(tmp_path / "held")})]
        works += [served.work("double", {"i": i}) for i in range(10)]
        refs = await served.submit(*works)
        await served.until(lambda: all(served.of(Unbegun, ref) for ref in refs[1:]))
        assert served.of(Unbegun, refs[0]) == []
        told = [report for report in served.reports if isinstance(report, AtHand)]
        assert told[-1] == AtHand("pool", "double", 0)
        assert served.reports.index(told[-1]) < served.reports.index(served.of(Unbegun, refs[1])[0])
        assert served.engine.capacity() == {"pool": 0}
        served.engine.cancel(refs[:1])
        await served.until(lambda: bool(served.of(Ended, refs[0])))
        assert served.engine.capacity() == {"pool": 1}
        assert await served.value("double", i=2) == 4


@pytest.mark.parametrize("how, told", [("segfault", "SIGSEGV"), ("exit", "status 3"), ("kill", "SIGKILL")])
async def test_a_crash_takes_one_attempt_with_it_and_nothing_that_waited(how: str, told: str) -> None:
    async with workers(slots=200, count=1) as served:
        await served.ends(*[served.work("double", {"i": i}) for i in range(20)])
        works = [served.work("double", {"i": i}) for i in range(100)]
        works.insert(50, served.work("die", {"how": how}))
        refs = await served.submit(*works)
        rest = refs[:50] + refs[51:]
        await served.until(lambda: bool(lost(served)) and all(served.of(Ended, ref) for ref in rest))
        assert [report.held for report in lost(served)] == [[refs[50]]]
        assert told in lost(served)[0].reason
        assert {served.of(Ended, ref)[0].verdict for ref in rest} == {Verdict.SUCCEEDED}
        assert served.engine.capacity() == {"pool": 200}


async def test_a_worker_killed_from_outside_loses_what_it_did(tmp_path: Path) -> None:
    async with workers() as served:
        (held,) = await served.submit(served.work("hold", {"mark": str(tmp_path / "held")}))
        os.kill(int(await appeared(tmp_path / "held")), signal.SIGKILL)
        await served.until(lambda: bool(lost(served)))
        assert [report.held for report in lost(served)] == [[held]]
        assert await served.value("double", i=2) == 4


async def test_a_worker_killed_while_idle_loses_nothing() -> None:
    async with workers(slots=1) as served:
        before = await served.value("pid")
        os.kill(before, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            while lane(served).pids:  # noqa: ASYNC110  # nothing is reported
                await asyncio.sleep(LOOK_S)
        assert await served.value("pid") != before
        assert lost(served) == []


async def test_a_crash_of_a_batched_call_loses_all_of_its_rows() -> None:
    async with workers() as served:
        assert [end.result for end in await served.ends(served.work("rows", {"i": 1}, {"i": 2}))] == [b"10", b"20"]
        refs = await served.submit(served.work("rows_die", {"i": 12}, {"i": 13}, {"i": 14}))
        await served.until(lambda: bool(lost(served)))
        assert [report.held for report in lost(served)] == [refs]


async def test_a_call_out_of_time_is_killed_with_what_it_started_and_its_worker_replaced(tmp_path: Path) -> None:
    async with workers(slots=1) as served:
        await served.value("pid")
        (ref,) = await served.submit(served.work("born", {"mark": str(tmp_path / "born")}, timeout_s=0.5))
        child = int(await appeared(tmp_path / "born"))
        await served.until(lambda: bool(served.of(Ended, ref)))
        (end,) = served.of(Ended, ref)
        assert (end.verdict, end.freed) == (Verdict.TIMED_OUT, True)
        await gone(child)
        assert await served.value("double", i=1) == 2
        assert lost(served) == []


async def test_a_call_out_of_time_may_end_by_itself_first(tmp_path: Path) -> None:
    async with workers(slots=1, grace_s=PATIENCE_S) as served:
        before = await served.value("pid")
        (end,) = await served.ends(served.work("heed", {"mark": str(tmp_path / "begun")}, timeout_s=0.02))
        assert end.verdict == Verdict.TIMED_OUT
        assert (tmp_path / "begun.heeded").exists()
        assert await served.value("pid") == before


async def test_the_time_of_a_call_runs_from_its_beginning() -> None:
    async with workers(slots=4, count=1) as served:
        # Each waits for those before it longer than its limit, and the first for the start of its worker as well.
        ends = await served.ends(*[served.work("sleep", {"seconds": 0.15}, timeout_s=0.25) for _ in range(4)])
        assert {end.verdict for end in ends} == {Verdict.SUCCEEDED}


async def test_a_cancelled_call_is_told_and_may_answer(tmp_path: Path) -> None:
    async with workers(slots=1, grace_s=PATIENCE_S) as served:
        refs = await served.submit(served.work("heed", {"mark": str(tmp_path / "begun")}))
        await appeared(tmp_path / "begun")
        served.engine.cancel(refs)
        await served.until(lambda: bool(served.of(Ended, refs[0])))
        assert served.of(Ended, refs[0])[0].result == b'"heeded"'


async def test_a_cancelled_call_that_goes_on_is_killed(tmp_path: Path) -> None:
    async with workers(slots=1) as served:
        refs = await served.submit(served.work("hold", {"mark": str(tmp_path / "held")}))
        pid = int(await appeared(tmp_path / "held"))
        served.engine.cancel(refs)
        await served.until(lambda: bool(served.of(Ended, refs[0])))
        assert served.of(Ended, refs[0])[0].verdict == Verdict.CANCELLED
        await gone(pid)


async def test_what_waits_in_the_pipe_can_be_cancelled() -> None:
    async with workers(slots=300, count=1) as served:
        await served.ends(*[served.work("double", {"i": i}) for i in range(50)])
        refs = await served.submit(*[served.work("double", {"i": i}) for i in range(300)])
        await asyncio.sleep(0)
        served.engine.cancel(refs[1::2])
        await served.until(lambda: all(served.of(Ended, ref) for ref in refs))
        assert all(len(served.of(Ended, ref)) == 1 for ref in refs)
        assert {served.of(Ended, ref)[0].verdict for ref in refs[::2]} == {Verdict.SUCCEEDED}


async def test_a_worker_is_replaced_after_so_many_works() -> None:
    async with workers(slots=10, count=1, max_tasks=3) as served:
        ends = await served.ends(*[served.work("pid") for _ in range(10)])
        assert [end.verdict for end in ends] == [Verdict.SUCCEEDED] * 10
        pids = [end.result for end in ends]
        assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 3, 1]
        assert lost(served) == []


async def test_a_worker_is_replaced_when_it_has_too_much_memory() -> None:
    async with workers(slots=1, max_mib=150) as served:
        first = await served.value("grow", mib=10)
        assert await served.value("grow", mib=200) == first
        assert await served.value("grow", mib=10) != first


async def test_progress_and_checkpoints_reach_the_scheduler_even_before_a_crash() -> None:
    async with workers(slots=1) as served:
        (ref,) = await served.submit(served.work("remember"))
        await served.until(lambda: bool(lost(served)))
        note = served.notes()[-1]
        assert (note.task, note.fraction, note.note, note.saved) == (ref.task, 0.25, "a quarter", b'{"attempt":1}')
        again = served.work("remember")
        again.attempts[0].saved, again.attempts[0].number, again.attempts[0].batch = note.saved, 2, 0
        (end,) = await served.ends(again)
        assert end.result == b'{"saved":{"attempt":1},"attempt":2,"tenant":"default","batch":null}'


async def test_only_the_latest_progress_is_passed_on() -> None:
    async with workers(slots=1) as served:
        assert await served.value("steps", n=20_000) == 20_000
        notes = served.notes()
        assert notes[-1].note == "step 19999"
        assert len(notes) < 2_000


async def test_output_and_log_lines_come_out_here(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    out, err = io.StringIO(), io.StringIO()
    async with workers(slots=1) as served:
        monkeypatch.setattr("sys.stdout", out)
        monkeypatch.setattr("sys.stderr", err)
        task = await served.value("talk", fail=False)
    monkeypatch.undo()
    assert "to stdout\npast Python\n" in out.getvalue()
    assert "told" in out.getvalue()
    assert "number=7" in out.getvalue()
    assert err.getvalue() == "to stderr\n"
    assert [(record.name, record.levelname, record.message) for record in caplog.records] == [
        ("handlers", "WARNING", f"logged {task}")
    ]


async def test_a_failure_carries_the_end_of_the_output() -> None:
    async with workers(slots=1) as served:
        end = await served.end("talk", fail=True)
        assert end.failure is not None
        assert end.failure.traceback.startswith("Traceback")
        assert end.failure.traceback.endswith("ValueError: it failed\nOutput:\nto stdout\nto stderr\n")
        end = await served.end("flood", lines=50_000)
        assert end.failure is not None
        assert end.failure.traceback.endswith("line 49999\n")
        assert len(end.failure.traceback) < 4_000


async def test_a_lane_has_its_niceness_and_processors() -> None:
    cpu = min(os.sched_getaffinity(0))
    async with workers(slots=1, nice=3, cpus=(cpu,)) as served:
        assert await served.value("settings") == [os.nice(0) + 3, [cpu], True]


async def test_a_signal_for_everybody_ends_no_worker() -> None:
    async with workers(slots=1) as served:
        pid = await served.value("pid")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
        assert await served.value("pid") == pid


async def test_a_module_that_cannot_be_imported_fails_the_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSAIOS_TEST_BREAK", "1")
    async with workers(slots=1) as served:
        served.handlers.add("elsewhere", _elsewhere, lane="pool")
        end = await served.end("elsewhere")
        assert (end.verdict, lost(served)) == (Verdict.FAILED, [])
        assert end.failure is not None
        assert end.failure.kind == "RuntimeError"
        assert "could not import" in end.failure.message
        assert await served.value("double", i=1) == 2


async def test_large_arguments_and_results_pass() -> None:
    async with workers(slots=4, count=2) as served:
        served.handlers.add("echo", handlers.double, lane="pool")
        text = "x" * 900_000
        ends = await served.ends(*[served.work("echo", {"i": text[:500_000]}) for _ in range(8)])
        assert {len(end.result) for end in ends} == {1_000_002}


@pytest.mark.parametrize("how, status", [("return", 0), ("raise", 1), ("exit", 4)])
async def test_a_process_that_a_call_forked_answers_nothing(
    how: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with workers(slots=1) as served:
        worker = await served.value("pid")
        (end,) = await served.ends(served.work("fork", {"how": how}))
        assert (end.verdict, end.result, end.failure) == (Verdict.SUCCEEDED, b"%d" % status, None)
        rows = await served.ends(served.work("fork_rows", {"i": 1}, {"i": 2}))
        assert [row.result for row in rows] == [b"1", b"2"]
        assert [await served.value("pid") for _ in range(20)] == [worker] * 20
        assert len([report for report in served.reports if isinstance(report, Ended)]) == 24
        assert (served.notes(), lost(served), caplog.records) == ([], [], [])


async def test_stopping_ends_idle_and_busy_workers(tmp_path: Path) -> None:
    async with workers(slots=2) as served:
        await served.value("pid")
        await served.submit(served.work("hold", {"mark": str(tmp_path / "held")}))
        await appeared(tmp_path / "held")
        pids = lane(served).pids
        begun_s = time.monotonic()
        await served.engine.stop()
        assert time.monotonic() - begun_s < PATIENCE_S
        assert all(not Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.parametrize("what", ["subprocess.Popen", "threading.Thread.start"])
@pytest.mark.parametrize("trouble", [OSError("no more of them"), RuntimeError("no more of them")])
async def test_a_work_for_which_no_process_can_be_started_fails_alone(
    what: str, trouble: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with workers(slots=1) as served:

        def refuse(*_: object, **__: object) -> None:
            raise trouble

        monkeypatch.setattr(what, refuse)
        (end,) = await served.ends(served.work("pid", timeout_s=PATIENCE_S))
        assert (end.verdict, end.failure) == (
            Verdict.FAILED,
            Failure("NoWorker", "no worker process could be started: no more of them"),
        )
        monkeypatch.undo()
        assert served.engine.capacity() == {"pool": 1}
        assert await served.value("pid") > 0


def _elsewhere() -> AttemptRef:
    raise AssertionError


if "WSAIOS_TEST_BREAK" in os.environ:
    raise RuntimeError("this module is broken")
