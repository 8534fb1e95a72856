"""The windows of all shards, and the heads of each lane."""

from collections.abc import Callable
from functools import partial
from typing import Final

from wsaios.components.executor.line import Line
from wsaios.components.executor.meter import Meter
from wsaios.components.executor.resting import Resting
from wsaios.components.executor.slots import Slots
from wsaios.components.executor.window import ShardWindow
from wsaios.kernel.executor import Span, Window
from wsaios.kernel.task import HandlerSpec, LaneKind, Shard

ROOM: Final = 4096
ROWS_IN_MEMORY: Final = 65_536


class Shelf:
    """Which window may start something next, and why the others may not."""

    def __init__(self) -> None:
        self.handlers: dict[str, HandlerSpec] = {}
        self.windows: dict[int, Window] = {}
        self.lanes: dict[str, Line] = {}
        self.meter = Meter(self.lanes.get)
        self.slots = Slots(self.meter)
        self.resting = Resting()
        self.kinds: dict[str, LaneKind] = {}
        self._touched: dict[int, Window] = {}
        self._awake: set[str] = set()
        self._numbers: dict[str, int] = {}

    def open(self, shard: Shard, *, complete: bool) -> Window:
        """The window of a shard, made when there is none; `complete` False: the ledger holds rows of it."""
        window = self.windows.get(shard.id)
        if window is None:
            window = self.windows[shard.id] = ShardWindow(shard, complete=complete)
            self._touched[shard.id] = window
            self.settle(window)
        return window

    def awake(self, window: Window) -> None:
        """Say that a window may have something to start."""
        if window.lane and not window.parked:
            self.lanes[window.lane].push(window)
            self._awake.add(window.lane)

    def unpark(self, window: Window) -> None:
        """Let a parked window be looked at again."""
        window.parked = ""
        self._touched[window.shard.id] = window
        self.awake(window)

    def touch(self, window: Window) -> None:
        """Have a window looked at when the step ends."""
        self._touched[window.shard.id] = window

    def touched(self) -> list[Window]:
        """The windows to look at, once."""
        touched, self._touched = self._touched, {}
        return list(touched.values())

    def lanes_awake(self) -> list[str]:
        """The lanes with a window that may have something to start, the one that came first in front."""
        # Many lanes may be there, and few in use: what a step costs must not depend on those that are not.
        self._awake = {lane for lane in self._awake if self.lanes[lane]}
        if self.resting:
            self._awake.update(self.resting.lanes())
        return sorted(self._awake, key=self._numbers.__getitem__)

    def choose(self, lane: str) -> Window | None:
        """The window whose head the policy starts next in a lane; None: there is none."""
        line = self.lanes[lane]
        if line.sole is not None and lane not in self.slots.reserved:
            head = line.sole.best()
        else:
            head = line.best(self.room_of(lane))
        return None if head is None else self.windows[head[2]]

    def span(self, lane: str, handler: str) -> Span:
        """How far the window just chosen, of that handler, would be chosen again and again."""
        line = self.lanes[lane]
        if line.sole is not None and lane not in self.slots.reserved:
            return Span(line.sole.after_best(), None)
        return line.span(partial(self.meter.expected_us, handler), self.room_of(lane))

    def room_of(self, lane: str) -> Callable[[int], int] | None:
        """How many slots a class of work may take now; None: all that are free."""
        return partial(self.slots.room, lane) if lane in self.slots.reserved else None

    def room(self) -> int:
        """How many rows of one shard may be in memory: the more shards, the fewer."""
        return max(64, min(ROOM, ROWS_IN_MEMORY // (len(self.windows) or 1)))

    def drop(self, window: Window) -> None:
        """Forget a window that has nothing in it nor in the ledger."""
        self.windows.pop(window.shard.id, None)
        self._touched.pop(window.shard.id, None)

    def settle(self, *windows: Window) -> None:
        """Find the lane of windows; park those whose handler or lane is not there."""
        for window in windows:
            spec = self.handlers.get(window.shard.handler)
            lane = window.shard.lane or (spec.lane if spec else "")
            if window.parked == "seal":
                continue
            if spec is None:
                window.parked = "handler"
            elif lane not in self.lanes:
                window.parked = "lane"
            else:
                if window.lane != lane:
                    window.lane, window.queued = lane, None
                if window.parked in {"handler", "lane"}:
                    window.parked = ""
                self.awake(window)
