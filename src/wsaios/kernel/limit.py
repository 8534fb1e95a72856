"""Limits on what runs: how many at a time, how much of a resource, how much in a time; values and nothing else.

Amounts are kept as whole millionths, so that what is taken and given back adds up to nothing exactly.
"""

from collections.abc import Mapping
from typing import Final, Literal, get_args

import msgspec

MILLION: Final = 1_000_000
TASKS: Final = "tasks"
"""The unit of `Limit.running` that every running task takes one of."""
REQUESTS: Final = "requests"
"""The unit of `Limit.rates` that every start of a task takes one of."""
EACH: Final = "*"
REFUSALS: Final = frozenset({"RateLimitError", "TooManyRequests"})
"""Exceptions, by the names of their classes, that say that a service refused a call because of too many."""
UNIT: Final = "[A-Za-z_][A-Za-z0-9_]{0,63}"
"""The name of a unit, as a pattern."""
MOST_AMOUNT: Final = 1e11
"""In millionths, with a lot more taken by mistake, it still fits into 64 bits."""
NEVER: Final = -1
MANY: Final = 1 << 40
"""As many as one likes."""

Scope = Literal["lane", "handler", "tenant", "key"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
Amounts = tuple[tuple[str, int], ...]
"""Units with whole millionths of each, by name."""


class Rate(msgspec.Struct, frozen=True):
    """At most `amount` in any `per_s` seconds: a sliding window, no bucket that may be emptied twice in a row."""

    amount: float
    per_s: float = 1.0


class Learn(msgspec.Struct, frozen=True):
    """How many run at a time is found out: one more after each round that succeeds, `cut` times as many when refused.

    It begins with `start`, and stays within `least` and `most`. Refused is a call that ends with `RetryAfter`, or with
    one of the exceptions that clients of models raise for status 429. Source: additive increase, multiplicative
    decrease, as Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance" (1989).
    """

    start: int = 10
    least: int = 1
    most: int = 1000
    cut: float = 0.5


class Limit(msgspec.Struct, frozen=True):
    """What may run at a time, and start in a time, for one lane, handler, tenant or concurrency key.

    `on` is ``"lane:gpu"``, ``"handler:embed"``, ``"tenant:acme"`` or ``"key:door"``; ``"tenant:*"`` is a limit of its
    own for each tenant that has none under its name. `running` bounds what runs at a time: ``"tasks"`` counts them, any
    other name is a resource that tasks ask for. `rates` bounds what starts in a time: ``"requests"`` counts starts, any
    other name is a cost that tasks name. With `learn` the number at a time is found out as well. One that bounds
    nothing is none.
    """

    on: str
    running: dict[str, float] = {}
    rates: dict[str, Rate] = {}
    learn: Learn | None = None

    @property
    def bounds(self) -> bool:
        """Whether it limits anything."""
        return bool(self.running or self.rates or self.learn)

    def over(self, other: "Limit | None") -> "Limit":
        """This one, and of the other what this one says nothing of."""
        if other is None:
            return self
        return Limit(
            self.on, {**other.running, **self.running}, {**other.rates, **self.rates}, self.learn or other.learn
        )


class LimitView(msgspec.Struct, frozen=True):
    """A limit and how much of it is taken now, by unit.

    `allowed` is how many it has learned to let run, `waiting` how many queues wait for it. `closed_s`: for so long
    nothing starts, for the service asked for that.
    """

    limit: Limit
    running: dict[str, float] = {}
    used: dict[str, float] = {}
    allowed: int | None = None
    closed_s: float = 0.0
    waiting: int = 0


class Held(msgspec.Struct, frozen=True):
    """Why a limit lets a task wait: in words, and the tasks (by number) that hold what it waits for."""

    on: str
    detail: str
    holders: tuple[int, ...] = ()
    queues: tuple[int, ...] = ()


def millionths(amount: float) -> int:
    """The amount in whole millionths, never less than one for what is more than nothing."""
    return max(round(amount * MILLION), 1 if amount > 0 else 0)


def amounts(given: Mapping[str, float]) -> Amounts:
    """The same by name, in an order that does not matter to who compares them."""
    return tuple(sorted((unit, millionths(amount)) for unit, amount in given.items()))


def shown(amount: int) -> str:
    """Millionths as people write them."""
    return f"{amount / MILLION:.12g}"
