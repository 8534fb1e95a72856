"""celery on Redis, as broker and as result backend."""

from importlib.metadata import version
from typing import Any

from celery import Celery
from celery.result import ResultSet

from benchmarks.peers.line import TOLD, drive, facts
from benchmarks.peers.redis_facts import durability

app = Celery("bench", broker=TOLD["url"], backend=TOLD["url"])
app.conf.worker_prefetch_multiplier = TOLD.get("prefetch", 4)
app.conf.broker_connection_retry_on_startup = True


def _noop(i: int) -> int:
    return i


noop = app.task(name="noop")(_noop)


def submit(n: int) -> list[Any]:
    """One by one; a group sends one message a task too."""
    return [noop.delay(i) for i in range(n)]


def collect(results: list[Any]) -> int:
    """Wait for every result, with the backend's own way for many."""
    return sum(value == i for i, value in enumerate(ResultSet(results).join_native()))


def main() -> None:
    """Submit, collect, tell."""
    said, survives = durability(TOLD["url"])
    drive(submit, collect, facts("celery", version("celery"), said, survives=survives))
