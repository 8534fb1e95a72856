"""Many handlers asleep at once, and new ones coming at a steady rate that does not wait for anyone: ready → started."""

import asyncio
import time
from typing import Final

from benchmarks.figures import MS, Values, percentile
from benchmarks.loops import run
from benchmarks.processes import Given
from wsaios import Scheduler

WARM_UP_S: Final = 1.0
SAMPLES: Final = 3_000


class Load:
    """An open loop: `rate` tasks a second, each asleep for `sleep_s`; when each was due, and when its handler began."""

    def __init__(self, scheduler: Scheduler, rate: int, sleep_s: float) -> None:
        self._scheduler = scheduler
        self._rate = rate
        self._sleep_s = sleep_s
        self.ids: dict[int, str] = {}
        self.due_s: dict[int, float] = {}
        self.begun_s: dict[int, float] = {}
        self.begun_at_us: dict[int, int] = {}
        self.asleep = 0
        self._over = asyncio.Event()
        self._left = 0

    async def sleeper(self, i: int) -> None:
        """The handler."""
        self.begun_at_us[i] = time.time_ns() // 1000
        self.begun_s[i] = time.perf_counter()
        self.asleep += 1
        await asyncio.sleep(self._sleep_s)
        self.asleep -= 1
        self._left -= 1
        if not self._left:
            self._over.set()

    async def run(self, seconds: float) -> list[int]:
        """Keep it up for so long, then wait for the last to wake; how many slept, ten times a second."""
        begun, number, asleep = time.perf_counter(), 0, []
        # What is over is let go: a load that keeps it measures how long the interpreter takes to look through it.
        submits: set[asyncio.Task[None]] = set()
        count = self._left = int(seconds * self._rate)
        while number < count:
            now = time.perf_counter()
            while number < count and begun + number / self._rate <= now:
                self.due_s[number] = begun + number / self._rate
                submit = asyncio.create_task(self._submit(number))
                submits.add(submit)
                submit.add_done_callback(submits.discard)
                number += 1
                if number % (self._rate // 10 or 1) == 0:
                    asleep.append(self.asleep)
            await asyncio.sleep(max(0.0, begun + number / self._rate - time.perf_counter()))
        await asyncio.gather(*submits)
        await self._over.wait()
        return asleep

    async def _submit(self, number: int) -> None:
        task = await self._scheduler.submit("sleeper", {"i": number})
        self.ids[number] = task.id


def measure(given: Given) -> Values:
    """`rate` tasks a second for `seconds` that sleep so long that `asleep` of them are in flight, on `loop`."""
    return run(_measured(given), given.word("loop"))


async def _measured(given: Given) -> Values:
    rate, asleep = given.number("rate"), given.number("asleep")
    async with Scheduler(given.ledger(), lanes={"default": 4 * asleep}) as scheduler:
        load = Load(scheduler, rate, asleep / rate)
        scheduler.add_handler("sleeper", load.sleeper)
        slept = await load.run(WARM_UP_S + given.number("seconds"))
        numbers = sorted(load.ids)[int(WARM_UP_S * rate) :]
        due_ms = [(load.begun_s[number] - load.due_s[number]) * MS for number in numbers]
        ready_ms = [
            await _since_ready_ms(scheduler, load, number) for number in numbers[:: len(numbers) // SAMPLES or 1]
        ]
    return {
        "p50_ms": [percentile(ready_ms, 50)],
        "p99_ms": [percentile(ready_ms, 99)],
        "due_p50_ms": [percentile(due_ms, 50)],
        "due_p99_ms": [percentile(due_ms, 99)],
        "asleep": [percentile([float(count) for count in slept[len(slept) // 4 :]], 50)],
    }


async def _since_ready_ms(scheduler: Scheduler, load: Load, number: int) -> float:
    """From the moment that its history calls ready to the first line of its handler."""
    history = await scheduler.history(load.ids[number])
    ready = next(change.at for change in history if change.to_state == "ready")
    return load.begun_at_us[number] / MS - ready.timestamp() * MS
