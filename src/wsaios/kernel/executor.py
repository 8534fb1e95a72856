"""The executor as the hub sees it: windows of shards, timers, slots.

The component behind it is put in by `assemble`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from wsaios.kernel.limit import Held, Limit, LimitView
from wsaios.kernel.policy import Ordering
from wsaios.kernel.task import Body, Effective, HandlerSpec, LaneKind, LaneSpec, Shard, Task

Ref = tuple[int, int]


class Span(NamedTuple):
    """How long a window goes on being the best one: up to (key, id) `until` (None: its end), and for `most` tasks."""

    until: tuple[int, int] | None
    most: int | None


class Window(Protocol):
    """The best ready tasks of one shard, in memory.

    `parked` says why it gives none now, `bound` up to where it is whole.
    """

    shard: Shard
    lane: str
    parked: str
    complete: bool
    asked: bool
    bound: tuple[int, int]
    missed: tuple[int, int] | None
    queued: tuple[int, int] | None

    def __len__(self) -> int:
        """Rows in memory."""

    def covers(self, task: Task) -> bool:
        """Whether a ready task of this shard belongs into memory."""

    def add(self, task: Task, was: int | None = None) -> bool:
        """Take a task in when it belongs into memory; `was` is the key under which it stood here until now."""

    def miss(self, task: Task) -> None:
        """An answer that is on its way does not know what has become of this task."""

    def place(self) -> tuple[int, int] | None:
        """(key, id) of the best task, or what an unknown one must come after; None: there is none."""

    def head(self) -> Task | None:
        """The best one in memory."""

    def take(self, most: int, now_us: int, *, lasting: bool = False) -> list[Task]:
        """Remove up to `most` tasks with equal options from the front.

        After the first none whose time to expire has come; `lasting`: none that has such a time.
        """

    def run(self, most: int, until: tuple[int, int] | None, now_us: int, *, lasting: bool = False) -> list[Task]:
        """Remove up to `most` tasks from the front that come before `until`; none whose time to expire has come.

        `lasting`: only while they have the options of the first, and no time to expire.
        """

    def ready(self, most: int) -> int:
        """How many stand at the front, counted up to `most`."""

    def oldest_us(self, most: int) -> int:
        """Since when the longest waiting of the first `most` is ready."""

    def extend(self, tasks: Iterable[Task], bound: tuple[int, int] | None) -> None:
        """Take more rows from the ledger; None: there are no others."""

    def trim(self, room: int) -> list[Task]:
        """Give up what is too far back."""

    def thirsty(self, room: int) -> bool:
        """Whether the ledger should be asked for more."""


class Timer(Protocol):
    """Tasks by one of their times: the nearest in memory."""

    asked: bool
    bound: tuple[int, int]
    refill: int

    def add(self, task: Task) -> None:
        """Take a task in when it belongs into memory."""

    def leave(self, task: Task) -> None:
        """It no longer waits."""

    def extend(self, tasks: Iterable[Task], bound: tuple[int, int] | None) -> None:
        """Take more from the ledger; None: there are no others."""

    def reset(self) -> list[Task]:
        """Read everything anew; returns what is no longer kept for its time."""

    def due(self, now_us: int, most: int) -> Iterator[Task]:
        """Remove and yield those whose time has come."""

    def next_us(self) -> int | None:
        """When something is due next."""

    def trim(self) -> list[Task]:
        """Give up what is too far away."""

    def thirsty(self) -> bool:
        """Whether the ledger should be asked for more."""


AWAITS: Final = 1
"""Why a call stands aside: it awaits other tasks."""
RESTS: Final = 2
"""Why a call stands aside: it stopped at a checkpoint."""


class Turn:
    """What is known of a call that may give its slot away.

    The place from which it goes on, how often it used up its time, and since when it is asked to make room.
    """

    __slots__ = ("asked_us", "key", "level")

    def __init__(self, key: int) -> None:
        self.key = key
        self.level = 0
        self.asked_us: int | None = None


class Rest(NamedTuple):
    """A call that stopped at a checkpoint, with the place from which it goes on."""

    key: int
    task: int
    ref: tuple[int, int]

    @property
    def place(self) -> tuple[int, int]:
        """(key, id), as that of a task."""
        return self.key, self.task


class Resting(Protocol):
    """Calls that stopped at a checkpoint."""

    def __len__(self) -> int:
        """How many there are."""

    def __contains__(self, ref: Ref) -> bool:
        """Whether a call rests."""

    def leave(self, ref: Ref) -> bool:
        """A call rests no longer; whether it did."""

    def lanes(self) -> list[str]:
        """Those in which some call rests."""

    def best(self, lane: str, room: Callable[[int], int] | None = None) -> Rest | None:
        """The one that goes on next; `room` says how many slots a class may take now."""

    def refs(self) -> list[Ref]:
        """All that rest."""


class Seat(Protocol):
    """One slot that is taken; `size` attempts sat down; `turn` is kept of those that may give it away.

    It was taken for `used_us`, and since `since_us`; while the call is `away`, it is free since then. Of a call that
    was handed out `ahead`, before there was a slot for it, nobody knows when it began.
    """

    ahead: bool
    key: str
    size: int
    lane: str
    shard: Shard
    away: int
    since_us: int
    used_us: int
    turn: Turn | None
    spent: dict[str, int] | None


class Lent(Protocol):
    """How many short calls may wait in a lane beyond its slots."""

    def lend(self, lane: str, handler: str, rows: int) -> None:
        """From now on so many rows of this handler."""

    def rows(self, lane: str, handler: str) -> int:
        """How many of this handler."""

    def most(self, lane: str) -> int:
        """The most of any handler."""

    def all(self) -> Iterable[tuple[str, str, int]]:
        """Lane, handler and rows."""


class Usage(Protocol):
    """What was taken of rates, as the ledger keeps it."""

    @property
    def any(self) -> bool:
        """Whether there is something to write or to forget."""

    def load(self, facts: Iterable[tuple[str, str, Any]]) -> None:
        """Take over what the ledger knows; before the first task is looked at."""

    def kept(self, now_us: int) -> list[tuple[str, str, Any]]:
        """What the next commit writes, as facts."""


class Gates(Protocol):
    """Limits, and what is taken of them; `any`: there are some, `learns`: one finds out how many may run."""

    any: bool
    learns: bool

    def of(self, shard: Shard, lane: str) -> Sequence[object]:
        """The limits that tasks of a shard are under in a lane."""

    def told(self, ref: Ref, wait_us: int | None, now_us: int) -> None:
        """The call of an attempt ended well (None), or was refused and asked to wait so long."""

    @property
    def usage(self) -> Usage:
        """What was taken of rates, for the ledger."""

    def views(self, now_us: int) -> list[LimitView]:
        """All limits by name, with what is taken of them."""


class Queues(Protocol):
    """Who waits for a limit; `heeds` says whether a window may start as far as people have a say.

    `moved`: something started under a limit, and others that wait for it may be next.
    """

    moved: bool
    heeds: Callable[[Window], bool]

    def rows(self, window: Window, spec: HandlerSpec, now_us: int) -> int:
        """How many of the tasks at the front may start now; 0: it must wait, and is in line for that.

        NEVER: the first asks for more than there is.
        """

    def never(self, window: Window) -> str:
        """Why the first of a window can never start."""

    def fits(self, shard: Shard, lane: str, options: Effective, now_us: int) -> bool:
        """Whether a task that stands in no window may start."""

    def started(self, window: Window) -> None:
        """Some of a window started."""

    def left(self, number: int) -> None:
        """Another task may be the first of this shard: if it waits for a limit, that is looked at again."""

    def wake(self, now_us: int) -> list[Window]:
        """The windows that may have something to start since some of a limit is free, best first."""

    def next_us(self) -> int | None:
        """When time frees something that is waited for."""

    def why(self, window: Window, now_us: int) -> Held | None:
        """For which limit a window waits; None: it does not."""


class Slots(Protocol):
    """Who sits where; `reserved` are the lanes that keep slots for classes of work."""

    reserved: dict[str, list[int]]

    @property
    def gates(self) -> Gates:
        """The limits, of which who sits holds something."""

    def slots(self, lane: str) -> int:
        """How many slots a lane has."""

    def free(self, lane: str, lent: int = 0) -> int:
        """How many of them are free, if there were `lent` more."""

    def taken(self) -> int:
        """How many are taken over all lanes; not those of calls that stand aside."""

    def key_taken(self, key: str) -> int:
        """How many attempts run under a concurrency key."""

    def key_room(self, key: str, limit: int) -> int:
        """How many more may run under a concurrency key: the smallest limit counts, of those that run and this one."""

    def room(self, lane: str, grade: int) -> int:
        """How many free slots a class of work may take."""

    def take(self, lane: str, shard: Shard, refs: list[Ref], options: Effective, now_us: int) -> None:
        """One slot for these attempts of a shard, and what they hold of limits."""

    def seat(self, ref: Ref) -> Seat | None:
        """Where an attempt sits."""

    def leave(self, ref: Ref, now_us: int | None) -> Seat | None:
        """It leaves; its seat the first time, None afterwards. `now_us` None: it never came to its engine."""

    def stand(self, ref: Ref, *, aside: bool, now_us: int, why: int = AWAITS) -> None:
        """The call of an attempt stands aside, its slot being free meanwhile, or comes back."""

    def inherit(self, old: "Slots") -> None:
        """Take over who sits, not how many may."""

    def __iter__(self) -> Iterator[Ref]:
        """Every attempt that sits."""


class Shelf(Protocol):
    """The windows of all shards, and which of them the policy starts next."""

    handlers: dict[str, HandlerSpec]
    kinds: dict[str, LaneKind]

    @property
    def windows(self) -> Mapping[int, Window]:
        """Windows by shard."""

    @property
    def lanes(self) -> Mapping[str, object]:
        """The lanes there are."""

    def touch(self, window: Window) -> None:
        """Have a window looked at when the step ends."""

    def touched(self) -> list[Window]:
        """The windows to look at, once."""

    def lanes_awake(self) -> list[str]:
        """The lanes with a window that may have something to start."""

    def choose(self, lane: str) -> Window | None:
        """The window whose head the policy starts next in a lane."""

    def span(self, lane: str, handler: str) -> Span:
        """How far the window just chosen, of that handler, would be chosen again and again."""

    def open(self, shard: Shard, *, complete: bool) -> Window:
        """The window of a shard, made when there is none."""

    def drop(self, window: Window) -> None:
        """Forget a window."""

    def awake(self, window: Window) -> None:
        """A window may have something to start."""

    def unpark(self, window: Window) -> None:
        """Let a parked window be looked at again."""

    def settle(self, *windows: Window) -> None:
        """Find the lane of windows."""

    def room(self) -> int:
        """How many rows of one shard may be in memory."""


class Yields(Protocol):
    """Calls that give their slots away while they run."""

    def rest(self, task: Task, shard: Shard, now_us: int, *, used_up: bool) -> None:
        """A running call stopped at a checkpoint: its slot is free, and it stands in line for another one."""

    def returns(self, lane: str) -> Rest | None:
        """The call that goes on next in a lane, if it comes before all that has not begun."""

    def within(self, lane: str, span: Span) -> Span:
        """A span that ends no later than where a call goes on that stopped at a checkpoint."""

    def goes_on(self, ref: Ref, now_us: int) -> int | None:
        """A call that rested takes a slot; for how long until it yields again, µs."""

    def renew(self, task: Task, key: int) -> None:
        """Give a running call another place from which it may go on, at the top level."""

    def inherit(self, old: "Yields") -> None:
        """Take over which calls may have to make room, and which stand in line: by the ordering of now."""

    def quantum_us(self, level: int = 0) -> int | None:
        """How long a call of a level runs until it yields; None: until it is asked to."""

    @property
    def any(self) -> bool:
        """Whether some handler's calls may have to give their slots away."""

    def may_yield(self, lane: str, ref: Ref, key: int) -> None:
        """A call began that may have to give its slot to work of a higher class."""

    def begin(self) -> None:
        """Look at all lanes anew."""

    def next_us(self) -> int | None:
        """When another call is to be asked, where one that was asked did not react; None: never."""

    def waits(self, lane: str) -> Window | None:
        """The window of the best task in a lane in which calls may have to give their slots away."""

    def victims(self, lane: str, window: Window, now_us: int) -> list[Ref]:
        """Calls of lower classes that must give their slots to the better ones at the front of this window."""


class Executor(Shelf, Protocol):
    """The ready, the waiting-for-a-time and the running, as far as they are in memory."""

    suspects: dict[int, Task]
    ordering: Ordering

    @property
    def slots(self) -> Slots:
        """Slots and concurrency keys."""

    @property
    def lent(self) -> Lent:
        """What may wait beyond the slots."""

    @property
    def due(self) -> Timer:
        """Tasks that wait for a time."""

    @property
    def expiring(self) -> Timer:
        """Tasks that expire when they have not started."""

    @property
    def queues(self) -> Queues:
        """Who waits for a limit."""

    def lane(self, spec: LaneSpec) -> None:
        """Add a lane, or change how many slots it has."""

    def lane_us(self, lane: str) -> float | None:
        """How long a call in the lane has held its slot lately; None: none has ended."""

    def run_us(self, handler: str) -> int:
        """How long a call of the handler has taken lately; 0: none has ended."""

    @property
    def resting(self) -> Resting:
        """Calls that stopped at a checkpoint."""

    @property
    def yields(self) -> Yields:
        """Calls that give their slots away while they run."""

    def limit(self, limits: Iterable[Limit]) -> None:
        """Have these limits from now on; one that bounds nothing removes the one of its name."""

    def order(self, ordering: Ordering) -> None:
        """Give places by another policy from now on, and let tenants share or not."""

    def move(self, task: Task, shard: Shard, key: int) -> None:
        """Give a live task of the shard another place."""

    def place(self, shard: Shard, body: Body, now_us: int) -> int:
        """The place of a task within its shard, by the policy."""

    def handler(self, spec: HandlerSpec) -> None:
        """Make a handler known."""

    def options(self, task: Task, handler: str) -> Effective:
        """The options that apply."""

    def offer(self, task: Task, shard: Shard) -> None:
        """Take in a task that became ready."""

    def suspect(self, task: Task) -> bool:
        """Whether a ready task must run alone; then it is kept apart."""

    def covers(self, task: Task) -> bool:
        """Whether a task belongs into memory."""
