"""What a scenario came to: lost, doubled, and how long until all was as before."""

from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tests.acceptance.chaos.ledgers import End, Place
from tests.acceptance.crash.lines import Line, read
from wsaios.kernel.states import State

RECOVERED_S: Final = 10.0
SHARE: Final = 0.95
_SECOND_US: Final = 1_000_000
_STEP_US: Final = 100_000


@dataclass(frozen=True)
class Times:
    """When it began, when the fault began and was over, and when the client stopped, by the machine's clock."""

    began_us: int
    fault_us: int
    over_us: int
    stopped_us: int


@dataclass
class Figures:
    """What was counted. Times are seconds after the end of the fault, None for what never came; rates are a second."""

    acknowledged: int = 0
    unacknowledged: int = 0
    jobs_lost: int = 0
    twice: int = 0
    failed: int = 0
    first_acknowledged_s: float | None = None
    first_ended_s: float | None = None
    steady_s: float | None = None
    rate_before: float = 0.0
    rate_after: float = 0.0
    longest_silence_s: float = 0.0
    ended_by_themselves: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """The rate afterwards, by the one before."""
        return self.rate_after / self.rate_before if self.rate_before else 0.0

    def wrong(self) -> list[str]:
        """What must not be, whatever the machine is busy with."""
        found = list(self.problems)
        if self.jobs_lost:
            found.append(f"{self.jobs_lost} acknowledged tasks are lost")
        if self.twice:
            found.append(f"{self.twice} results are there twice, or changed")
        if self.failed:
            found.append(f"{self.failed} tasks failed")
        if self.first_acknowledged_s is None or self.first_ended_s is None:
            found.append("nothing was acknowledged, or nothing ended, after the fault")
        return found

    def slow(self) -> list[str]:
        """What took too long, or came back too little."""
        found = []
        for what, after_s in (("acknowledgement", self.first_acknowledged_s), ("end", self.first_ended_s)):
            if after_s is not None and after_s > RECOVERED_S:
                found.append(f"the first {what} came {after_s:.1f} s after the fault, {RECOVERED_S:g} s at most")
        if self.ratio < SHARE:
            found.append(f"afterwards {self.ratio:.0%} of the rate before, {SHARE:.0%} at least")
        return found

    def described(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "ratio": round(self.ratio, 3), "wrong": self.wrong(), "slow": self.slow()}


def judge(place: Place, folder: Path, times: Times) -> Figures:
    """Judge a ledger that nobody works on, and the journal of its client."""
    journal, ends = read(folder / "journal"), place.ends()
    said = [line for line in journal if "id" in line]
    figures = Figures(acknowledged=len(said), unacknowledged=sum("error" in line for line in journal))
    refused = sum("refused" in line for line in journal)
    if refused:
        figures.problems.append(f"the client could not begin {refused} submissions, so much was under way")
    figures.problems += [f"no result of {line['n']}: {line['no_result']}" for line in journal if "no_result" in line]
    if left := place.left():
        figures.problems.append(f"{left} tasks have not ended")
    figures.problems += place.contradictions()
    _count(figures, said, journal, ends)
    _time(figures, said, sorted(end.at_us for end in ends if end.state == State.SUCCEEDED), times)
    return figures


def _count(figures: Figures, said: list[Line], journal: list[Line], ends: list[End]) -> None:
    by_n = Counter(end.n for end in ends)
    results = {end.n: end.result for end in ends if end.state == State.SUCCEEDED}
    figures.failed = sum(end.state != State.SUCCEEDED for end in ends)
    figures.jobs_lost = sum(line["n"] not in by_n for line in said)
    figures.twice = sum(count - 1 for count in by_n.values())
    figures.twice += sum(line["result"] != results.get(line["n"]) for line in journal if "result" in line)


def _time(figures: Figures, said: list[Line], ended: list[int], times: Times) -> None:
    told = sorted(line["at_us"] for line in said)
    # What was on its way when the fault ended says nothing about whether new work is accepted.
    fresh = sorted(line["at_us"] for line in said if line["began_us"] >= times.over_us)
    figures.first_acknowledged_s = _after_s(fresh, times.over_us)
    figures.first_ended_s = _after_s(ended, times.over_us)
    figures.rate_before = _rate(ended, times.began_us, times.fault_us)
    # Not before the half, so that it is no backlog that makes the rate.
    settled_us, want = (times.over_us + times.stopped_us) // 2, SHARE * figures.rate_before
    for at_us in range(times.over_us, times.stopped_us - _SECOND_US, _STEP_US):
        if min(_rate(each, at_us, at_us + _SECOND_US) for each in (told, ended)) >= want:
            figures.steady_s = (at_us - times.over_us) / 1e6
            settled_us = max(settled_us, at_us)
            break
    figures.rate_after = _rate(ended, settled_us, times.stopped_us)
    within = [times.fault_us, *(at for at in ended if times.fault_us < at < times.stopped_us), times.stopped_us]
    figures.longest_silence_s = max(later - earlier for earlier, later in pairwise(within)) / 1e6


def _after_s(moments: list[int], at_us: int) -> float | None:
    place = bisect_left(moments, at_us)
    return None if place == len(moments) else (moments[place] - at_us) / 1e6


def _rate(moments: list[int], first_us: int, last_us: int) -> float:
    return (bisect_right(moments, last_us) - bisect_left(moments, first_us)) / max(1e-6, (last_us - first_us) / 1e6)
