"""The honest floor: the least that a durable loop of this kind must do, with nothing of a scheduler in it.

Structs, a heap, coroutines, two group commits a task through apsw with FULL; no history, fences, retries or policy.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from heapq import heappop, heappush
from typing import Final

import apsw
import msgspec

from benchmarks.figures import MS, Values, percentile
from benchmarks.loops import run
from benchmarks.machine import own_s
from benchmarks.measures.throughput import noop
from benchmarks.processes import Given

CHUNK: Final = 2_000
_MAKE: Final = """
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -65536;
    CREATE TABLE live (id INTEGER PRIMARY KEY, key INTEGER NOT NULL, payload BLOB NOT NULL);
    CREATE TABLE outcome (id INTEGER PRIMARY KEY, result BLOB NOT NULL);
"""
_ACCEPT: Final = "INSERT INTO live SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS BLOB) FROM json_each(?)"
_END: Final = "INSERT INTO outcome SELECT value ->> 0, CAST(value ->> 1 AS BLOB) FROM json_each(?)"
_LEAVE: Final = "DELETE FROM live WHERE id IN (SELECT value ->> 0 FROM json_each(?))"


class Row(msgspec.Struct, gc=False):
    """One task."""

    id: int
    key: int
    payload: bytes


class Skeleton:
    """A loop that accepts rows, runs `slots` of them at a time and commits what came in and what ended, in turns."""

    def __init__(self, path: str, slots: int) -> None:
        self._connection = apsw.Connection(path)
        self._connection.execute(_MAKE).fetchall()
        self._slots = slots
        self._heap: list[tuple[int, int, Row]] = []
        self._inbox: list[tuple[list[Row], asyncio.Future[None]]] = []
        self._ended: list[tuple[int, str]] = []
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._running = 0
        self._next = 1
        self._waker: asyncio.Future[None] | None = None
        self._thread = ThreadPoolExecutor(1)
        self._stopping = False

    async def submit(self, payloads: list[bytes]) -> list[asyncio.Future[bytes]]:
        """Accept rows; durable when this returns the futures of their results."""
        loop = asyncio.get_running_loop()
        rows = []
        for payload in payloads:
            rows.append(Row(self._next, self._next, payload))
            self._waiting[self._next] = loop.create_future()
            self._next += 1
        futures = [self._waiting[row.id] for row in rows]
        done: asyncio.Future[None] = loop.create_future()
        self._inbox.append((rows, done))
        self._wake()
        await done
        return futures

    def stop(self) -> None:
        """End after what has come in."""
        self._stopping = True
        self._wake()

    async def drive(self) -> None:
        """Step, commit, let go, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._inbox and not self._ended:
                if self._stopping:
                    break
                self._waker = loop.create_future()
                await self._waker
            inbox, self._inbox = self._inbox, []
            ended, self._ended = self._ended, []
            self._running -= len(ended)
            for rows, _ in inbox:
                for row in rows:
                    heappush(self._heap, (row.key, row.id, row))
            begin = [heappop(self._heap)[2] for _ in range(min(len(self._heap), self._slots - self._running))]
            self._running += len(begin)
            accepted = [(row.id, row.key, row.payload.decode()) for rows, _ in inbox for row in rows]
            await loop.run_in_executor(self._thread, self._commit, accepted, ended)
            for _, done in inbox:
                done.set_result(None)
            for row in begin:
                loop.create_task(self._run(row))  # noqa: RUF006  # the loop holds it until the next step, and it never waits
            for number, result in ended:
                self._waiting.pop(number).set_result(result.encode())
        self._thread.shutdown()
        self._connection.close()

    def _commit(self, accepted: list[tuple[int, int, str]], ended: list[tuple[int, str]]) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        if accepted:
            execute(_ACCEPT, (msgspec.json.encode(accepted).decode(),))
        if ended:
            text = msgspec.json.encode(ended).decode()
            execute(_END, (text,))
            execute(_LEAVE, (text,))
        execute("COMMIT")

    async def _run(self, row: Row) -> None:
        result = await noop(**msgspec.json.decode(row.payload))
        self._ended.append((row.id, msgspec.json.encode(result).decode()))
        self._wake()

    def _wake(self) -> None:
        waker, self._waker = self._waker, None
        if waker is not None:
            waker.set_result(None)


def measure(given: Given) -> Values:
    """`n` tasks in chunks of 2,000 with `slots` at a time, then `rounds` one after the other, on `loop`."""
    return run(_measured(given), given.word("loop"))


async def _measured(given: Given) -> Values:
    skeleton = Skeleton(f"{given.folder}/skeleton.db", given.number("slots"))
    async with asyncio.TaskGroup() as group:
        group.create_task(skeleton.drive())
        await _all(skeleton, CHUNK)
        n, used_s, begun = given.number("n"), own_s(), time.perf_counter()
        await _all(skeleton, n)
        wall_s, used_s = time.perf_counter() - begun, own_s() - used_s
        times_ms = [await _one(skeleton, number) for number in range(given.number("rounds"))]
        skeleton.stop()
    return {
        "per_s": [n / wall_s],
        "cpu_us": [used_s * 1e6 / n],
        "idle_p50_ms": [percentile(times_ms, 50)],
        "idle_p99_ms": [percentile(times_ms, 99)],
    }


async def _one(skeleton: Skeleton, number: int) -> float:
    begun = time.perf_counter()
    (future,) = await skeleton.submit([msgspec.json.encode({"i": number})])
    await future
    return (time.perf_counter() - begun) * MS


async def _all(skeleton: Skeleton, n: int) -> None:
    last: list[asyncio.Future[bytes]] = []
    for first in range(0, n, CHUNK):
        payloads = [msgspec.json.encode({"i": i}) for i in range(first, min(n, first + CHUNK))]
        last += await skeleton.submit(payloads)
    await asyncio.gather(*last)
