"""Every trigger of a ledger, with what has become of it: facts, written with the commit that changes them."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from wsaios.kernel.errors import ExpressionFailed, UnknownTrigger, WsaiosError
from wsaios.kernel.json_value import JsonValue
from wsaios.kernel.trigger import (
    Languages,
    OnChange,
    OnEvent,
    OnTime,
    Standing,
    TriggerSpec,
    TriggerView,
    Waiting,
    When,
)
from wsaios.kernel.views import moment, moment_or_none
from wsaios.planning.triggers import Armed, armed, first_through_us
from wsaios.scheduler.book import Book

SPECS: Final = "trigger"
_STANDINGS: Final = "trigger_standing"
_WAITING: Final = "trigger_waiting"


class Known:
    """One trigger. `due_us` is when it fires next by the clock; `armed` None: it cannot fire here, `fault` says why."""

    __slots__ = ("armed", "due_us", "fault", "spec", "standing", "waiting")

    def __init__(self, spec: TriggerSpec, standing: Standing) -> None:
        self.spec = spec
        self.standing = standing
        self.armed: Armed | None = None
        self.fault = ""
        self.due_us: int | None = None
        self.waiting: deque[Waiting] = deque()


class Roster:
    """Triggers by name, in the order in which they were declared."""

    def __init__(self, book: Book, languages: Languages | None) -> None:
        """`languages` None: nothing fires here."""
        self._book = book
        self._languages = languages
        self._known: dict[str, Known] = {}
        self._dirty: dict[str, None] = {}
        self._hearing: dict[str, list[Known]] | None = None

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[Known]:
        return iter(list(self._known.values()))

    def get(self, name: str) -> Known | None:
        """The trigger of that name, if there is one."""
        return self._known.get(name)

    def named(self, name: str) -> Known:
        """The trigger of that name.

        Raises:
            UnknownTrigger: there is none.
        """
        found = self._known.get(name)
        if found is None:
            raise UnknownTrigger(name, list(self._known))
        return found

    def hearing(self, event: str) -> list[Known]:
        """Those that fire at events of that name, and can."""
        if self._hearing is None:
            self._hearing = {}
            for known in self._known.values():
                if known.armed is not None and isinstance(known.spec.when, OnEvent):
                    self._hearing.setdefault(known.spec.when.event, []).append(known)
        return self._hearing.get(event, [])

    def changing(self) -> list[tuple[Known, str]]:
        """Those that fire at changes of the state, and can, each with its key."""
        found = [known for known in self._known.values() if known.armed is not None]
        return [(known, known.spec.when.key) for known in found if isinstance(known.spec.when, OnChange)]

    def passes(self, known: Known, context: Mapping[str, JsonValue]) -> bool:
        """Whether the condition of a trigger holds; one that has no value over this context does not."""
        if known.armed is None or known.armed.where is None:
            return known.armed is not None
        try:
            return known.armed.where.evaluate(context) is True
        except ExpressionFailed as error:
            if known.standing.fault != str(error):
                known.standing.fault = str(error)
                self.touch(known)
            return False

    def load(self, facts: Sequence[tuple[str, str, Any]]) -> None:
        """Take over what is stored."""
        specs = {key: value for component, key, value in facts if component == SPECS}
        found: list[Known] = []
        for component, name, value in facts:
            if component == _STANDINGS:
                try:
                    found.append(Known(msgspec.convert(specs[name], TriggerSpec), msgspec.convert(value, Standing)))
                except msgspec.ValidationError as error:
                    # A newer version may know more kinds of them; it finds this one as it was.
                    self._book.warn("a trigger cannot be read", trigger=name, reason=str(error))
        for known in sorted(found, key=lambda each: (each.standing.since_us, each.spec.name)):
            self._known[known.spec.name] = self._arm(known)
        waiting = [msgspec.convert(value, Waiting) for component, _, value in facts if component == _WAITING]
        for each in sorted(waiting, key=lambda one: one.place):
            if each.trigger in self._known:
                self._known[each.trigger].waiting.append(each)

    def put(self, spec: TriggerSpec) -> Known:
        """Declare a trigger; one of that name goes on from where it stands, with other times from now on."""
        found, now_us = self._known.get(spec.name), self._book.now_us
        if found is not None and found.spec == spec:
            return found
        if found is None:
            known = Known(spec, Standing(now_us, first_through_us(spec.when, now_us)))
        else:
            known = Known(spec, found.standing)
            known.waiting = found.waiting
            self._renew(found.spec.when, known)
        self._known[spec.name] = self._arm(known)
        self._book.commit.facts.append((SPECS, spec.name, msgspec.to_builtins(spec)))
        self.touch(known)
        return known

    def remove(self, name: str) -> None:
        """Forget a trigger, and what waits in it; what it started goes on."""
        known, self._hearing = self._known.pop(name), None
        self._dirty.pop(name, None)
        gone = [(SPECS, name), (_STANDINGS, name), *((_WAITING, each.moment.key) for each in known.waiting)]
        self._book.commit.facts.extend((component, key, None) for component, key in gone)

    def touch(self, known: Known) -> None:
        """Write its standing with the commit that is being made."""
        self._dirty[known.spec.name] = None

    def push(self, known: Known, waiting: Waiting) -> None:
        """A firing waits."""
        known.waiting.append(waiting)
        self._book.commit.facts.append((_WAITING, waiting.moment.key, msgspec.to_builtins(waiting)))

    def pop(self, known: Known) -> Waiting:
        """The firing that waited longest waits no more."""
        waiting = known.waiting.popleft()
        self._book.commit.facts.append((_WAITING, waiting.moment.key, None))
        return waiting

    def write(self) -> None:
        """Put what was touched into the commit."""
        for name in self._dirty:
            standing = msgspec.to_builtins(self._known[name].standing)
            self._book.commit.facts.append((_STANDINGS, name, standing))
        self._dirty.clear()

    def _renew(self, before: When, known: Known) -> None:
        """Times that were not asked for until now are not made up for, and events of before are not heard."""
        when, standing, now_us = known.spec.when, known.standing, self._book.now_us
        if when == before:
            return
        if type(when) is not type(before):
            standing.since_us = now_us
        standing.through_us = first_through_us(when, now_us)

    def _arm(self, known: Known) -> Known:
        self._hearing = None
        if self._languages is None:
            return known
        try:
            known.armed = armed(known.spec, self._languages)
        except WsaiosError as error:
            known.fault = f"cannot fire here: {error}"
            self._book.warn("a trigger cannot fire", trigger=known.spec.name, reason=str(error))
        return known


def view(known: Known) -> TriggerView:
    """A trigger as people see it."""
    spec, standing = known.spec, known.standing
    over = isinstance(spec.when, OnTime) and standing.through_us >= spec.when.at_us
    state = "paused" if standing.paused else "broken" if known.fault else "done" if over else "active"
    return TriggerView(
        spec.name,
        spec,
        state,
        moment(standing.since_us),
        next_at=moment_or_none(known.due_us),
        last_for=moment_or_none(standing.last_us),
        last_started=standing.last or None,
        running=standing.live,
        waiting=len(known.waiting),
        fired=standing.fired,
        skipped=standing.skipped,
        missed=standing.missed,
        fault=known.fault or standing.fault,
    )
