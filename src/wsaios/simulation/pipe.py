"""The way of reports from simulated workers to the scheduler."""

from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

from wsaios.kernel.engine import Ended, Report, Unbegun, Verdict, WorkerLost
from wsaios.simulation.faults import Dice, Fault

STALE_RESULT: Final = b'"stale"'
"""What an end under an earlier fence claims as its result; it must never be found in a ledger."""

_LATE_US: Final = (1, 500_000)


class Pipe:
    """Carries reports, and loses, doubles, delays and reorders them as the dice say."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._number = count()
        self._under_way: list[tuple[int, int, bool, Report]] = []
        self._withheld: list[Report] = []
        self._over: dict[int, list[int]] = {}

    def send(self, report: Report, now_us: int) -> None:
        """Take a report at `now_us`."""
        if isinstance(report, (Ended, Unbegun)):
            if isinstance(report, Ended):
                self._send_stale(report, now_us)
            self._over.setdefault(report.task, []).append(report.fence)
        elif isinstance(report, WorkerLost):
            for ref in report.held:
                self._over.setdefault(ref.task, []).append(ref.fence)
        if self._dice.roll(Fault.LOSE_REPORT):
            self._withheld.append(report)
            return
        due_us = now_us + (self._dice.span_us(*_LATE_US) if self._dice.roll(Fault.DELAY) else 0)
        self._push(due_us, report, genuine=True)
        if self._dice.roll(Fault.DUPLICATE):
            self._push(due_us + self._dice.span_us(*_LATE_US), report, genuine=False)

    def receive(self, now_us: int) -> list[Report]:
        """What has come by `now_us`."""
        reports: list[Report] = []
        while self._under_way and self._under_way[0][0] <= now_us:
            reports.append(heappop(self._under_way)[3])
        if len(reports) > 1 and self._dice.roll(Fault.REORDER):
            self._dice.rng.shuffle(reports)
        return reports

    def next_us(self) -> int | None:
        """When the next report comes, or None when none is under way."""
        return self._under_way[0][0] if self._under_way else None

    def calm(self, now_us: int) -> None:
        """Deliver from now on what was withheld, and nothing twice."""
        self._under_way = [entry for entry in self._under_way if entry[2]]
        heapify(self._under_way)
        withheld, self._withheld = self._withheld, []
        for report in withheld:
            self._push(now_us, report, genuine=True)

    @property
    def empty(self) -> bool:
        """Whether nothing is under way or withheld."""
        return not self._under_way and not self._withheld

    def _send_stale(self, report: Ended, now_us: int) -> None:
        # Only attempts that are over for their worker: a stale end of one that runs would free a slot that is taken.
        older = [fence for fence in self._over.get(report.task, ()) if fence < report.fence]
        if older and self._dice.roll(Fault.STALE):
            fence = self._dice.rng.choice(older)
            stale = Ended(report.task, fence, Verdict.SUCCEEDED, STALE_RESULT)
            self._push(now_us + self._dice.span_us(*_LATE_US), stale, genuine=False)

    def _push(self, due_us: int, report: Report, *, genuine: bool) -> None:
        heappush(self._under_way, (due_us, next(self._number), genuine, report))
