"""The simulated engine: seeded, faulty while it is told to be, and complete once it is calm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import count
from random import Random

import msgspec
import pytest

from wsaios.kernel.engine import (
    AtHand,
    Attempt,
    AttemptRef,
    Ended,
    Freed,
    Noted,
    Receipt,
    Report,
    Started,
    Unbegun,
    Verdict,
    Work,
    WorkerLost,
)
from wsaios.kernel.task import Failure, LaneSpec
from wsaios.simulation.engine import SimEngine
from wsaios.simulation.faults import WILD, Fault, FaultPlan
from wsaios.simulation.pipe import STALE_RESULT
from wsaios.simulation.script import Answer

LANES = {
    "default": LaneSpec("default", 8),
    "thread": LaneSpec("thread", 2, "thread"),
    "process": LaneSpec("process", 2, "process"),
}
FREE = {"default": 8, "thread": 2, "process": 2}


class Driver:
    """Gives works to an engine and lets time pass until nothing more comes."""

    def __init__(self, engine: SimEngine) -> None:
        self.engine = engine
        self.now_us = 0
        self.receipts: list[Receipt] = []
        self.reports: list[Report] = []
        self._numbers = count(1)

    def work(self, lane: str = "default", rows: int = 1, *, fence: int = 1, **options: float) -> Work:
        attempts = [Attempt(next(self._numbers), fence, 1, 0, b"{}", "default") for _ in range(rows)]
        return Work("any", lane, attempts, options.get("timeout_s"))

    def take(self, *works: Work) -> list[AttemptRef]:
        self.receipts += self.engine.take(works, self.now_us)
        return [AttemptRef(attempt.task, attempt.fence) for work in works for attempt in work.attempts]

    def run(self) -> list[Report]:
        while (due_us := self.engine.next_us()) is not None:
            self.now_us = max(self.now_us, due_us)
            self.reports += self.engine.reports(self.now_us)
        return self.reports

    def calm(self) -> None:
        self.engine.calm(self.now_us)
        self.run()

    def finals(self) -> Counter[AttemptRef]:
        found: Counter[AttemptRef] = Counter()
        for report in self.reports:
            if isinstance(report, (Ended, Unbegun)):
                found[AttemptRef(report.task, report.fence)] += 1
            elif isinstance(report, WorkerLost):
                found.update(report.held)
        return found


def driver(plan: FaultPlan | None = None, seed: int = 0) -> Driver:
    return Driver(SimEngine(Random(seed), plan, lanes=LANES))


def history(seed: int) -> tuple[list[Receipt], list[Report], dict[Fault, int]]:
    """A few hundred works of every kind, under every fault, until all is calm."""
    run = driver(WILD, seed)
    rng = Random(seed)
    for step in range(60):
        works = [run.work(rng.choice(tuple(LANES)), rng.choice((1, 1, 4)), timeout_s=1.0) for _ in range(3)]
        refs = run.take(*works)
        if step % 3 == 0:
            run.engine.cancel(refs[:1], run.now_us)
        if step % 2 == 0:
            again = [msgspec.structs.replace(attempt, fence=2) for attempt in works[0].attempts]
            run.run()
            run.take(msgspec.structs.replace(works[0], attempts=again))
    run.run()
    run.calm()
    assert run.engine.idle
    return run.receipts, run.reports, dict(run.engine.counts)


def test_the_same_seed_gives_the_same_history() -> None:
    assert history(7) == history(7)
    assert history(7) != history(8)


def test_every_kind_of_fault_happens() -> None:
    counts: Counter[Fault] = Counter()
    for seed in range(10):
        counts.update(history(seed)[2])
    assert {fault for fault in Fault if not counts[fault]} == set()


def test_without_faults_every_attempt_starts_and_ends_once() -> None:
    run = driver()
    refs = run.take(*[run.work(lane, rows) for lane in LANES for rows in (1, 3) for _ in range(20)])
    run.run()
    assert run.engine.counts == {}
    assert run.finals() == dict.fromkeys(refs, 1)
    assert Counter(AttemptRef(r.task, r.fence) for r in run.reports if isinstance(r, Started)) == dict.fromkeys(refs, 1)
    assert run.engine.idle
    assert run.engine.free == FREE


def test_a_result_tells_which_attempt_it_came_from() -> None:
    run = driver()
    run.take(run.work(fence=3))
    (end,) = [report for report in run.run() if isinstance(report, Ended)]
    assert end.result == b"[1,3]"


@pytest.mark.parametrize(
    "plan",
    [
        FaultPlan(lose_submit=0.5),
        FaultPlan(lose_report=0.5),
        FaultPlan(lose_submit=0.3, lose_report=0.3, delay=0.5, reorder=1.0),
        FaultPlan(die=0.3, die_group=0.3, crash_batch=0.5),
        FaultPlan(time_out=0.5, stuck=0.5),
        FaultPlan(lend=0.5, give_back=0.5, lose_report=0.3),
    ],
)
def test_once_calm_every_attempt_was_reported_once(plan: FaultPlan) -> None:
    run = driver(plan)
    refs = run.take(*[run.work(lane, rows, timeout_s=5.0) for lane in LANES for rows in (1, 3) for _ in range(20)])
    run.run()
    run.calm()
    assert run.finals() == dict.fromkeys(refs, 1)
    assert run.engine.idle
    assert run.engine.free == FREE
    before = list(run.reports)
    run.calm()
    assert run.reports == before


def test_copies_that_are_still_under_way_do_not_come_once_it_is_calm() -> None:
    run = driver(FaultPlan(duplicate=1.0))
    refs = run.take(*[run.work() for _ in range(50)])
    run.reports += run.engine.reports(1_000)
    run.calm()
    assert run.finals() == dict.fromkeys(refs, 1)


def test_copies_equal_what_they_copy() -> None:
    run = driver(FaultPlan(duplicate=0.5))
    refs = run.take(*[run.work() for _ in range(50)])
    ends = [report for report in run.run() if isinstance(report, Ended)]
    assert len(ends) > len(refs)
    assert len({msgspec.json.encode(end) for end in ends}) == len(refs)


def test_a_lost_submission_is_unknown_to_a_probe() -> None:
    run = driver(FaultPlan(lose_submit=1.0))
    run.take(*[run.work() for _ in range(20)])
    assert set(run.receipts) == {Receipt.ACCEPTED, Receipt.UNKNOWN}
    assert run.engine.running() == []
    assert run.run() == []


def test_a_lost_submission_that_was_sent_again_runs_once() -> None:
    run = driver(FaultPlan(lose_submit=0.5))
    works = [run.work() for _ in range(40)]
    refs = run.take(*works)
    run.take(*works)
    run.run()
    run.calm()
    assert run.finals() == dict.fromkeys(refs, 1)


def test_a_group_dies_together() -> None:
    run = driver(FaultPlan(die_group=0.5))
    run.take(*[run.work() for _ in range(50)])
    sizes = {len(report.held) for report in run.run() if isinstance(report, WorkerLost)}
    assert max(sizes) > 1
    assert min(sizes) > 1


def test_stale_ends_belong_to_earlier_fences_and_are_recognisable() -> None:
    run = driver(FaultPlan(stale=1.0))
    first = run.work()
    run.take(first)
    run.run()
    run.take(msgspec.structs.replace(first, attempts=[msgspec.structs.replace(first.attempts[0], fence=5)]))
    stale = [report for report in run.run() if isinstance(report, Ended) and report.result == STALE_RESULT]
    assert [(report.task, report.fence) for report in stale] == [(first.attempts[0].task, 1)]


def test_threads_begin_as_slots_are_free() -> None:
    run = driver()
    run.take(*[run.work("thread") for _ in range(5)])
    begun = [sum(isinstance(report, Started) for report in run.engine.reports(at_us)) for at_us in (0, 1_000, 2_000)]
    assert begun == [2, 2, 1]


def test_what_waits_beyond_the_slots_of_processes_is_given_back_unbegun() -> None:
    run = driver(FaultPlan(give_back=1.0))
    refs = run.take(*[run.work("process") for _ in range(5)])
    run.run()
    back = {AttemptRef(report.task, report.fence) for report in run.reports if isinstance(report, Unbegun)}
    assert back == set(refs[2:])
    assert {AttemptRef(report.task, report.fence) for report in run.reports if isinstance(report, Started)} == set(
        refs[:2]
    )

    run = driver(FaultPlan(lend=1.0))
    run.take(run.work("process"), run.work("thread"))
    told = [report for report in run.run() if isinstance(report, AtHand)]
    assert [(report.lane, report.handler) for report in told] == [("process", "any")]


def scripted(answers: Iterator[Answer]) -> SimEngine:
    return SimEngine(Random(0), script=lambda _work, _attempt: next(answers), lanes=LANES)


def test_one_failing_row_takes_all_along_where_rows_may_run_once_only() -> None:
    failed = Answer(1, Verdict.FAILED, failure=Failure("ValueError", "boom"))
    for at_most_once, verdicts in ((True, [Verdict.FAILED] * 3), (False, [Verdict.SUCCEEDED, Verdict.FAILED, 0])):
        run = Driver(scripted(iter([Answer(), failed, Answer()])))
        work = run.work(rows=3)
        work.at_most_once = at_most_once
        run.take(work)
        assert [report.verdict for report in run.run() if isinstance(report, Ended)] == verdicts


def test_what_is_held_ends_when_it_is_released() -> None:
    run = Driver(scripted(iter([Answer(None)] * 3)))
    run.take(run.work("thread"), run.work())
    run.run()
    assert run.finals() == {}
    run.engine.release(run.now_us)
    assert len(run.finals()) == 0
    run.run()
    assert len(run.finals()) == 2
    run.take(run.work())
    run.run()
    assert len(run.finals()) == 3


def test_a_thread_out_of_time_frees_its_slot_later() -> None:
    run = Driver(scripted(iter([Answer(5_000_000)])))
    (ref,) = run.take(run.work("thread", timeout_s=1.0))
    kinds = [type(report) for report in run.run()]
    assert kinds == [Started, Ended, Freed]
    end = run.reports[1]
    assert isinstance(end, Ended)
    assert (end.verdict, end.freed, AttemptRef(end.task, end.fence)) == (Verdict.TIMED_OUT, False, ref)


def test_notes_come_before_the_end() -> None:
    run = Driver(scripted(iter([Answer(fraction=0.5, saved=b"1")])))
    run.take(run.work())
    assert [type(report) for report in run.run()] == [Started, Noted, Ended]


def test_after_stop_nothing_is_reported_and_all_is_free() -> None:
    run = driver()
    run.take(*[run.work(lane, 2) for lane in LANES for _ in range(10)])
    run.engine.stop()
    assert run.run() == []
    assert run.engine.idle
    assert run.engine.free == FREE
