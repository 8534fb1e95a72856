"""Owners as processes of their own, and what the database says of their work."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

from tests.architecture.modules import ROOT
from tests.servers.postgres import PostgresServer

LIMIT_S = 60.0


class Owner:
    """One process; `lines` grows as it speaks."""

    def __init__(self, url: str, rows: int = 0, each_s: float = 0.0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.postgres.worker", url, str(rows), str(each_s)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._said = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def hear(self, start: str, within_s: float = LIMIT_S) -> str:
        """The first line that begins so."""
        with self._said:
            if self._said.wait_for(lambda: any(line.startswith(start) for line in self.lines), within_s):
                return next(line for line in self.lines if line.startswith(start))
        raise AssertionError(f"not heard within {within_s} s: {start!r}; heard {self.lines}")

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> None:
        self.process.wait(LIMIT_S)

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._said:
                self.lines.append(line.rstrip())
                self._said.notify_all()


@contextmanager
def owner(url: str, rows: int = 0, each_s: float = 0.0) -> Iterator[Owner]:
    """A process that is gone afterwards, whatever happened."""
    made = Owner(url, rows, each_s)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        assert made.process.stdout is not None
        made.process.stdout.close()


async def ask(server: PostgresServer, url: str, text: str) -> list[Any]:
    """What the database says, past our own code."""
    connection = await asyncpg.connect(server.url())
    try:
        await connection.execute(f"SET search_path = {url.partition('schema=')[2]}")
        return list(await connection.fetch(text))
    finally:
        await connection.close()


async def all_ended(server: PostgresServer, url: str, rows: int) -> Counter[int]:
    """Wait until the rows of the batch have ended; how many each state has, and each of them once."""
    until_s = time.monotonic() + LIMIT_S
    while time.monotonic() < until_s:
        found = await ask(server, url, "SELECT state, convert_from(result, 'UTF8')::json ->> 0 FROM outcome")
        if len(found) >= rows:
            assert sorted(int(number) for _, number in found) == list(range(rows))
            assert await ask(server, url, "SELECT 1 FROM live") == []
            return Counter(state for state, _ in found)
        time.sleep(0.05)
    raise AssertionError(f"{len(found)} of {rows} rows have ended")
