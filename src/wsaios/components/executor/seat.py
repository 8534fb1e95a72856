"""One call that runs, and what it holds."""

from wsaios.kernel.executor import Turn
from wsaios.kernel.task import Effective, Shard


class Seat:
    """One slot taken by a call, with the attempts it still holds; while it is `away` the slot is free.

    `away` has a bit for each reason: it awaits other tasks, or rests at a checkpoint. `paid` is what was taken of
    rates for it, by limit and unit: cell and amount; `spent` what it says to have used, by unit (None: it said
    nothing). `ahead`: there was no slot for it yet when it was handed out.
    """

    __slots__ = (
        "ahead", "alone", "away", "charged", "key", "lane", "left", "options", "paid", "shard", "since_us", "size",
        "spent", "turn", "used_us",
    )  # fmt: skip

    def __init__(self, lane: str, shard: Shard, size: int, options: Effective, since_us: int) -> None:
        self.lane = lane
        self.shard = shard
        self.key = shard.concurrency_key
        self.options = options
        self.left = size
        self.size = size
        self.alone = size == 1
        self.away = 0
        self.ahead = False
        self.since_us = since_us
        self.used_us = 0
        self.charged = 0.0
        self.turn: Turn | None = None
        self.paid: dict[tuple[str, str], tuple[int, int]] | None = None
        self.spent: dict[str, int] | None = None
