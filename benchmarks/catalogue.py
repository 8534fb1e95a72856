"""Everything there is to measure, with its floor."""

from typing import Final

from benchmarks.figures import Figure, Measure

LOOPS: Final = ("uvloop", "asyncio")
HANDLERS: Final = {"coroutine": 40_000.0, "thread": 15_000.0}
PROCESSES: Final = 10_000.0
POSTGRES: Final = 15_000.0
SLOTS: Final = 256
ROWS: Final = 10_000_000
_CPU: Final = Figure("cpu_us", "processor time a task, of this process alone", "µs")
_SUBMIT: Final = Figure("submit_per_s", "rows accepted a second meanwhile", "/s")
_HOW: Final = {
    "as_completed": "submit_many, then all through as_completed, durable",
    "wait": "submit_many, then batch.wait, durable",
    "single": "{callers:,} callers, each submit and await the result, durable",
}


def catalogue(rows: int | None = None, *, quick: bool = False) -> list[Measure]:
    """Every measure; `rows` wait in `waiting` (ten million unless set), a tenth of them is blocked in `blocked`.

    `quick`: sizes that show that everything works, and nothing else.
    """
    many = rows or (100_000 if quick else ROWS)
    measures = [_throughput(handler, how, loop, quick=quick) for handler in HANDLERS for loop in LOOPS for how in _HOW]
    measures.append(_throughput("coroutine", "as_completed", "uvloop", quick=quick, slots=2_048))
    measures += [_busy(loop, quick=quick) for loop in LOOPS]
    measures += [_processes(how, loop, slots, quick=quick) for loop in LOOPS for how in _HOW for slots in (SLOTS, 0)]
    measures += [_postgres(how, quick=quick) for how in _HOW]
    measures.append(_postgres_idle(100 if quick else 2_000))
    measures += [_skeleton(loop, slots, quick=quick) for slots in (SLOTS, 2_048) for loop in LOOPS]
    measures += [_idle(loop, 100 if quick else 2_000) for loop in LOOPS]
    shapes = ((1, False), (100, False), (16, True))
    measures += [_shards(n_shards, mixed=mixed, rounds=2_000 if quick else 50_000) for n_shards, mixed in shapes]
    measures += [_sleeping(loop, 1 if quick else 10) for loop in LOOPS]
    measures += [_fan(loop, 5 if quick else 50) for loop in LOOPS]
    measures += [_batch_run(handler, 4_000 if quick else 100_000) for handler in HANDLERS]
    measures += [_definitions(form, n // 100 if quick else n) for form, n in (("json", 100_000), ("yaml", 10_000))]
    measures += [_workflow(loop, 400 if quick else 10_000) for loop in LOOPS]
    return [*measures, _blocked(max(1_000, many // 10), 50 if quick else 300), _waiting(many)]


def _throughput(handler: str, how: str, loop: str, *, quick: bool, slots: int = 0) -> Measure:
    return _end_to_end(
        f"{handler}.{how}.{loop}" + (f".{slots}-slots" if slots else ""),
        Figure("per_s", _said(how, quick=quick), "/s", HANDLERS[handler]),
        {"handler": handler, "how": how, "loop": loop, "slots": slots, "n": 60_000 if how == "single" else 200_000},
        quick=quick,
        beside=f"skeleton.{loop}" if handler == "coroutine" and not slots else "",
    )


def _busy(loop: str, *, quick: bool) -> Measure:
    """Beside two handlers that compute in threads: at least half of the rate without them, which stands beside."""
    how = "as_completed"
    return _end_to_end(
        f"busy.{how}.{loop}",
        Figure("per_s", f"{_said(how, quick=quick)}, two threads compute beside", "/s"),
        {"handler": "coroutine", "how": how, "loop": loop, "slots": 0, "n": 100_000, "busy": 2},
        quick=quick,
        beside=f"coroutine.{how}.{loop}",
    )


def _processes(how: str, loop: str, slots: int, *, quick: bool) -> Measure:
    """In two worker processes with these slots; 0: as the lane comes, one for each processor."""
    what = f"{_said(how, quick=quick)}, {f'{slots} slots' if slots else 'a slot for each processor'}"
    n = 100_000 if how != "single" else 20_000
    return _end_to_end(
        f"process.{how}.{loop}" + (f".{slots}-slots" if slots else ""),
        Figure("per_s", what, "/s", PROCESSES),
        {"handler": "process", "how": how, "loop": loop, "slots": slots, "n": n, "workers": 2},
        quick=quick,
    )


def _postgres(how: str, *, quick: bool) -> Measure:
    """Coroutines with the ledger on PostgreSQL, whose server shares the processors."""
    n = 20_000 if how == "single" else 60_000
    return _end_to_end(
        f"postgres.{how}",
        Figure("per_s", f"{_said(how, quick=quick)}, on PostgreSQL", "/s", POSTGRES),
        {"handler": "coroutine", "how": how, "loop": "uvloop", "slots": 0, "n": n},
        quick=quick,
        postgres=True,
    )


def _end_to_end(
    name: str, rate: Figure, size: dict[str, int | str], *, quick: bool, postgres: bool = False, beside: str = ""
) -> Measure:
    """Tasks from `submit` to their end; `size["how"]` says whether one by one or all in a batch."""
    callers = _callers(str(size["how"]), quick=quick)
    figures = (rate, _CPU) if callers else (rate, _CPU, _SUBMIT)
    small = {"n": 4_000} if quick else {}
    return Measure(name, "throughput", figures, {**size, "callers": callers, **small}, postgres=postgres, beside=beside)


def _callers(how: str, *, quick: bool) -> int:
    return (200 if quick else 1_000) if how == "single" else 0


def _said(how: str, *, quick: bool) -> str:
    return _HOW[how].format(callers=_callers(how, quick=quick))


def _postgres_idle(rounds: int) -> Measure:
    figures = (
        Figure("p50_ms", "idle round trip on PostgreSQL, p50", "ms"),
        Figure("p99_ms", "idle round trip on PostgreSQL, p99", "ms"),
        Figure("submit_p50_ms", "of it until submit returned, p50", "ms"),
    )
    return Measure("postgres.idle", "idle", figures, {"loop": "uvloop", "rounds": rounds}, postgres=True)


def _skeleton(loop: str, slots: int, *, quick: bool) -> Measure:
    figures = (
        Figure("per_s", f"a bare loop, {slots:,} at a time, two group commits a task, no history", "/s"),
        _CPU,
        Figure("idle_p50_ms", "its idle round trip, p50", "ms"),
        Figure("idle_p99_ms", "its idle round trip, p99", "ms"),
    )
    size: dict[str, int | str] = {"n": 4_000, "rounds": 100} if quick else {"n": 200_000, "rounds": 1_000}
    name = f"skeleton.{loop}" + (f".{slots}-slots" if slots != SLOTS else "")
    return Measure(name, "skeleton", figures, {"loop": loop, "slots": slots, **size})


def _idle(loop: str, rounds: int) -> Measure:
    figures = (
        Figure("p50_ms", "idle round trip, submit → result, durable, p50", "ms", 1.0, at_most=True),
        Figure("p99_ms", "idle round trip, submit → result, durable, p99", "ms", 5.0, at_most=True),
        Figure("submit_p50_ms", "of it until submit returned, p50", "ms"),
    )
    return Measure(f"idle.{loop}", "idle", figures, {"loop": loop, "rounds": rounds})


def _shards(n_shards: int, *, mixed: bool, rounds: int) -> Measure:
    what = f"{n_shards} shard{'s' if n_shards > 1 else ''}, {'mixed priorities' if mixed else 'one priority'}"
    figures = (
        Figure("per_s", f"tasks in and out, depth 10,000, by 16, {what}", "/s", 1_420_000.0),
        Figure("cpu_us", "processor time an operation", "µs"),
    )
    size: dict[str, int | str] = {"shards": n_shards, "priorities": int(mixed), "depth": 10_000, "rounds": rounds}
    return Measure(f"shards.{n_shards}" + (".mixed" if mixed else ""), "shards", figures, size, durable=False)


def _sleeping(loop: str, seconds: int) -> Measure:
    figures = (
        Figure("p50_ms", "1,000 asleep, 4,000 new a second: ready → started, p50", "ms"),
        Figure("p99_ms", "1,000 asleep, 4,000 new a second: ready → started, p99", "ms", 5.0, at_most=True),
        Figure("due_p50_ms", "the same from when each was due to be submitted, p50", "ms"),
        Figure("due_p99_ms", "the same from when each was due to be submitted, p99", "ms"),
        Figure("asleep", "handlers asleep at once, median", ""),
    )
    size: dict[str, int | str] = {"loop": loop, "rate": 4_000, "asleep": 1_000, "seconds": seconds}
    return Measure(f"sleeping.{loop}", "sleeping", figures, size)


def _fan(loop: str, rounds: int) -> Measure:
    figures = (
        Figure("p50_ms", "1 → 100 → 1: first started → result of the last, p50", "ms", 10.0, at_most=True),
        Figure("p99_ms", "1 → 100 → 1: first started → result of the last, p99", "ms"),
    )
    return Measure(f"fan.{loop}", "fan", figures, {"loop": loop, "width": 100, "rounds": rounds})


def _batch_run(handler: str, n: int) -> Measure:
    figures = (Figure("per_s", f"wsaios batch run, {n:,} rows of CSV, a {handler}, whole process", "/s"),)
    return Measure(f"batch_run.{handler}", "batch_run", figures, {"handler": handler, "n": n})


def _definitions(form: str, steps: int) -> Measure:
    figures = (
        Figure("s", f"a definition of {steps:,} steps in {form.upper()}: parse, check, order", "s", 2.0, at_most=True),
        Figure("cpu_s", "processor time of it", "s"),
        Figure("growth", "its time by that of a quarter of it, by 4; 1 is linear", ""),
        Figure("load_s", "the same from the ledger's text, checked before", "s"),
    )
    return Measure(f"definitions.{form}", "definitions", figures, {"form": form, "steps": steps}, durable=False)


def _workflow(loop: str, steps: int) -> Measure:
    figures = (
        Figure("per_s", f"a run of {steps:,} steps that do nothing, in layers, durable", "/s", 15_000.0),
        Figure("cpu_us", "processor time a step, of this process alone", "µs"),
        Figure("check_s", "its definition built and checked", "s"),
    )
    return Measure(
        f"workflow.{loop}", "workflow", figures, {"loop": loop, "steps": steps, "width": min(steps // 4, 1_000)}
    )


def _blocked(rows: int, rounds: int) -> Measure:
    figures = (
        Figure("p99_ms", f"submit → started behind {rows:,} blocked of another tenant, p99", "ms", 10.0, at_most=True),
        Figure("p50_ms", "the same, p50", "ms"),
        Figure("max_ms", "the same, the slowest of all", "ms"),
    )
    return Measure("blocked", "blocked", figures, {"rows": rows, "rounds": rounds}, own_runs=True)


def _waiting(rows: int) -> Measure:
    over = f"{rows:,} waiting, peak memory over 10,000 waiting"
    figures = (
        Figure("over_mib", f"{over}: start and 4,000 run", "MiB", 64.0, at_most=True),
        Figure("make_over_mib", f"{over}: submitted", "MiB", 64.0, at_most=True),
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
    return Measure("waiting", "waiting", figures, {"rows": rows}, own_runs=True)
