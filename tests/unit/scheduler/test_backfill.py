"""A large task among small ones that keep coming, whatever is believed of how long they take: it starts in time."""

import heapq
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.scheduler.rig import Rig
from wsaios.components.executor.gates import Gates
from wsaios.kernel.engine import AttemptRef, Ended, Verdict
from wsaios.kernel.events import Reported
from wsaios.kernel.limit import amounts
from wsaios.kernel.task import HandlerSpec, LaneSpec, NewTask, Options

HANDLERS = ("a", "b", "c")
LONGEST_US = 400_000


class Day:
    """Calls that take as long as the dice say, which need not be what their handler took before."""

    def __init__(self, seed: int, *, honest: bool) -> None:
        self.dice = Random(seed)
        specs = [HandlerSpec(name, "gpu") for name in (*HANDLERS, "large")]
        self.rig = Rig([LaneSpec("gpu", 50, resources={"gpu": 1.0}), *specs])
        self.took_us = {name: self.dice.randint(1_000, LONGEST_US) for name in HANDLERS}
        self.honest = honest
        self.ends: list[tuple[int, AttemptRef]] = []
        self.began: dict[int, int] = {}
        self.large = 0

    def submit(self, handler: str, amount: float, priority: int = 0) -> int:
        options = Options(resources=amounts({"gpu": amount}))
        tenant = f"{handler} {amount} {priority}"
        (number,) = self.rig.submit(NewTask(handler, b"{}", tenant=tenant, priority=priority, options=options))
        self._begin()
        return number

    def promised_us(self, number: int) -> int:
        """By when a task that waits was told that enough will be free; now, if nobody knows."""
        core, gates = self.rig.core, self.rig.core.executor.slots.gates
        assert isinstance(gates, Gates)
        shard = core.book.shards[core.book.tasks[number].shard]
        (gate,) = gates.of(shard, "gpu")
        return gate.queue[shard.id].promised_us or self.rig.now_us

    def until(self, at_us: int) -> None:
        """Let calls end up to a time."""
        while self.ends and self.ends[0][0] <= at_us:
            self.rig.now_us, ref = heapq.heappop(self.ends)
            self.rig.step(Reported(None, [Ended(ref.task, ref.fence, Verdict.SUCCEEDED, b"1")]))
            self._begin()
        self.rig.now_us = at_us

    def _begin(self) -> None:
        held = 0
        for work in self.rig.works:
            attempt = work.attempts[0]
            self.began[attempt.task] = self.rig.now_us
            took_us = self.took_us.get(work.handler, 1_000)
            if not self.honest:
                took_us = self.dice.randint(1, LONGEST_US)
            heapq.heappush(self.ends, (self.rig.now_us + took_us, AttemptRef(attempt.task, attempt.fence)))
        self.rig.works.clear()
        for ref in self.rig.core.executor.slots:
            seat = self.rig.core.executor.slots.seat(ref)
            assert seat is not None
            held += dict(self.rig.core.executor.options(self.rig.core.book.tasks[ref[0]], "a").resources)["gpu"]
        assert held <= 1_000_000


@given(st.integers(0, 1 << 30), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_large_task_starts_when_it_was_promised_or_when_what_ran_then_has_ended(seed: int, honest: bool) -> None:
    day, dice = Day(seed, honest=honest), Random(seed + 1)
    promised_us: int | None = None
    large, tail_us = 0, 0
    for turn in range(150):
        day.until(day.rig.now_us + dice.randint(0, 20_000))
        if turn == 60:
            large = day.submit("large", 1.0, priority=20)
        # They are never far behind: as many as the lane can hold come in again and again.
        day.submit(dice.choice(HANDLERS), dice.choice((0.1, 0.25, 0.5)))
        if large and large not in day.began and promised_us is None:
            promised_us = day.promised_us(large)
        if promised_us is not None and not tail_us and day.rig.now_us >= promised_us:
            tail_us = max((end_us for end_us, _ in day.ends), default=day.rig.now_us)
    day.until(day.rig.now_us + 2 * LONGEST_US)
    assert large in day.began
    if promised_us is not None:
        assert day.began[large] <= max(promised_us, tail_us) + LONGEST_US
    if promised_us is not None and tail_us:
        assert day.began[large] <= max(promised_us, tail_us)


def test_many_small_ones_go_on_beside_a_large_one_that_waits() -> None:
    """Without backfill they would wait as long as it does."""
    day = Day(1, honest=True)
    day.took_us = {"a": 300_000, "b": 5_000, "c": 5_000}
    for name in HANDLERS:
        day.submit(name, 0.1)
        day.until(day.rig.now_us + LONGEST_US)
    day.submit("a", 0.5)
    day.until(day.rig.now_us + 1_000)
    large = day.submit("large", 1.0, priority=20)
    small = [day.submit(name, 0.25) for name in ("b", "c") for _ in range(10)]
    day.until(day.rig.now_us + 100_000)
    assert large not in day.began
    assert all(number in day.began for number in small)
    day.until(day.rig.now_us + 200_000)
    assert large in day.began
