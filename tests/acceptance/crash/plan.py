"""Which deaths a round dies: drawn from a seed, with every failpoint in turn."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from wsaios.kernel.failpoints import CLOSING, FAILPOINTS, FAMILIES, OPENING, PRUNING

Kind = Literal["failpoint", "random", "submit", "execution"]
Acknowledge = Literal["journal", "pipe"]

OF_BATCH_RUN: Final = ("batch.before_rename", "batch.after_rename")
"""Reached by ``wsaios batch run`` alone."""
OF_THE_INTAKE: Final = ("ledger.taken",)
"""Reached by the owner of a ledger on a server, when clients left work for it."""
OF_A_WORKER: Final = tuple(name for name in FAILPOINTS if name not in (*OF_BATCH_RUN, *OF_THE_INTAKE))
SELDOM: Final = frozenset(
    f"ledger.{family}"
    for family in FAMILIES
    if family in {"shards", "replayed", "spilled", "keys", "facts", "purged"} or family.startswith(("link", "release"))
)
"""Reached only once or twice in some lives, so that a higher count would let the worker live."""
ONCE_IN_A_LIFE: Final = frozenset({*OPENING, *PRUNING, *CLOSING})
"""Reached once in a life, `open.migrating` in the first one only."""
_HITS: Final = (1, 2, 3, 5, 9, 17)
_LONGEST_S: Final = 0.45
_SUBMISSIONS: Final = 40
_EXECUTIONS: Final = 60
_NAMES: Final = {"random": "at random", "submit": "right behind a submit", "execution": "inside a handler"}


@dataclass(frozen=True)
class Death:
    """How a worker dies, by its kind.

    At the `hit`-th time of a failpoint; `after_s` seconds after it began; right behind the return of its submit number
    `submission`; inside the handler, at execution number `execution`.
    """

    kind: Kind
    acknowledge: Acknowledge
    failpoint: str = ""
    hit: int = 1
    after_s: float = 0.0
    submission: int = 0
    execution: int = 0

    @property
    def name(self) -> str:
        """What the summary calls it."""
        return self.failpoint or _NAMES[self.kind]


@dataclass(frozen=True)
class Plan:
    """The deaths of one round; after them a last life is left alone."""

    seed: str
    deaths: tuple[Death, ...]


def plan(seed: int, number: int, failpoints: Sequence[str] = OF_A_WORKER) -> Plan:
    """The deaths of round `number` (from 0): two at failpoints, and one of the other kinds.

    The failpoints come in turn, two a round, and in the first turn at their first hit.
    """
    rng = Random(f"{seed}:{number}")
    deaths = [_other(number, rng)]
    for place in (2 * number, 2 * number + 1):
        name = failpoints[place % len(failpoints)]
        few = place < len(failpoints)
        hit = 1 if few or name in ONCE_IN_A_LIFE else rng.choice((1, 1, 2) if name in SELDOM else _HITS)
        deaths.append(Death("failpoint", _drawn(rng), name, hit))
    rng.shuffle(deaths)
    deaths.sort(key=lambda death: death.failpoint != "open.migrating")
    return Plan(f"{seed}.{number}", tuple(deaths))


def _other(number: int, rng: Random) -> Death:
    match number % 3:
        case 0:
            return Death("random", _drawn(rng), after_s=rng.uniform(0.0, _LONGEST_S))
        case 1:
            return Death("submit", _drawn(rng), submission=rng.randint(1, _SUBMISSIONS))
        case _:
            return Death("execution", _drawn(rng), execution=rng.randint(1, _EXECUTIONS))


def _drawn(rng: Random) -> Acknowledge:
    return rng.choice(("journal", "pipe"))
