"""A process that owns the ledger it is given, and is killed at a place that the environment names.

While it commits; with a second argument, while it opens an existing ledger, prunes or closes.
"""

import os
import sys

import msgspec

from tests.conformance.ledger.desk import NOW_US, Desk, arguments, batch, outcome, shard, task
from wsaios.kernel.failpoints import Failpoint, nothing
from wsaios.kernel.intake import Kind, Left
from wsaios.kernel.ledger import IdempotencyRow, Payload
from wsaios.kernel.run import WHOLE, Run, RunState, StepRow, StepState, StoredDefinition
from wsaios.kernel.states import State
from wsaios.kernel.task import NewTask
from wsaios.ledger.failpoint_exit import from_environment
from wsaios.ledger.postgres.address import is_postgres
from wsaios.ledger.postgres.bridge import Bridge
from wsaios.ledger.postgres.ledger import PostgresLedger
from wsaios.ledger.postgres.link import Link
from wsaios.ledger.sqlite import SqliteLedger


def before(desk: Desk) -> None:
    """What is there for sure."""
    desk.write(shards=[shard(1)], batches=[batch(50, rows=9)])
    tasks = desk.add(*(task(number) for number in range(1, 6)))
    desk.end(outcome(tasks[0], State.FAILED), links=[(2, 3)], releases=[1], facts=[("state", "a", "old")])
    if isinstance(desk.ledger, PostgresLedger):
        bridge = Bridge()
        bridge.run(_leave(desk.ledger.url))
        bridge.close()


async def _leave(url: str) -> None:
    """Row 1 of the intake."""
    link = Link(url)
    body = msgspec.msgpack.encode([Left(NewTask("h", b"{}"))])
    columns = {"firsts": [7], "lasts": [7], "lengths": [1], "batches": [0], "readies": [True], "bodies": [body]}
    await link.change("intake_add", kinds=[int(Kind.TASKS)], **columns)
    await link.ask(lambda session: session.script(f"UPDATE intake SET at_us = {NOW_US}"))
    await link.close()


def fatal(desk: Desk) -> None:
    """One commit with every family in it."""
    changed = task(2, State.RUNNING, fence=2, stored_fence=1)
    desk.write(
        shards=[shard(2)],
        batches=[batch(51)],
        replayed=[task(1, fence=2)],
        accepted=[task(10, shard=2)],
        payloads=[arguments(10)],
        updated=[changed],
        spilled=[(2, 0, "[]")],
        saved=[Payload(2, 0, b"half")],
        ended=[outcome(task(3, stored_fence=1))],
        results=[Payload(3, 0, b"1")],
        links=[(2, 4)],
        links_done=[(2, 3)],
        releases=[3],
        releases_done=[1],
        keys=[IdempotencyRow("t", "k", 10, "d", NOW_US * 2)],
        facts=[("state", "a", "new")],
        definitions=[StoredDefinition("v", "w", NOW_US, b"{}")],
        runs=[Run(60, RunState.FAILED, "v", "w", created_us=NOW_US, ended_us=NOW_US + 6)],
        steps_gone=[(60, 1, WHOLE)],
        steps=[StepRow(60, 0, WHOLE, 3, StepState.TASK, NOW_US)],
        taken=[1],
        purged=[(5, 5)],
    )


def prune(desk: Desk) -> None:
    """Everything that `fatal` left to go: outcomes, a key whose time is over, an old value of a fact."""
    age(desk)
    desk.ledger.prune(desk.now_us, 1000)


def age(desk: Desk) -> None:
    """Let all times be over."""
    desk.now_us += NOW_US * 2
    desk.write(shards=[shard(9)])


def ledger_at(place: str, failpoint: Failpoint = nothing) -> SqliteLedger | PostgresLedger:
    """The ledger at a path or a URL."""
    kind = PostgresLedger if is_postgres(place) else SqliteLedger
    return kind(place, failpoint=failpoint)


def main() -> None:
    """Say when it is about to die."""
    ledger = ledger_at(sys.argv[1], from_environment(os.environ.get("WSAIOS_FAILPOINT")))
    act = sys.argv[2] if len(sys.argv) > 2 else "commit"
    if act == "open":
        say("armed")
        Desk(ledger)
        return
    desk = Desk(ledger)
    before(desk)
    if act == "commit":
        say("armed")
        fatal(desk)
        sys.stdin.read()
        return
    fatal(desk)
    say("armed")
    if act == "prune":
        prune(desk)
    ledger.close()


def say(word: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
