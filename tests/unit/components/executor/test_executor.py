"""Handlers and lanes that come, go elsewhere or change while tasks wait for them."""

from tests.unit.components.executor.tasks import SHARD, ready
from wsaios.components.executor.executor import TaskExecutor
from wsaios.kernel.policy import Ordering
from wsaios.kernel.task import HandlerSpec, LaneSpec, Shard


def test_a_handler_that_moves_to_a_lane_that_comes_later_starts_there() -> None:
    executor = TaskExecutor(Ordering())
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
    executor = TaskExecutor(Ordering())
    executor.lane(LaneSpec("default", 1))
    executor.handler(HandlerSpec("echo", "default", 4))
    executor.offer(ready(1, 1), SHARD)
    executor.windows[SHARD.id].parked = "fill"
    assert executor.choose("default") is None

    executor.handler(HandlerSpec("echo", "default", 1))

    assert executor.choose("default") is executor.windows[SHARD.id]


def test_a_window_that_fills_up_is_looked_at_again_when_a_row_comes_that_stays_in_the_ledger() -> None:
    executor = TaskExecutor(Ordering())
    executor.lane(LaneSpec("default", 1))
    executor.handler(HandlerSpec("echo", "default", 4))
    for number in (1, 2, 3):
        executor.offer(ready(number, number), SHARD)
    window = executor.windows[SHARD.id]
    window.parked = "fill"
    window.trim(2)

    executor.offer(ready(4, 4), SHARD)

    assert executor.choose("default") is window


def test_only_lanes_with_something_to_start_are_looked_at() -> None:
    executor = TaskExecutor(Ordering())
    for number in range(1000):
        executor.lane(LaneSpec(f"lane-{number}", 1))
    executor.handler(HandlerSpec("echo", "lane-7"))
    assert executor.lanes_awake() == []

    executor.offer(ready(1, 1), SHARD)
    assert executor.lanes_awake() == ["lane-7"]
    window = executor.choose("lane-7")
    assert window is not None
    window.take(1, 0)
    assert executor.choose("lane-7") is None
    assert executor.lanes_awake() == []

    executor.offer(ready(2, 2), SHARD)
    assert executor.lanes_awake() == ["lane-7"]


def test_a_lane_whose_only_window_was_parked_is_looked_at_again_when_that_is_over() -> None:
    executor = TaskExecutor(Ordering())
    executor.lane(LaneSpec("default", 1))
    executor.handler(HandlerSpec("echo", "default"))
    executor.offer(ready(1, 1), SHARD)
    window = executor.windows[SHARD.id]
    window.parked = "key"
    assert executor.choose("default") is None
    assert executor.lanes_awake() == []

    executor.unpark(window)
    assert executor.lanes_awake() == ["default"]
    assert executor.choose("default") is window


def test_a_handler_that_moves_wakes_its_new_lane() -> None:
    executor = TaskExecutor(Ordering())
    executor.lane(LaneSpec("default", 1))
    executor.lane(LaneSpec("gpu", 1))
    executor.handler(HandlerSpec("echo", "default"))
    executor.offer(ready(1, 1), SHARD)
    assert executor.lanes_awake() == ["default"]

    executor.handler(HandlerSpec("echo", "gpu"))
    assert executor.choose("default") is None
    assert executor.lanes_awake() == ["gpu"]


def test_lanes_are_looked_at_in_the_order_in_which_they_came() -> None:
    executor = TaskExecutor(Ordering())
    for lane in ("c", "a", "d", "b"):
        executor.lane(LaneSpec(lane, 1))
        executor.handler(HandlerSpec(lane, lane))
    for number, lane in enumerate("abcd", 1):
        task = ready(number, number)
        task.shard = number
        executor.offer(task, Shard(number, "", "", lane, 0, ""))

    assert executor.lanes_awake() == ["c", "a", "d", "b"]
