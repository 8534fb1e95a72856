"""The process that is killed: a scheduler on a file ledger that submits, journals what was acknowledged, and runs it.

``python -m tests.acceptance.crash.worker FOLDER LIFE SEED``; it says ``begun`` on its output, and there, with
``--acknowledge pipe``, what was acknowledged. Left alone it ends by itself once everything has ended.
"""

import argparse
import asyncio
import faulthandler
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

import apsw

from tests.acceptance.crash.acts import perform
from tests.acceptance.crash.case import address
from tests.acceptance.crash.client import APPROVED, BEGUN, Client
from tests.acceptance.crash.lines import Line, Lines, encoded, read
from tests.acceptance.crash.postgres_rows import fetch
from tests.acceptance.crash.sabotage import SABOTAGE
from tests.acceptance.crash.work import Work
from wsaios import Scheduler
from wsaios.kernel.errors import NotPossible

REPEATED = 6
LOOK_S = 0.005
ENDED = frozenset({"succeeded", "failed", "cancelled"})


def main(arguments: Sequence[str] | None = None) -> None:
    """Live once, as the command line says."""
    faulthandler.register(signal.SIGUSR1)
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("life", type=int)
    parser.add_argument("seed")
    parser.add_argument("--acknowledge", choices=("journal", "pipe"), default="journal")
    parser.add_argument("--dies-at", type=int, default=0, help="right behind the return of this submission")
    parser.add_argument("--dies-in", type=int, default=0, help="inside the handler, at this execution")
    parser.add_argument("--sabotage", choices=sorted(SABOTAGE))
    options = parser.parse_args(arguments)
    if options.sabotage:
        SABOTAGE[options.sabotage]()
    asyncio.run(live(options))


async def live(options: argparse.Namespace) -> None:
    """Recover, do what earlier lives left open, submit, wait until all has ended, stop, and tell what was counted."""
    folder, rng = options.folder, Random(f"{options.seed}:{options.life}")
    earlier = read(folder / "journal")
    journal = Lines(folder / "journal")
    journal.append({"what": "life", "life": options.life, "pid": os.getpid(), "at_us": time.time_ns() // 1000})
    scheduler = Scheduler(address(folder))
    work = Work(folder, options.life, options.dies_in)
    work.register(scheduler)
    scheduler.on_event("double", "double", name="double at an event")
    scheduler.on_event("begin", workflow="begun")
    acknowledge = journal.append_durably if options.acknowledge == "journal" else tell
    client = Client(scheduler, journal, acknowledge, options.life, options.dies_at)
    os.write(1, b"begun\n")
    await scheduler.start()
    await scheduler.publish(BEGUN)
    # Nothing is old enough to go; but a step of pruning stands among the commits, and may be where a life ends.
    prune = scheduler._parts.pruning.round  # noqa: SLF001  # it comes by itself only every ten minutes
    await asyncio.gather(resume(client, earlier), repeat(client, earlier, rng), perform(client, work, rng), prune())
    await fired(scheduler)
    await (drained(folder / "work.db") if address(folder).startswith("sqlite") else drained_there(address(folder)))
    core = scheduler._parts.loop.core  # noqa: SLF001  # no public figure says how many reports were refused
    assert core is not None
    stale = core.book.counts["stale"]
    await scheduler.stop()
    journal.append({"what": "over", "life": options.life, "stale": stale})


def tell(line: Line) -> None:
    """Print what was acknowledged."""
    os.write(1, encoded(line))


async def resume(client: Client, earlier: list[Line]) -> None:
    """Go on with what an earlier life paused or began and had no time to go on with."""
    await client.scheduler.resume("lane:thread")
    for run in await client.scheduler.runs(["running"]):
        if run.workflow == APPROVED["name"]:
            await client.scheduler.emit("approved", run.input)
    resumed = {line["id"] for line in earlier if line["what"] == "resumed"}
    for task in (line["id"] for line in earlier if line["what"] == "pausing" and line["id"] not in resumed):
        with suppress(NotPossible):
            await client.scheduler.resume(task)
        client.note("resumed", task)


async def repeat(client: Client, earlier: list[Line], rng: Random) -> None:
    """Ask again under keys of earlier lives, whether they were acknowledged or not."""
    asked = [line for line in earlier if line["what"] == "asked" and line["key"]]
    for line in rng.sample(asked, min(REPEATED, len(asked))):
        await client.repeat(line["call"], line["handler"], line["arguments"], idempotency_key=line["key"])


async def fired(scheduler: Scheduler) -> None:
    """Return when no trigger waits for a time, and every run has ended: between two steps nothing of it may be live."""
    while any(view.next_at for view in await scheduler.triggers.list()):  # noqa: ASYNC110  # nobody is told
        await asyncio.sleep(LOOK_S)
    while any(run.state not in ENDED for run in await scheduler.runs()):  # noqa: ASYNC110  # the same
        await asyncio.sleep(LOOK_S)


async def drained(ledger: Path) -> None:
    """Return when no task is live, by a look past the scheduler."""
    connection = apsw.Connection(str(ledger), flags=apsw.SQLITE_OPEN_READONLY)
    while connection.execute("SELECT EXISTS (SELECT 1 FROM live)").get:  # noqa: ASYNC110  # a file tells nobody
        await asyncio.sleep(LOOK_S)
    connection.close()


async def drained_there(url: str) -> None:
    """As `drained`, on PostgreSQL."""
    while (await fetch(url, "SELECT EXISTS (SELECT 1 FROM live)"))[0][0]:  # noqa: ASYNC110  # as in a file
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    main()
