"""dramatiq on Redis, with its results kept there too."""

from importlib.metadata import version
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.peers.line import TOLD, drive, facts
from benchmarks.peers.redis_facts import durability

TIMEOUT_MS = 120_000
broker = RedisBroker(url=TOLD["url"])
broker.add_middleware(Results(backend=RedisBackend(url=TOLD["url"])))
dramatiq.set_broker(broker)


def _noop(i: int) -> int:
    return i


noop = dramatiq.actor(actor_name="noop", store_results=True)(_noop)


def submit(n: int) -> list[Any]:
    """One by one; a group does the same."""
    return [noop.send(i) for i in range(n)]


def collect(messages: list[Any]) -> int:
    """Wait for every result, in order."""
    return sum(message.get_result(block=True, timeout=TIMEOUT_MS) == i for i, message in enumerate(messages))


def main() -> None:
    """Submit, collect, tell."""
    said, survives = durability(TOLD["url"])
    drive(submit, collect, facts("dramatiq", version("dramatiq"), said, survives=survives))
