"""Triggers: what a process declares, the people who pause and emit, and the law of each time, event and change."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from tests.simulation.purpose import Purpose
from tests.simulation.red import Check, require
from tests.simulation.world import World
from wsaios.expressions.cel import Cel
from wsaios.kernel.errors import NotPossible, UnknownTrigger
from wsaios.kernel.events import ActOnTrigger, Emit, Event, Publish, PutTrigger, Route
from wsaios.kernel.ids import decode
from wsaios.kernel.ledger import Commit
from wsaios.kernel.run import RunState, StoredDefinition
from wsaios.kernel.task import Flag
from wsaios.kernel.trigger import (
    Languages,
    OnChange,
    OnCron,
    OnEvent,
    OnTime,
    Standing,
    StartBatch,
    StartTask,
    StartWorkflow,
    TriggerSpec,
    Waiting,
)
from wsaios.planning.cron import Cron, zone_of
from wsaios.planning.due import due
from wsaios.planning.workflow.plan import Plan
from wsaios.sdk.workflows import Workflow
from wsaios.simulation.ledger_store import Tables

LANGUAGES: Final = Languages(ZoneInfo, Cel())
_TAG: Final[dict[str, Any]] = {"order": 0, "trigger": "${ trigger.name }", "key": "${ trigger.key }"}
_ROWS: Final = [_TAG, {**_TAG, "row": 1}, {**_TAG, "row": 2}]
_CLOCKS: Final = ("skips", "queues", "replaces", "allows", "runs", "renews")
_FLOW: Final = "alarm"
_RUN: Final = StartWorkflow(_FLOW, {"trigger": "${ trigger.name }", "key": "${ trigger.key }"}, {"priority": 10})
_PATIENCE: Final = 4
"""Looks after which a firing must have begun whose workflow is being read."""
_NAME: Final = re.compile("[@!]")
_STATE: Final = ("state", "alarm.value")


def _specs(start_us: int) -> tuple[TriggerSpec, ...]:
    told = {**_TAG, "old": "${ change.old }", "new": "${ change.new }"}
    return (
        TriggerSpec("skips", OnCron("* * * * * *", catch_up="none"), StartTask("echo", _TAG), "skip"),
        TriggerSpec(
            "queues",
            OnCron("*/2 * * * * *", "Europe/Berlin", "all", 3),
            StartTask("slow", _TAG, {"priority": 20}),
            "queue",
        ),
        TriggerSpec(
            "replaces", OnCron("*/3 * * * * *"), StartTask("vector", _TAG, {"priority": -60}), "cancel_running"
        ),
        TriggerSpec("allows", OnCron("*/2 * * * * *", catch_up="all"), StartBatch("sheet", _ROWS)),
        TriggerSpec("once", OnTime(start_us + 2_000_000), StartTask("once", _TAG)),
        TriggerSpec("heard", OnEvent("e"), StartTask("echo", _TAG)),
        TriggerSpec("even", OnEvent("e", "event.data % 2 == 0"), StartTask("late", _TAG), "queue"),
        TriggerSpec("runs", OnCron("*/2 * * * * *", catch_up="all"), _RUN, "queue"),
        TriggerSpec("renews", OnCron("*/3 * * * * *"), _RUN, "cancel_running"),
        TriggerSpec("begins", OnEvent("e"), _RUN),
        TriggerSpec("changed", OnChange("alarm.value"), StartTask("echo", told)),
    )


def _flows() -> tuple[Plan, ...]:
    """Two versions of one workflow."""
    found = []
    for last in ("echo", "late"):
        flow = Workflow(_FLOW, input={"trigger": {}, "key": {}})
        flow.step("one", handler="echo", args={"order": 0, "n": 1})
        flow.step("two", handler=last, args={"order": 0, "seen": "${steps.one.result}"}, depends_on="one")
        found.append(flow.check())
    return tuple(found)


class Told(msgspec.Struct):
    """What the arguments of a task, or the input of a run, say that a trigger started."""

    trigger: str = ""
    key: str = ""
    row: int = 0
    old: Any = None
    new: Any = None


class Alarms:
    """Programs that declare their triggers at each start, and whoever emits, pauses, removes and changes."""

    def __init__(self, world: World, purpose: Purpose) -> None:
        self._world = world
        self._purpose = purpose
        self._specs = _specs(world.clock.now_us())
        self.plans = _flows()
        self._emitted: list[bool] = []
        self._numbers: dict[int, int] = {}

    def declare(self) -> None:
        """As a program does when it starts; whoever hears nothing says it again."""
        self._publish(self.plans[0])
        for spec in self._specs:
            self._put(spec)

    def turn(self) -> None:
        """Somebody does something."""
        dice, rng = self._world.rng.random(), self._world.rng
        if dice < 0.45:
            self.emit()
        elif dice < 0.75:
            self._purpose.faculties.state.set("alarm.value", rng.randint(0, 3))
        elif dice < 0.79:
            self._publish(rng.choice(self.plans))
        elif dice < 0.81:
            self._world.ask("route", lambda token: Route(token, _FLOW, {1: 50, 2: 50}), lambda _value, _error: None)
        elif dice < 0.88:
            spec = next(spec for spec in self._specs if spec.name == "skips")
            self._put(msgspec.structs.replace(spec, when=OnCron(rng.choice(("* * * * * *", "*/3 * * * * *")))))
        else:
            verbs = ("pause", "resume", "resume", "fire", "fire", "remove" if rng.random() < 0.2 else "fire")
            self._act(rng.choice(_CLOCKS), rng.choice(verbs))

    def emit(self) -> None:
        """An event, told again until somebody says that it is durable."""
        number = len(self._emitted)
        self._emitted.append(False)
        self._send(number, again=False)

    def finish(self) -> None:
        """Nothing fires by the clock any more."""
        for name in (*_CLOCKS, "once"):
            self._act(name, "remove")

    def check(self, law: "Law") -> None:
        """In the end every event was told once to each trigger, and nothing waits."""
        emitted = len(self._emitted)
        require(all(self._emitted), Check.TRIGGERS, "events are not acknowledged: {}", self._emitted)
        require(law.count("heard") == emitted, Check.TRIGGERS, "{} of {} were heard", law.count("heard"), emitted)
        even = sum(number % 2 == 0 for number in range(emitted))
        require(law.count("begins") == emitted, Check.TRIGGERS, "{} of {} began", law.count("begins"), emitted)
        require(law.count("even") == even, Check.TRIGGERS, "{} of {} were even", law.count("even"), even)
        require(law.count("once") <= 1, Check.TRIGGERS, "once fired {} times", law.count("once"))

    def _send(self, number: int, *, again: bool) -> None:
        def told(value: object, error: Exception | None) -> None:
            require(error is None, Check.ANSWERED, "event {} was refused: {!r}", number, error)
            assert isinstance(value, int)
            known = self._numbers.setdefault(number, value)
            require(known == value, Check.IDEMPOTENCY, "event {} is {} and {}", number, known, value)
            self._emitted[number] = True

        def unheard() -> None:
            self._send(number, again=True)

        self._world.ask("emit", lambda token: Emit(token, "e", number, f"event {number}", again=again), told, unheard)

    def _publish(self, plan: Plan) -> None:
        def told(_: object, error: Exception | None) -> None:
            require(error is None, Check.ANSWERED, "a workflow was refused: {!r}", error)

        stored = StoredDefinition(plan.version, plan.name, 0, plan.content)
        self._world.ask("publish", lambda token: Publish(token, stored), told, lambda: self._publish(plan))

    def _put(self, spec: TriggerSpec) -> None:
        def told(_: object, error: Exception | None) -> None:
            require(error is None, Check.ANSWERED, "trigger {} was refused: {!r}", spec.name, error)

        self._world.ask("put trigger", lambda token: PutTrigger(token, spec), told, lambda: self._put(spec))

    def _act(self, name: str, verb: Any) -> None:
        def told(_: object, error: Exception | None) -> None:
            fits = (
                error is None
                or isinstance(error, UnknownTrigger)
                or (isinstance(error, NotPossible) and verb == "fire")
            )
            require(fits, Check.ANSWERED, "{} {}: {!r}", verb, name, error)

        again = (lambda: self._act(name, verb)) if verb == "remove" else (lambda: None)
        self._world.ask(f"{verb} trigger", lambda token: ActOnTrigger(token, verb, name), told, again)


class Law:
    """What holds of every trigger after every commit, from nothing but what is written."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._started: dict[str, dict[str, set[int]]] = {}
        self._rows: dict[int, Told] = {}
        self._before: dict[str, tuple[TriggerSpec, Standing]] = {}
        self._value: list[Any] = []
        self._runs: dict[int, Told] = {}
        self._known: set[int] = set()
        self._stuck: Counter[str] = Counter()
        self.met: Counter[str] = Counter()

    def count(self, name: str) -> int:
        """How often a trigger has started something."""
        return len(self._started.get(name, {}))

    def committed(self, commit: Commit, events: Iterable[Event], now_us: int, *, takes: int) -> list[int]:
        """A commit is durable; returns the tasks that triggers have started with it."""
        fresh: dict[str, list[Told]] = {}
        numbers = []
        for payload in commit.payloads:
            told = msgspec.json.decode(payload.data, type=Told)
            if told.trigger:
                numbers.append(payload.id)
                self._rows[payload.id] = told
                self._fresh(told, fresh)
        for run in commit.runs:
            told = msgspec.json.decode(run.input, type=Told)
            if told.trigger and run.id not in self._known:
                self._known.add(run.id)
                self._runs[run.id] = told
                self._fresh(told, fresh)
                self.met["a trigger begins a run"] += 1
        self._check_values(fresh.get("changed", []))
        removed = {event.name for event in events if isinstance(event, ActOnTrigger) and event.verb == "remove"}
        if removed:
            # What a trigger had started goes on without it.
            self._rows = {at: row for at, row in self._rows.items() if row.trigger not in removed}
            self._runs = {at: run for at, run in self._runs.items() if run.trigger not in removed}
        handled = {event.name for event in events if isinstance(event, ActOnTrigger)}
        for event in events:
            if isinstance(event, PutTrigger) and self._before.get(event.spec.name, (None,))[0] != event.spec:
                handled.add(event.spec.name)
        now = self._standings()
        for name, (spec, standing) in now.items():
            before = self._before.get(name)
            if before is not None and name not in handled and isinstance(spec.when, OnCron):
                self._check_times(before, spec, standing, commit, fresh.get(name, []), now_us, takes)
        self._before = now
        return numbers

    def after(self, now_us: int) -> None:
        """A step is over: nothing is due, and whatever may not overlap does not."""
        waiting = Counter(_NAME.split(key)[0] for kind, key in self._tables.facts if kind == "trigger_waiting")
        for name, (spec, standing) in self._before.items():
            live = [number for number, row in self._live(name).items() if number not in standing.leaving]
            live += self._running(name)
            if spec.overlap != "allow":
                require(len(live) <= 1, Check.TRIGGERS, "{} runs at once in {}", name, live)
            if standing.last.startswith("task_"):
                row = self._tables.live.get(decode(standing.last))
                lives = row is not None and not row.body.flags & Flag.REPLAYED
                require(standing.live == lives, Check.TRIGGERS, "{} believes {}, there is {}", name, standing, row)
            if standing.last.startswith("run_"):
                run = self._tables.runs.get(decode(standing.last, "run"))
                lives = run is not None and not RunState(run.state).ended
                require(standing.live == lives, Check.TRIGGERS, "{} believes {}, there is {}", name, standing, run)
            stuck = waiting[name] and not standing.live and not standing.paused
            self._stuck[name] = self._stuck[name] + 1 if stuck else 0
            most = _PATIENCE if isinstance(spec.start, StartWorkflow) else 0
            seen = self._stuck[name] > most
            require(not seen, Check.TRIGGERS, "{} firings of {} wait for nothing", waiting[name], name)
            self.met["a firing waits"] += waiting[name]
            if isinstance(spec.when, OnCron) and not standing.paused:
                at_us = self._cron(spec).after(standing.through_us)
                require(at_us is None or at_us > now_us, Check.TRIGGERS, "{} was due at {}: {}", name, at_us, now_us)

    def _check_times(
        self,
        before: tuple[TriggerSpec, Standing],
        spec: TriggerSpec,
        standing: Standing,
        commit: Commit,
        fresh: list[Told],
        now_us: int,
        takes: int,
    ) -> None:
        """Each time up to now was started, waits, was skipped or is missed; and as its trigger says."""
        when, was = spec.when, before[1]
        assert isinstance(when, OnCron)
        if was.paused or standing.paused or was.through_us == standing.through_us:
            return
        passed = set(self._cron(spec).between(was.through_us, standing.through_us))
        waits = {
            _time_of(msgspec.convert(value, Waiting).moment.key)
            for component, _, value in commit.facts
            if component == "trigger_waiting" and value is not None and value["trigger"] == spec.name
        }
        started = {_time_of(told.key) for told in fresh} & passed
        fired = started | waits
        require(fired <= passed, Check.TRIGGERS, "{} fired for {}, not of {}", spec.name, fired - passed, passed)
        kept_back, missed = standing.skipped - was.skipped, standing.missed - was.missed
        count = len(fired) + kept_back + missed
        require(count == len(passed), Check.TRIGGERS, "{}: {} of {} accounted for", spec.name, count, passed)
        self.met["a time is missed"] += missed
        self.met["a firing is skipped"] += kept_back
        if takes == 1:
            expected = due(self._cron(spec), was.through_us, now_us, when.catch_up, when.catch_up_limit)
            require(missed == expected.missed, Check.TRIGGERS, "{}: {} are missed, not {}", spec.name, missed, expected)
            odd = fired - set(expected.times)
            require(not odd, Check.TRIGGERS, "{} fired for {}, not for {}", spec.name, odd, expected)
            if spec.overlap in {"allow", "queue", "cancel_running"}:
                require(fired == set(expected.times), Check.TRIGGERS, "{}: {}, not {}", spec.name, fired, expected)
            self.met["times are made up for"] += len(expected.times) > 1

    def _check_values(self, fresh: list[Told]) -> None:
        """The value that was told last is the one that is stored."""
        if ("trigger", "changed") not in self._tables.facts:
            return
        stored = self._tables.facts.get(_STATE)
        value = msgspec.json.decode(stored[0])["value"] if stored is not None else None
        if not self._value:
            self._value = [value]
            return
        for told in fresh:
            require(told.old == self._value[0], Check.TRIGGERS, "{} was told, before it {}", told, self._value)
            self._value = [told.new]
            self.met["a change is told"] += 1
        require(self._value == [value], Check.TRIGGERS, "{} is stored, {} was told", value, self._value)

    def _fresh(self, told: Told, fresh: dict[str, list[Told]]) -> None:
        fresh.setdefault(told.trigger, []).append(told)
        rows = self._started.setdefault(told.trigger, {}).setdefault(told.key, set())
        require(told.row not in rows, Check.TRIGGERS, "{} has started twice", told)
        rows.add(told.row)

    def _running(self, name: str) -> list[int]:
        """The runs of a trigger that have not ended, and are not about to."""
        ends = {RunState.CANCELLING, *(state for state in RunState if state.ended)}
        runs = self._tables.runs
        return [
            at for at, told in self._runs.items() if told.trigger == name and at in runs and runs[at].state not in ends
        ]

    def _live(self, name: str) -> dict[int, Any]:
        live = self._tables.live
        found = {number: live[number] for number, told in self._rows.items() if told.trigger == name and number in live}
        return {number: row for number, row in found.items() if not row.body.flags & Flag.REPLAYED}

    def _standings(self) -> dict[str, tuple[TriggerSpec, Standing]]:
        facts = self._tables.facts
        return {
            name: (
                msgspec.json.decode(text, type=TriggerSpec),
                msgspec.json.decode(facts["trigger_standing", name][0], type=Standing),
            )
            for (component, name), (text, _) in facts.items()
            if component == "trigger"
        }

    def _cron(self, spec: TriggerSpec) -> Cron:
        assert isinstance(spec.when, OnCron)
        return Cron(spec.when.expression, zone_of(spec.when.tz, ZoneInfo))


def _time_of(key: str) -> int:
    """The time that a firing by the clock is for; 0: another one."""
    _, found, at_us = key.partition("@")
    return int(at_us) if found else 0
