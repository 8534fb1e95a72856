"""Builds a working scheduler from a ledger's address and settings: the one place that knows every adapter."""

import gc
import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, Final, get_args
from zoneinfo import ZoneInfo

import msgspec

from wsaios.components.goals import GoalQueue
from wsaios.components.optimizer import ParamOptimizer
from wsaios.components.relations import RelationStore
from wsaios.components.rules import RuleEngine
from wsaios.components.state import StateStore
from wsaios.engines.local.answers import GiveUp, RetryAfter
from wsaios.engines.local.engine import LocalEngine
from wsaios.engines.local.handlers import Handler, Handlers
from wsaios.engines.local.process.place import place_of, refuse_while_loading
from wsaios.expressions import Cel
from wsaios.kernel.errors import InvalidInput, MissingExtra
from wsaios.kernel.events import HandlerKnown
from wsaios.kernel.faculties import Changes, Hub, load
from wsaios.kernel.failpoints import Failpoint, nothing
from wsaios.kernel.ledger import Ledger, Opening, Reads
from wsaios.kernel.limit import Limit
from wsaios.kernel.policy import AnyPolicy, FairShare, Ordering
from wsaios.kernel.task import GRADES, HandlerSpec, LaneKind, LaneSpec, Options, Processes
from wsaios.kernel.trigger import Languages
from wsaios.ledger.failpoint_exit import from_environment
from wsaios.ledger.location import locate
from wsaios.ledger.sqlite import SqliteLedger
from wsaios.planning.calls import amounts_of, seconds, whole
from wsaios.planning.limits import limits_of
from wsaios.planning.ordering import ordering_of
from wsaios.scheduler.assemble import assemble
from wsaios.scheduler.bounds import unlike
from wsaios.scheduler.core import Core
from wsaios.scheduler.inspect import Read
from wsaios.scheduler.lifecycle import Lifecycle
from wsaios.scheduler.loop import Log, Loop
from wsaios.scheduler.maintenance.prune import RETENTION_S, Pruning
from wsaios.scheduler.notices import Notices
from wsaios.scheduler.reorder import ORDER
from wsaios.scheduler.service import Limits, Service
from wsaios.scheduler.threads import CallThread

LANES: Final = (LaneSpec("default", 1000, "async"), LaneSpec("thread", 32, "thread"))
GRACE_S: Final = 10.0
LEASE_S: Final = 5.0
MIN_LEASE_S: Final = 0.5
_SOONEST_AGAIN_S: Final = 1.0
MAX_SLOTS: Final = 100_000
MAX_NICE: Final = 19
MIN_IMPORT_S: Final = 0.01
MAX_LIMIT: Final = 1 << 40
LANGUAGES: Final = Languages(ZoneInfo, Cel())
CEL_STEPS: Final = 1_000_000
"""How much an expression of a run may cost: about 50 ms, in which nothing else is decided."""
_GC_THRESHOLDS: Final = (20_000, 50, 100)
_SWITCH_INTERVAL_S: Final = 0.0001


class Settings(msgspec.Struct, frozen=True):
    """How a scheduler is set up; `lanes` are added to, or replace, the lanes ``default``,
    ``thread`` and ``process`` (a slot for each processor, and short calls at hand beyond them).

    `retention_s` is how long finished work is kept. `http_allow_private`: actions of type ``api`` may call addresses
    that are not public. `only_client`: it decides nothing, and only takes work in.

    `serves` False: it works for its own process alone, pursues no goals and opens no door. `policy` (a name such as
    ``"deadline"``, or a policy of `wsaios.policies`) and `fair_share` (True, or `FairShare` with weights) say what
    starts next. They are kept in the ledger, so that everyone who takes work in gives it its place by the same measure;
    None: as the ledger says, else ``"priority"`` without shares. What waits gets its new place step by step. `bounds`
    are limits of what runs; they are kept in the ledger, too, beside those that it has under other names. `lease_s`
    is how long an owner of a ledger on a server may be silent before another one may take over.
    """

    lanes: tuple[LaneSpec, ...] = ()
    limits: Limits = Limits()
    grace_s: float = GRACE_S
    retention_s: float = RETENTION_S
    policy: str | AnyPolicy | None = None
    fair_share: bool | FairShare | None = None
    only_client: bool = False
    serves: bool = True
    http_allow_private: bool = False
    lease_s: float = LEASE_S
    bounds: tuple[Limit, ...] = ()


class SystemClock:
    """Microseconds UTC from this machine's clocks; where they disagree it goes forward, never back."""

    def __init__(self) -> None:
        self._offset = time.time_ns() - time.monotonic_ns()

    def now_us(self) -> int:
        """The present."""
        steady = time.monotonic_ns()
        offset = time.time_ns() - steady
        self._offset = max(self._offset, offset)
        return (steady + self._offset) // 1000

    def not_before(self, at_us: int) -> None:
        """Go on from `at_us` when the machine's clock stands before it."""
        self._offset += max(0, at_us - self.now_us()) * 1000


class Stderr:
    """A log that needs nothing: one line on standard error for each message."""

    def warning(self, event: str, **fields: Any) -> None:
        """Something is odd and handled."""
        self._say("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Something is wrong and needs a hand."""
        self._say("error", event, fields)

    def _say(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        told = " ".join(f"{name}={value!r}" for name, value in fields.items())
        # A log that nobody can read must not stop the scheduler that writes it.
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"wsaios {level}: {event} {told}".rstrip() + "\n")


class VisitedLedger(SqliteLedger):
    """A ledger that a client holds for a moment while no owner lives."""

    def open(self, now_us: int, who: str) -> Opening:
        """As `Ledger.open`, but a starting owner waits for this holder; ids are made in the ledger's own slot."""
        return self.open_as_client(now_us, who)


class Lazy:
    """A ledger's reads, opened at the first question, in the thread that asks."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._reads: Reads | None = None

    def __getattr__(self, name: str) -> Any:
        if self._reads is None:
            self._reads = self._ledger.reads()
        return getattr(self._reads, name)


class Tuning:
    """The interpreter's settings while a scheduler runs; the last one to leave puts them back."""

    def __init__(self) -> None:
        self._inside = 0
        self._interval = 0.0
        self._thresholds = (0, 0, 0)

    def enter(self) -> None:
        """One more scheduler runs."""
        if not self._inside:
            self._interval, self._thresholds = sys.getswitchinterval(), gc.get_threshold()
            # What lives here lives long and holds no rings: the usual threshold costs 5 to 7 % of the loop's time,
            # one of 3,000 much the same; a larger one than this stops the loop for longer than 10 ms.
            gc.set_threshold(*_GC_THRESHOLDS)
            sys.setswitchinterval(min(self._interval, _SWITCH_INTERVAL_S))
        self._inside += 1

    def leave(self) -> None:
        """One scheduler less."""
        self._inside -= 1
        if not self._inside:
            sys.setswitchinterval(self._interval)
            gc.set_threshold(*self._thresholds)


_TUNING: Final = Tuning()


class Components:
    """The five components that the hub asks, all saying their changes to one sink."""

    def __init__(self, changes: Changes, notices: Notices) -> None:
        self.goals = GoalQueue(sink=changes)
        self.state = StateStore(sink=changes, notify=notices)
        self.relations = RelationStore(sink=changes)
        self.rules = RuleEngine()
        self.optimizer = ParamOptimizer(sink=changes)


class Api:
    """The handler of actions of type ``api``: one guarded HTTP call."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._client: Any = None

    async def __call__(
        self,
        url: str,
        method: str = "GET",
        json: Any = None,
        params: Any = None,
        timeout: float = 30.0,  # noqa: ASYNC109
        *,
        allow_private: bool = True,
    ) -> Any:
        """Call the address; the result is ``{"status", "headers", "json" | "text"}``.

        One that is not public is called where the scheduler allows that and the caller did not forbid it.

        A call that is refused or wrong in itself, and a status that says so (4xx but 408, 425, 429), end the task; a
        429 or 503 that names a time is called again then, at the earliest in a second.
        """
        # httpx takes 0.3 s to import, and most programs never call an address.
        from wsaios.engines.http import CallRefused, HttpAction, StatusFailed  # noqa: PLC0415  # see above

        if self._client is None:
            self._client = HttpAction()
        try:
            private = self._allow_private and allow_private
            return await self._client.call(
                method, url, json=json, params=params, timeout_s=timeout, allow_private=private
            )
        except (CallRefused, InvalidInput) as error:
            return GiveUp(str(error))
        except StatusFailed as error:
            if error.permanent:
                return GiveUp(str(error))
            if error.retry_after_s is None:
                raise
            return RetryAfter(max(_SOONEST_AGAIN_S, error.retry_after_s), str(error))

    async def close(self) -> None:
        """Close its connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


class Parts:
    """One scheduler, wired."""

    def __init__(self, url: str, settings: Settings, handlers: Handlers, specs: Mapping[str, HandlerSpec]) -> None:
        """`specs` may grow until `start`; later ones go in by `know`."""
        _check(settings)
        self.settings = settings
        self.clock = SystemClock()
        self.log: Log = Stderr()
        self._specs = specs
        lanes = lanes_of(settings)
        self.lanes: dict[str, LaneSpec] = {} if settings.only_client else lanes
        self.failpoint = failpoint = from_environment(os.environ.get("WSAIOS_FAILPOINT"))
        self.ledger = ledger_of(url, settings, failpoint)
        self.engine = LocalEngine(handlers, self.lanes, now_us=self.clock.now_us, warn=self.log.warning)
        self.notices = Notices(self._watcher_failed)
        self.loop = Loop(
            self.ledger,
            self.engine,
            self.clock,
            self._core,
            log=self.log,
            failpoint=failpoint,
            notices=self.notices,
        )
        self.changes = Changes(self.loop.wake)
        self.components = Components(self.changes, self.notices)
        self.reader = reader = CallThread("wsaios-reader")
        reads: Any = Lazy(self.ledger)
        read: Read = reader.call
        self.service = Service(self.loop, reads, read, self.clock, settings.limits, LANGUAGES)
        self.service.workflows.language = Cel()
        self.service.specs = specs
        self.pruning = Pruning(self.loop, self.ledger, self.clock, self.log, settings.retention_s)
        self.lifecycle = Lifecycle(self.loop, self.engine, reader, self.pruning, settings.grace_s)
        self._language = Cel(max_steps=CEL_STEPS)
        self._rng = random.Random()  # noqa: S311  # jitter, no secret
        self._tuned = False

    async def start(self, who: str) -> Opening:
        """Own the ledger and begin."""
        refuse_while_loading()
        opening = await self.lifecycle.start(who)
        _TUNING.enter()
        self._tuned = True
        return opening

    async def stop(self, closing: Callable[[], None] = lambda: None) -> None:
        """End in good order; `closing` as in `Lifecycle.stop`."""
        await self.lifecycle.stop(closing)
        self.notices.stop()
        if self._tuned:
            self._tuned = False
            _TUNING.leave()

    def know(self, spec: HandlerSpec) -> None:
        """Make a handler known to the running core."""
        if self.loop.core is not None:
            self.loop.post(HandlerKnown(spec))

    def _core(self, opening: Opening, *, died: bool) -> Core:
        self.clock.not_before(opening.clock_us)
        if died:
            facts: dict[str, list[tuple[str, object]]] = {}
            for component, key, value in opening.facts:
                facts.setdefault(component, []).append((key, value))
            self.changes.clear()
            load(self.components, facts)
        else:
            self.changes.again()
            # Nobody was told of runs that triggers began with a commit that seemed to fail.
            self.loop.watch.begun([run.version for run in opening.runs])
        stored = _ordering_of(opening)
        pursues = self.settings.serves and not self.settings.only_client
        core = assemble(
            opening,
            stored,
            self._rng,
            specs=(*self.lanes.values(), *self._specs.values()),
            hub=Hub(self.components, self.changes, LANGUAGES) if pursues else None,
            died=died,
            recover=not self.settings.only_client,
        )
        core.runs.speak(self._language)
        wanted = ordering_of(stored, self.settings.policy, fair_share=self.settings.fair_share)
        if wanted != stored and not self.settings.only_client:
            core.wanted = wanted
        if not self.settings.only_client:
            core.wanted_limits = unlike(self.settings.bounds, opening.facts)
        return core

    def _watcher_failed(self, error: BaseException) -> None:
        self.log.warning("a watcher of state raised", reason=f"{type(error).__name__}: {error}")


def _ordering_of(opening: Opening) -> Ordering:
    """By which policy this ledger orders its work."""
    for component, key, value in opening.facts:
        if (component, key) == ORDER:
            return msgspec.convert(value, Ordering)
    return Ordering()


def ledger_of(url: str, settings: Settings, failpoint: Failpoint = nothing) -> Ledger:
    """The ledger at an address, not opened yet.

    Raises:
        InvalidInput: the address names no ledger.
        MissingExtra: what its database needs is not installed.
    """
    if not locate(url).remote:
        return (VisitedLedger if settings.only_client else SqliteLedger)(url, failpoint=failpoint)
    try:
        # Its driver is an extra, and takes 0.1 s to import.
        from wsaios.ledger.postgres.ledger import PostgresLedger, VisitedPostgresLedger  # noqa: PLC0415  # see above
    except ModuleNotFoundError as error:
        raise MissingExtra("asyncpg, the driver of PostgreSQL,", "postgres") from error
    kind = VisitedPostgresLedger if settings.only_client else PostgresLedger
    return kind(url, failpoint=failpoint, lease_s=settings.lease_s)


def ledger_url(given: str | None) -> str:
    """The ledger's address: as given, else WSAIOS_LEDGER, else ``sqlite:///wsaios.db`` in the working folder."""
    return given or os.environ.get("WSAIOS_LEDGER") or "sqlite:///wsaios.db"


def spec_of(
    handler: Handler,
    kind: LaneKind,
    batch_size: int,
    max_wait_s: float,
    options: Options,
    calls: Mapping[str, Any] | None = None,
) -> HandlerSpec:
    """What the core knows of a handler that lanes of this kind can run."""
    required = () if handler.batched else handler.required
    return HandlerSpec(
        handler.name,
        handler.lane,
        batch_size,
        int(max_wait_s * 1e6),
        options,
        required,
        dict(calls or {}),
        kind,
        handler.accepts,
    )


def _check(settings: Settings) -> None:
    """Refuse what no scheduler could work with, before anything is made."""
    if not isinstance(settings, Settings):
        raise InvalidInput("settings", f"must be Settings(…), not {settings!r:.80}")
    if not isinstance(settings.limits, Limits):
        raise InvalidInput("limits", f"must be Limits(…), not {settings.limits!r:.80}")
    for field in msgspec.structs.fields(Limits):
        whole(f"limits.{field.name}", getattr(settings.limits, field.name), 1, MAX_LIMIT)
    seconds("lease_s", settings.lease_s, MIN_LEASE_S, 3600.0)
    ordering_of(Ordering(), settings.policy, fair_share=settings.fair_share)
    limits_of(settings.bounds)


def lanes_of(settings: Settings) -> dict[str, LaneSpec]:
    """All lanes by name.

    Raises:
        InvalidInput: one of them has no slots, a kind that there is not, or another kind than its name stands for.
    """
    given = (*LANES, LaneSpec("process", len(usable_cpus()), "process"))
    fixed = {lane.name: lane.kind for lane in given}
    for lane in settings.lanes:
        field = f"lanes[{lane.name!r}]"
        whole(f"{field}.slots", lane.slots, 1, MAX_SLOTS)
        if lane.kind not in get_args(LaneKind):
            raise InvalidInput(
                f"{field}.kind", f"must be one of {', '.join(get_args(LaneKind))}, not {lane.kind!r:.80}"
            )
        if lane.kind != fixed.get(lane.name, lane.kind):
            reason = f"must be {fixed[lane.name]!r}, handlers that name no lane rely on it; give the lane another name"
            raise InvalidInput(f"{field}.kind", reason)
        _check_processes(field, lane)
        _check_reserved(f"{field}.reserved", lane)
        amounts_of(f"{field}.resources", lane.resources)
    return {lane.name: lane for lane in (*given, *settings.lanes)}


def usable_cpus() -> set[int]:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def check_preemptible(preemptible: object, kind: LaneKind) -> None:
    """Refuse what no call could do.

    Raises:
        InvalidInput: it is no bool, or the lane runs threads, which nothing can interrupt.
    """
    if not isinstance(preemptible, bool):
        raise InvalidInput("preemptible", f"must be True or False, not {preemptible!r:.80}")
    if preemptible and kind == "thread":
        reason = "a thread cannot be interrupted; use a coroutine with Context.checkpoint, or a lane of kind 'process'"
        raise InvalidInput("preemptible", reason)


def _check_reserved(field: str, lane: LaneSpec) -> None:
    if not isinstance(lane.reserved, Mapping):
        raise InvalidInput(field, f"must be a mapping of classes to slots, not {lane.reserved!r:.80}")
    for grade, count in lane.reserved.items():
        if grade not in GRADES[1:]:
            close = get_close_matches(str(grade), GRADES[1:], 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise InvalidInput(field, f"slots are kept for {' or '.join(GRADES[1:])}, not for {grade!r:.80}{hint}")
        whole(f"{field}[{grade!r}]", count, 0, lane.slots)
    if sum(lane.reserved.values()) >= lane.slots:
        raise InvalidInput(field, f"keeps all {lane.slots} slots, so that bulk work would never start; leave one")


def _check_processes(field: str, lane: LaneSpec) -> None:
    field, options = f"{field}.processes", lane.processes
    if not isinstance(options, Processes):
        raise InvalidInput(field, f"must be Processes(…), not {options!r:.80}")
    if lane.kind != "process" and options != Processes():
        raise InvalidInput(field, f"a lane of kind {lane.kind!r} has none; use kind 'process'")
    if options.count is not None:
        whole(f"{field}.count", options.count, 1, lane.slots)
    whole(f"{field}.max_tasks", options.max_tasks, 0, MAX_LIMIT)
    whole(f"{field}.max_mib", options.max_mib, 0, MAX_LIMIT)
    whole(f"{field}.nice", options.nice, 0, MAX_NICE)
    whole(f"{field}.least", options.least, 0, options.count or lane.slots)
    seconds(f"{field}.idle_s", options.idle_s, 0.0, 86_400.0)
    seconds(f"{field}.import_s", options.import_s, MIN_IMPORT_S, 3600.0)
    missing = set(options.cpus) - usable_cpus()
    if missing:
        usable = ", ".join(map(str, sorted(usable_cpus())))
        raise InvalidInput(f"{field}.cpus", f"there is no processor {min(missing)!r} to use; there are {usable}")


def check_lane(handler: Handler, lanes: Mapping[str, LaneSpec]) -> LaneKind:
    """The kind of the handler's lane.

    Raises:
        InvalidInput: it is not there (says which lanes there are) or cannot run this handler.
    """
    lane = lanes.get(handler.lane)
    if lane is None:
        raise InvalidInput("lane", f"no lane {handler.lane!r}; there are {', '.join(sorted(lanes))}")
    if (lane.kind == "async") != handler.coroutine:
        kinds = ("coroutines", "plain functions")
        runs, wanted = kinds if lane.kind == "async" else kinds[::-1]
        raise InvalidInput(
            "lane", f"lane {lane.name!r} runs {runs}, and handler {handler.name!r} is one of the {wanted}"
        )
    if lane.kind == "process":
        place_of(handler.name, handler.function)
    return lane.kind
