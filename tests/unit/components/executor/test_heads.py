"""The heads of a lane against all of its windows: the best is the smallest that is not parked, however they change."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.unit.components.executor.tasks import ready
from wsaios.components.executor.heads import Heads
from wsaios.components.executor.window import ShardWindow
from wsaios.kernel.executor import Window
from wsaios.kernel.states import State
from wsaios.kernel.task import Shard

SHARDS = st.integers(1, 4)
LANE = "default"


class HeadsMachine(RuleBasedStateMachine):
    """Four shards of one lane."""

    def __init__(self) -> None:
        super().__init__()
        self.windows: dict[int, Window] = {number: self.window(number, complete=True) for number in range(1, 5)}
        self.heads = Heads(self.windows, LANE)
        self.number = 0

    @staticmethod
    def window(number: int, *, complete: bool) -> Window:
        window = ShardWindow(Shard(number, LANE, "default", "echo", 0, ""), complete=complete)
        window.lane = LANE
        return window

    def expected(self) -> list[tuple[int, int, int]]:
        able = {number: each for number, each in self.windows.items() if not each.parked and each.lane == LANE}
        places = {number: window.place() for number, window in able.items()}
        return sorted((*place, number) for number, place in places.items() if place is not None)

    @rule(shard=SHARDS, key=st.integers(0, 9))
    def a_task_comes(self, shard: int, key: int) -> None:
        self.number += 1
        window = self.windows[shard]
        window.add(ready(self.number, key))
        if not window.parked and window.lane == LANE:
            self.heads.push(window)

    @rule(shard=SHARDS)
    def a_task_starts_or_leaves(self, shard: int) -> None:
        for task in self.windows[shard].take(1, 0):
            task.state = State.RUNNING

    @rule(shard=SHARDS)
    def a_head_stops_being_ready_where_it_stands(self, shard: int) -> None:
        task = self.windows[shard].head()
        if task is not None:
            task.state = State.PAUSED

    @rule(shard=SHARDS)
    def a_window_is_parked(self, shard: int) -> None:
        self.windows[shard].parked = "key"

    @rule(shard=SHARDS)
    def a_window_is_let_go_on(self, shard: int) -> None:
        self.windows[shard].parked = ""
        if self.windows[shard].lane == LANE:
            self.heads.push(self.windows[shard])

    @rule(shard=SHARDS, lane=st.sampled_from((LANE, "another")))
    def a_window_belongs_to_a_lane(self, shard: int, lane: str) -> None:
        window = self.windows[shard]
        if window.lane != lane:
            window.lane, window.queued = lane, None
        if lane == LANE and not window.parked:
            self.heads.push(window)

    @rule(shard=SHARDS, key=st.integers(0, 9))
    def a_window_is_forgotten_and_made_anew(self, shard: int, key: int) -> None:
        self.number += 1
        self.windows[shard] = self.window(shard, complete=False)
        self.windows[shard].bound = (key, self.number)
        self.heads.push(self.windows[shard])

    @rule()
    def the_best_is_found(self) -> None:
        expected = self.expected()
        chosen, until = self.heads.best(), self.heads.after_best()

        assert chosen == (expected[0] if expected else None)
        assert until is None or len(expected) < 2 or until <= expected[1][:2]
        assert len(expected) < 2 or until is not None

    @invariant()
    def every_head_is_there_once(self) -> None:
        # What is not at the front may be put right later; whoever asks for the best first sees only what is true.
        seen = list(self.heads)
        assert len(seen) == len(set(seen))
        assert set(seen) <= set(self.expected())


TestHeads = HeadsMachine.TestCase


def test_a_head_that_better_ones_pass_for_ever_costs_no_more_memory() -> None:
    window = HeadsMachine.window(1, complete=True)
    heads = Heads({1: window}, LANE)
    window.add(ready(1, 1_000_000))
    heads.push(window)
    for number in range(2, 5_000):
        window.add(ready(number, number))
        heads.push(window)
        heads.best()
        window.take(1, 0)
        heads.best()

    assert len(heads) < 100
    assert heads.best() == (1_000_000, 1, 1)
