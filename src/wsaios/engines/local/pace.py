"""How long calls of each handler usually take, and so how many of them may wait for a worker."""

from typing import Final

from wsaios.kernel.engine import AtHand
from wsaios.kernel.task import LaneSpec

AHEAD_US: Final = 2_000.0
"""Calls that are as short as that together may wait in the pipe of one worker; longer ones wait in the lane."""
AT_HAND_US: Final = 10_000.0
"""Of calls beyond the slots, so much may wait in the lane for each worker: some times what a commit takes."""
MOST_AHEAD: Final = 256
_SMOOTH: Final = 0.2
_MUCH: Final = 2.0


class Pace:
    """The usual time of a row, by handler, smoothed over some calls; `lends`: more than the slots was asked for."""

    def __init__(self, spec: LaneSpec, workers: int) -> None:
        self._lane = spec.name
        self._workers = workers
        # More slots than workers are such calls at hand already.
        self._given = spec.slots - workers
        self._usual_us: dict[str, float] = {}
        self._told: dict[str, tuple[float, int]] = {}
        self.lends = False

    def usual_us(self, name: str) -> float:
        """What a row is expected to take; what is not known takes all that may wait ahead."""
        return self._usual_us.get(name, AHEAD_US)

    def rows(self, name: str) -> int:
        """How many calls of a handler may wait beyond the slots, by what was told last."""
        return self._told[name][1] if name in self._told else 0

    def took(self, name: str, each_us: float) -> AtHand | None:
        """A call ended that took so long for each row; what is to report of that, if it changes much."""
        usual_us = self._usual_us.get(name, each_us)
        usual_us += (each_us - usual_us) * _SMOOTH
        self._usual_us[name] = usual_us = max(1.0, usual_us)
        told_us = self._told[name][0] if name in self._told else 0.0
        if told_us < usual_us * _MUCH and usual_us < told_us * _MUCH:
            return None
        return self._tell(name, usual_us)

    def takes_long(self, name: str) -> None:
        """A call goes on for longer than may wait ahead."""
        self._usual_us[name] = max(AHEAD_US, self._usual_us.get(name, 0.0))

    def stands(self) -> list[AtHand]:
        """No worker gets any further: what is to report, so that nothing more waits beyond the slots until one does."""
        reports = [AtHand(self._lane, name, 0) for name, (_, rows) in self._told.items() if rows]
        self._told.clear()
        return reports

    def _tell(self, name: str, usual_us: float) -> AtHand | None:
        rows = self._workers * min(MOST_AHEAD, int(AT_HAND_US / usual_us))
        rows = max(0, rows - self._given)
        before = self._told[name][1] if name in self._told else 0
        self._told[name] = (usual_us, rows)
        self.lends = self.lends or rows > 0
        return AtHand(self._lane, name, rows) if rows != before else None
