"""huey on SQLite or Redis, by the address."""

from importlib.metadata import version
from typing import Any

from huey import RedisHuey, SqliteHuey

from benchmarks.peers import redis_facts
from benchmarks.peers.line import TOLD, drive, facts

# How long it sleeps at most before it looks again for a result; unless set, 50 ms and then longer, up to a second.
LOOK_S = 0.01
ON_REDIS = TOLD["url"].startswith("redis://")
huey = RedisHuey("bench", url=TOLD["url"]) if ON_REDIS else SqliteHuey("bench", filename=TOLD["url"])


def _noop(i: int) -> int:
    return i


noop = huey.task(name="noop")(_noop)


def submit(n: int) -> list[Any]:
    """One by one: there is no call for many."""
    return [noop(i) for i in range(n)]


def collect(handles: list[Any]) -> int:
    """Wait for every result, in order, and leave it in the store; unless told, huey deletes what is read."""
    return sum(handle.get(blocking=True, preserve=True, max_delay=LOOK_S) == i for i, handle in enumerate(handles))


def durability() -> tuple[str, bool]:
    """What the store says of itself."""
    if ON_REDIS:
        return redis_facts.durability(TOLD["url"])
    connection = huey.storage.conn
    journal = connection.execute("pragma journal_mode").fetchone()[0]
    synchronous = connection.execute("pragma synchronous").fetchone()[0]
    words = ("OFF", "NORMAL", "FULL", "EXTRA")
    # In WAL mode NORMAL does not wait for the disk at a commit; FULL does.
    survives = synchronous >= (2 if journal == "wal" else 1)
    return f"SQLite, journal_mode={journal}, synchronous={words[synchronous]}", survives


def main() -> None:
    """Submit, collect, tell."""
    said, survives = durability()
    drive(submit, collect, facts("huey", version("huey"), said, survives=survives))
