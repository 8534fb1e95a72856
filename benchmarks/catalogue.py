"""Everything there is to measure, with its floor."""

from typing import Final

from benchmarks.figures import Figure, Measure

LOOPS: Final = ("uvloop", "asyncio")
_QUICK_N: Final = 4_000
_CPU: Final = Figure("cpu_us", "processor time a task, of this process alone", "µs")
_SUBMIT: Final = Figure("submit_per_s", "rows accepted a second meanwhile", "/s")
_HOW: Final = {
    "as_completed": ("submit_many, then all through as_completed", {"n": 200_000}),
    "wait": ("submit_many, then batch.wait", {"n": 200_000}),
    "single": ("1,000 callers, each submit and await the result", {"n": 60_000, "callers": 1_000}),
}
_FLOORS: Final = {"coroutine": 40_000.0, "thread": 15_000.0}


def catalogue(rows: int | None = None) -> list[Measure]:
    """Every measure; `rows` wait in `waiting` (ten million unless set), a tenth of them is blocked in `blocked`."""
    measures = [_throughput(handler, how, loop) for handler in _FLOORS for loop in LOOPS for how in _HOW]
    measures.append(_throughput("coroutine", "as_completed", "uvloop", slots=2_048))
    measures += [_skeleton(loop, slots) for slots in (256, 2_048) for loop in LOOPS]
    measures += [_idle(loop) for loop in LOOPS]
    measures += [_shards(n_shards, priorities) for n_shards, priorities in ((1, 0), (100, 0), (16, 1))]
    measures += [_sleeping(loop) for loop in LOOPS]
    measures += [_fan(loop) for loop in LOOPS]
    measures += [_batch_run(handler) for handler in _FLOORS]
    return [*measures, _blocked(rows), _waiting(rows)]


def _throughput(handler: str, how: str, loop: str, slots: int = 0) -> Measure:
    says, size = _HOW[how]
    name = f"{handler}.{how}.{loop}"
    given: dict[str, int | str] = {"handler": handler, "how": how, "loop": loop, "slots": slots, "callers": 0, **size}
    figures = (Figure("per_s", f"{says}, durable", "/s", _FLOORS[handler]), _SUBMIT, _CPU)
    return Measure(
        f"{name}.{slots}-slots" if slots else name,
        "throughput",
        figures,
        given,
        {**given, "n": _QUICK_N, "callers": min(200, int(given["callers"]))},
        beside=f"skeleton.{loop}" if handler == "coroutine" and not slots else "",
    )


def _skeleton(loop: str, slots: int) -> Measure:
    name = f"skeleton.{loop}" if slots == 256 else f"skeleton.{loop}.{slots}-slots"
    figures = (
        Figure("per_s", f"a bare loop, {slots} at a time, two group commits a task, no history", "/s"),
        _CPU,
        Figure("idle_p50_ms", "its idle round trip, p50", "ms"),
        Figure("idle_p99_ms", "its idle round trip, p99", "ms"),
    )
    size: dict[str, int | str] = {"loop": loop, "slots": slots, "n": 200_000, "rounds": 1_000}
    return Measure(name, "skeleton", figures, size, {**size, "n": _QUICK_N, "rounds": 100})


def _idle(loop: str) -> Measure:
    figures = (
        Figure("p50_ms", "idle round trip, submit → result, durable, p50", "ms", 1.0, at_most=True),
        Figure("p99_ms", "idle round trip, submit → result, durable, p99", "ms", 5.0, at_most=True),
        Figure("submit_p50_ms", "of it until submit returned, p50", "ms"),
    )
    return Measure(f"idle.{loop}", "idle", figures, {"loop": loop, "rounds": 2_000}, {"loop": loop, "rounds": 100})


def _shards(n_shards: int, priorities: int) -> Measure:
    what = f"{n_shards} shard{'s' if n_shards > 1 else ''}, {'mixed priorities' if priorities else 'one priority'}"
    figures = (
        Figure("per_s", f"tasks in and out, depth 10,000, by 16, {what}", "/s", 1_420_000.0),
        Figure("cpu_us", "processor time an operation", "µs"),
    )
    size: dict[str, int | str] = {"shards": n_shards, "priorities": priorities, "depth": 10_000, "rounds": 50_000}
    name = f"shards.{n_shards}" + (".mixed" if priorities else "")
    return Measure(name, "shards", figures, size, {**size, "rounds": 2_000}, durable=False)


def _sleeping(loop: str) -> Measure:
    figures = (
        Figure("p50_ms", "1,000 asleep, 4,000 new a second: ready → started, p50", "ms"),
        Figure("p99_ms", "1,000 asleep, 4,000 new a second: ready → started, p99", "ms", 5.0, at_most=True),
        Figure("due_p50_ms", "the same from when each was due to be submitted, p50", "ms"),
        Figure("due_p99_ms", "the same from when each was due to be submitted, p99", "ms"),
        Figure("asleep", "handlers asleep at once, median", ""),
    )
    size: dict[str, int | str] = {"loop": loop, "rate": 4_000, "asleep": 1_000, "seconds": 10}
    return Measure(f"sleeping.{loop}", "sleeping", figures, size, {**size, "seconds": 1})


def _fan(loop: str) -> Measure:
    figures = (
        Figure("p50_ms", "1 → 100 → 1: first started → result of the last, p50", "ms", 10.0, at_most=True),
        Figure("p99_ms", "1 → 100 → 1: first started → result of the last, p99", "ms"),
    )
    size: dict[str, int | str] = {"loop": loop, "width": 100, "rounds": 50}
    return Measure(f"fan.{loop}", "fan", figures, size, {**size, "rounds": 5})


def _batch_run(handler: str) -> Measure:
    figures = (Figure("per_s", f"wsaios batch run over CSV, a {handler}, whole process", "/s"),)
    size: dict[str, int | str] = {"handler": handler, "n": 100_000}
    return Measure(f"batch_run.{handler}", "batch_run", figures, size, {**size, "n": _QUICK_N})


def _blocked(rows: int | None) -> Measure:
    blocked = max(1_000, (rows or 10_000_000) // 10)
    figures = (
        Figure(
            "p99_ms", f"submit → started behind {blocked:,} blocked of another tenant, p99", "ms", 10.0, at_most=True
        ),
        Figure("p50_ms", "the same, p50", "ms"),
        Figure("max_ms", "the same, the slowest of all", "ms"),
    )
    size: dict[str, int | str] = {"rows": blocked, "rounds": 300}
    quick = {**size, "rows": blocked if rows else 10_000, "rounds": 50}
    return Measure("blocked", "blocked", figures, size, quick, own_runs=True)


def _waiting(rows: int | None) -> Measure:
    many = rows or 10_000_000
    figures = (
        Figure(
            "over_mib",
            f"{many:,} waiting, peak memory over 10,000 waiting: start and 4,000 run",
            "MiB",
            64.0,
            at_most=True,
        ),
        Figure("make_over_mib", "the same of the process that submitted them", "MiB", 64.0, at_most=True),
        Figure("many_mib", "peak memory with all of them waiting", "MiB"),
        Figure("few_mib", "peak memory with 10,000 waiting", "MiB"),
        Figure("restart_clean_s", "start() → first dispatch, after a clean stop", "s", 0.5, at_most=True),
        Figure("restart_killed_s", "start() → first dispatch, after kill -9", "s", 0.5, at_most=True),
        Figure("restart_cold_s", "start() → first dispatch, the file not in the page cache", "s"),
        Figure("process_clean_s", "the same from the start of the process, after a clean stop", "s"),
        Figure("process_killed_s", "the same from the start of the process, after kill -9", "s"),
        Figure("make_s", "time to submit them all (one batch, lane paused)", "s"),
        Figure("make_per_s", "rows submitted a second", "/s"),
        Figure("size_gib", "the ledger on disk", "GiB"),
    )
    return Measure("waiting", "waiting", figures, {"rows": many}, {"rows": rows or 100_000}, own_runs=True)
