"""A client that submits at a steady rate whatever happens, and writes down what was acknowledged.

Usage: ``python -m tests.acceptance.chaos.client URL FOLDER``; on its standard input it is told ``rate N`` (a second),
``burst N`` and ``end``, after which it waits for what it has begun. The file ``journal`` in the folder has a line for
each acknowledgement, for each submission that failed, and for the result of each tenth task as it came.
"""

import asyncio
import sys
import threading
import time
from pathlib import Path

from tests.acceptance.crash.lines import Line, Lines
from wsaios import AsyncClient
from wsaios.kernel.errors import TaskFailed, WsaiosError

MOST = 5000
SAMPLE = 10
TICK_S = 0.02
PATIENCE_S = 90.0


def now_us() -> int:
    return time.time_ns() // 1000


class Submitter:
    """Begins each submission when its time has come, also while others still wait for their answer."""

    def __init__(self, client: AsyncClient, journal: Lines) -> None:
        self._client = client
        self._journal = journal
        self._rate = 0.0
        self._owed = 0.0
        self._next = 0
        self._under_way: set[asyncio.Task[None]] = set()
        self._over = False

    def hear(self, line: str) -> None:
        word, _, value = line.partition(" ")
        if word == "rate":
            self._rate = float(value)
        elif word == "burst":
            self._owed += float(value)
        else:
            self._over = True

    async def run(self) -> None:
        last_s = time.monotonic()
        while not self._over:
            await asyncio.sleep(TICK_S)
            now_s = time.monotonic()
            self._owed += self._rate * (now_s - last_s)
            last_s = now_s
            while self._owed >= 1:
                self._owed -= 1
                self._begin()
        if self._under_way:
            await asyncio.wait(self._under_way)

    def _begin(self) -> None:
        if len(self._under_way) >= MOST:
            self._note({"refused": 1, "at_us": now_us()})
            return
        task = asyncio.get_running_loop().create_task(self._submit(self._next))
        self._next += 1
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _submit(self, n: int) -> None:
        began_us = now_us()
        try:
            task = await self._client.submit("work", {"n": n})
        except WsaiosError as error:
            self._note({"n": n, "error": f"{type(error).__name__}: {error}", "at_us": now_us()})
            return
        self._note({"n": n, "id": task.id, "began_us": began_us, "at_us": now_us()})
        if n % SAMPLE == 0:
            await self._await(n, task.id)

    async def _await(self, n: int, task_id: str) -> None:
        until_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                result = await self._client.result(task_id, timeout_s=PATIENCE_S)
            except (WsaiosError, TimeoutError) as error:
                if isinstance(error, TaskFailed) or time.monotonic() > until_s:
                    self._note({"n": n, "no_result": f"{type(error).__name__}: {error}", "at_us": now_us()})
                    return
                await asyncio.sleep(0.2)
            else:
                self._note({"n": n, "result": result, "at_us": now_us()})
                return

    def _note(self, line: Line) -> None:
        self._journal.append(line)


async def main(url: str, folder: Path) -> None:
    journal = Lines(folder / "journal")
    async with AsyncClient(url) as client:
        submitter = Submitter(client, journal)
        loop = asyncio.get_running_loop()

        def listen() -> None:
            for line in sys.stdin:
                loop.call_soon_threadsafe(submitter.hear, line.strip())

        threading.Thread(target=listen, daemon=True).start()
        await submitter.run()
    journal.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
