"""Plays one fault: quiet, fault, quiet again; then everything that was acknowledged must have ended, once."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from tests.acceptance.chaos.faults import TWO_OWNERS, Fault
from tests.acceptance.chaos.load import Load
from tests.acceptance.chaos.stage import Stage

RECOVERED_S: Final = 10.0
BACK: Final = 0.95
_DRAIN_S: Final = 60.0
_LITTLE: Final = 50


class Played(msgspec.Struct):
    """What came of it. Times are seconds, rates a second; None: never."""

    ledger: str
    fault: str
    for_s: float
    acknowledged: int = 0
    refused: dict[str, int] = {}
    lost: int = 0
    twice: int = 0
    left: int = 0
    before: float = 0.0
    after: float = 0.0
    recovered_s: float | None = None

    @property
    def problems(self) -> list[str]:
        """What is not as promised."""
        found = []
        if self.lost:
            found.append(f"{self.lost} of {self.acknowledged} acknowledged calls are lost")
        if self.twice:
            found.append(f"{self.twice} calls have the id or the result of another one")
        if self.left:
            found.append(f"{self.left} calls have not ended {_DRAIN_S:g} s later")
        if self.recovered_s is None or self.recovered_s > RECOVERED_S:
            found.append(f"it went on {'never' if self.recovered_s is None else f'after {self.recovered_s:.1f} s'}")
        if self.after < BACK * self.before:
            found.append(f"{self.after:.0f} calls a second afterwards, {self.before:.0f} before")
        return found


async def play(stage: Stage, name: str, fault: Fault, *, rate: float, quiet_s: float, for_s: float) -> Played:
    """Play it on a stage without schedulers."""
    played = Played("sqlite" if stage.server is None else "postgres", name, for_s)
    for _ in range(2 if name in TWO_OWNERS and stage.server is not None else 1):
        await stage.add_owner()
    load = Load(stage.url, rate)
    try:
        load.begin()
        await asyncio.sleep(quiet_s / 2)
        began_us = time.time() * 1e6
        await asyncio.sleep(quiet_s)
        fault_us = time.time() * 1e6
        await fault(stage, load, for_s)
        over_us = time.time() * 1e6
        settled_us = await _settled(stage, over_us)
        await asyncio.sleep(quiet_s)
        last_us = time.time() * 1e6
        await load.end()
        played.left = await _drained(stage)
        ends = await asyncio.to_thread(stage.ends)
        results = await asyncio.to_thread(stage.results)
    finally:
        await load.client.aclose()
    played.acknowledged = len(load.acknowledged)
    played.refused = dict(load.refused)
    played.lost = len(set(load.acknowledged) - set(ends))
    played.twice = repeated(load.acknowledged) + repeated(results)
    when = sorted(ends.values())
    played.before = _rate(when, began_us, fault_us)
    played.after = _rate(when, settled_us, last_us)
    later = [at_us for at_us in when if at_us >= over_us]
    played.recovered_s = (later[0] - over_us) / 1e6 if later else None
    return played


def repeated(values: Sequence[object]) -> int:
    """How many of them stood before."""
    return len(values) - len(set(values))


async def _settled(stage: Stage, over_us: float) -> float:
    """When what had gathered during the fault was worked off, so that the rate is that of the load again."""
    until_s = time.monotonic() + 2 * RECOVERED_S
    while time.monotonic() < until_s:
        ends = (await asyncio.to_thread(stage.ends)).values()
        if max(ends, default=0) > over_us and await asyncio.to_thread(stage.live) < _LITTLE:
            break
        await asyncio.sleep(0.2)
    return max(over_us, time.time() * 1e6)


async def _drained(stage: Stage) -> int:
    # Seen from outside: nobody tells.
    until_s = time.monotonic() + _DRAIN_S
    while (left := await asyncio.to_thread(stage.live)) and time.monotonic() < until_s:  # noqa: ASYNC110  # see above
        await asyncio.sleep(0.1)
    return left


def _rate(when: Sequence[int], first_us: float, last_us: float) -> float:
    return sum(first_us <= at_us < last_us for at_us in when) / ((last_us - first_us) / 1e6)
