"""Handlers and lanes that come, go elsewhere or change while tasks wait for them."""

from tests.unit.components.executor.tasks import SHARD, ready
from wsaios.components.executor.executor import TaskExecutor
from wsaios.components.executor.policy import PriorityAgeing
from wsaios.kernel.task import HandlerSpec, LaneSpec


def test_a_handler_that_moves_to_a_lane_that_comes_later_starts_there() -> None:
    executor = TaskExecutor(PriorityAgeing())
    executor.lane(LaneSpec("default", 1))
    executor.handler(HandlerSpec("echo", "default"))
    executor.offer(ready(1, 1), SHARD)

    executor.handler(HandlerSpec("echo", "gpu"))
    assert executor.choose("default") is None
    executor.lane(LaneSpec("gpu", 1))

    window = executor.choose("gpu")
    assert window is not None
    assert window.shard == SHARD


def test_a_window_that_fills_up_is_looked_at_again_when_its_handler_changes() -> None:
    executor = TaskExecutor(PriorityAgeing())
    executor.lane(LaneSpec("default", 1))
    executor.handler(HandlerSpec("echo", "default", 4))
    executor.offer(ready(1, 1), SHARD)
    executor.windows[SHARD.id].parked = "fill"
    assert executor.choose("default") is None

    executor.handler(HandlerSpec("echo", "default", 1))

    assert executor.choose("default") is executor.windows[SHARD.id]


def test_a_window_that_fills_up_is_looked_at_again_when_a_row_comes_that_stays_in_the_ledger() -> None:
    executor = TaskExecutor(PriorityAgeing())
    executor.lane(LaneSpec("default", 1))
    executor.handler(HandlerSpec("echo", "default", 4))
    for number in (1, 2, 3):
        executor.offer(ready(number, number), SHARD)
    window = executor.windows[SHARD.id]
    window.parked = "fill"
    window.trim(2)

    executor.offer(ready(4, 4), SHARD)

    assert executor.choose("default") is window
