"""dbos on PostgreSQL: workflows without steps, in the process that calls them."""

from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

from dbos import DBOS

from benchmarks.peers.line import TOLD, drive, facts
from benchmarks.peers.postgres_facts import durability


def _noop(i: int) -> int:
    return i


noop = DBOS.workflow()(_noop)


def run(n: int) -> list[int]:
    """Call a workflow and wait for its result, from as many threads as said."""
    with ThreadPoolExecutor(TOLD["callers"]) as threads:
        return list(threads.map(noop, range(n)))


def collect(results: list[int]) -> int:
    """They are there."""
    return sum(value == i for i, value in enumerate(results))


def main() -> None:
    """Submit, collect, tell."""
    said, survives = durability(TOLD["url"])
    url = TOLD["url"].replace("postgresql://", "postgresql+psycopg://")
    # SQLAlchemy would ask a connection whether it lives before each transaction.
    engine = {"pool_pre_ping": False}
    DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR", "db_engine_kwargs": engine})
    DBOS.launch()
    drive(run, collect, facts("dbos", version("dbos"), said, survives=survives))
    DBOS.destroy()
