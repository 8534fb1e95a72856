"""Ledgers full of everything, and what is in one, told past our own code."""

import random
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from tests.conformance.ledger.desk import NOW_US, Desk, batch, body, outcome, shard, task
from wsaios.bootstrap import Settings, ledger_of
from wsaios.kernel.ledger import IdempotencyRow, Payload
from wsaios.kernel.run import WHOLE, Run, RunState, StepRow, StepState, StoredDefinition
from wsaios.kernel.states import State
from wsaios.kernel.task import Failure, Task

FIRST: Final = 1 << 40
TABLES: Final = (
    "batch",
    "shard",
    "live",
    "payload",
    "checkpoint",
    "outcome",
    "history_part",
    "link",
    "release",
    "idempotency",
    "definition",
    "run",
    "step",
    "fact",
    "fact_log",
)
_LETTERS: Final = ("a", "Z", "0", "\0", "\n", '"', "\\", "é", "中", "\U0001f600", "\u2028", "'", " ")
_KEPT: Final = 9000
_OF_BATCH: Final = 2
_LIVE: Final = (State.PENDING, State.READY, State.RUNNING, State.RETRYING, State.PAUSED)


def desk_at(url: str) -> Desk:
    """Own the ledger at an address."""
    return Desk(ledger_of(url, Settings()))  # type: ignore[arg-type]  # both can also be opened by a client


def fill(url: str, rng: random.Random, tasks: int = 60) -> None:
    """Put rows of every kind there, with the oddest values that each may have."""
    desk = desk_at(url)
    desk.write(
        shards=[shard(1), shard(_OF_BATCH, batch=_KEPT), shard(3, concurrency_key=_plain(rng), lane="thread")],
        batches=[batch(_KEPT, state=0, keep=True, key=_text(rng), meta={"é": [1.5, None, _text(rng)]})],
    )
    made = [_task(rng, number) for number in range(FIRST, FIRST + tasks)]
    arguments = [Payload(row.id, rng.randrange(3), rng.randbytes(rng.choice((0, 3, 300, 9000)))) for row in made]
    desk.write(accepted=made, payloads=arguments)
    for row in made:
        row.stored_fence = row.fence
    ended = [row for row in made if row.shard != _OF_BATCH and rng.random() < 0.5]
    outcomes = [outcome(row, State.FAILED if rng.random() < 0.4 else State.SUCCEEDED) for row in ended]
    for each in outcomes:
        each.failure = None if each.state == State.SUCCEEDED else Failure(_plain(rng), _text(rng), _text(rng))
    results = [Payload(row.id, 0, rng.randbytes(rng.randrange(40))) for row in ended if rng.random() < 0.8]
    waiting = [row for row in made if row not in ended]
    desk.end(
        *outcomes,
        results=results,
        releases=[row.id for row in ended[:3]],
        saved=[Payload(row.id, 1, rng.randbytes(5)) for row in waiting[:4]],
        spilled=[(row.id, part, f'["\\u0000é{part}",1e3]') for row in made[::5] for part in range(3)],
        links=[(one.id, two.id) for one, two in zip(ended, waiting, strict=False)],
        keys=[IdempotencyRow(_text(rng), _text(rng), row.id, "d" * 32, NOW_US * 2) for row in made[::3]],
    )
    facts = [(rng.choice(("state", "goals")), _text(rng), rng.choice((None, 1, -0.5, _text(rng)))) for _ in range(20)]
    for place in range(0, len(facts), 5):
        desk.write(facts=facts[place : place + 5] * 2)
    desk.write(facts=[("state", "often", value) for value in range(90)])
    _runs(desk, rng, waiting)
    desk.ledger.prune(NOW_US + 5, 1000)
    desk.ledger.close()


def _runs(desk: Desk, rng: random.Random, waiting: list[Task]) -> None:
    failure = Failure(_plain(rng), _text(rng), "")
    said = msgspec.json.encode({"é": [1.5, None, _text(rng)]}).decode()
    runs = [
        Run(_KEPT + 1, RunState.RUNNING, "a" * 64, _plain(rng), _plain(rng), -7, NOW_US, input=said),
        Run(_KEPT + 2, RunState.FAILED, "b" * 64, "w", "t", 0, NOW_US, NOW_US + 9, 3, "{}", said, failure),
    ]
    steps = [
        StepRow(_KEPT + 1, 0, WHOLE, 0, StepState.LIST, NOW_US, said),
        *(StepRow(_KEPT + 1, 0, item, row.id, StepState.TASK, NOW_US) for item, row in enumerate(waiting[:5])),
        StepRow(_KEPT + 2, 9, WHOLE, 0, StepState.FAILED, NOW_US, None, failure),
    ]
    stored = [StoredDefinition(letter * 64, _plain(rng), NOW_US, rng.randbytes(50)) for letter in "ab"]
    desk.write(definitions=stored, runs=runs, steps=steps)


def raw(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every value of every table as it is stored."""
    connection = apsw.Connection(str(path))
    try:
        return {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in TABLES}  # no input
    finally:
        connection.close()


def _task(rng: random.Random, number: int) -> Task:
    return task(
        number,
        rng.choice(_LIVE),
        shard=rng.choice((1, 1, _OF_BATCH, 3)),
        fence=rng.randrange(1, 1 << 62),
        key=rng.randrange(-(1 << 62), 1 << 62),
        due_us=rng.choice((None, NOW_US)),
        expires_us=rng.choice((None, NOW_US + number)),
        body=body(reason=_text(rng), traceparent=_plain(rng), priority=rng.randrange(-9, 9)),
    )


def _text(rng: random.Random) -> str:
    return "".join(rng.choice(_LETTERS) for _ in range(rng.randrange(1, 12)))


def _plain(rng: random.Random) -> str:
    """For what may hold no U+0000."""
    return _text(rng).replace("\0", "x")
