"""Triggers and events as programs see them."""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

from wsaios.bootstrap import LANGUAGES
from wsaios.door import questions as ask
from wsaios.kernel.errors import InvalidInput, NotRunning, Unacknowledged
from wsaios.kernel.trigger import OnCron, OnTime, TriggerSpec, TriggerVerb, TriggerView
from wsaios.kernel.views import moment
from wsaios.planning import declaring
from wsaios.planning.calls import whole
from wsaios.planning.cron import Cron, zone_of
from wsaios.planning.declaring import Arguments
from wsaios.planning.triggers import armed

F = TypeVar("F", bound=Callable[..., Any])
MOST_TIMES: Final = 1000


class AskTriggers(Protocol):
    """Who answers."""

    def __call__(self, question: ask.Ask[ask.A], /) -> Awaitable[ask.A]:
        """The answer."""


class Triggers:
    """The triggers of a ledger. What is declared here is durable when the call returns, and stays until `remove`.

    Options of all that declare: `name` (that of the handler or workflow, unless given), `overlap` (``"skip"``,
    ``"queue"``, ``"cancel_running"`` or ``"allow"``: what happens while what the last firing started has not ended),
    `rows` for a batch in place of `arguments`, and the options of `Scheduler.submit` that do not name a time or a task;
    `deadline_after_s` and `expires_after_s` count from the firing. `workflow` in place of a handler: the name of a
    published one, with `input`, `priority` and `tenant`.
    """

    def __init__(self, question: AskTriggers) -> None:
        self._ask = question

    async def cron(
        self,
        expression: str,
        handler: str | None = None,
        arguments: Arguments = None,
        /,
        *,
        tz: str = "UTC",
        **options: Any,
    ) -> TriggerView:
        """Start at the times of a cron expression, as `Scheduler.cron`; a trigger of the same name is changed."""
        return await self.add(declaring.declared(declaring.cron(expression, tz, options), handler, arguments, options))

    async def at(
        self, moment: datetime | float, handler: str | None = None, arguments: Arguments = None, /, **options: Any
    ) -> TriggerView:
        """Start once, as `Scheduler.at`."""
        return await self.add(declaring.declared(declaring.time(moment), handler, arguments, options))

    async def on_event(
        self, event: str, handler: str | None = None, arguments: Arguments = None, /, *, where: str = "", **options: Any
    ) -> TriggerView:
        """Start at each event of a name, as `Scheduler.on_event`."""
        return await self.add(declaring.declared(declaring.event(event, where), handler, arguments, options))

    async def on_change(
        self, key: str, handler: str | None = None, arguments: Arguments = None, /, *, where: str = "", **options: Any
    ) -> TriggerView:
        """Start when a value of the state changes, as `Scheduler.on_change`."""
        return await self.add(declaring.declared(declaring.change(key, where), handler, arguments, options))

    async def add(self, spec: TriggerSpec) -> TriggerView:
        """Declare what was written as a value.

        Raises:
            InvalidInput, MissingExtra: it could never fire; says why.
            UnknownWorkflow: it starts a workflow that was not published.
        """
        armed(spec, LANGUAGES)
        return await self._ask(ask.DeclareTrigger(spec))

    async def list(self) -> list[TriggerView]:
        """All of them, in the order in which they were declared."""
        return await self._ask(ask.ListTriggers())

    async def get(self, name: str) -> TriggerView:
        """The one of that name.

        Raises:
            UnknownTrigger: there is none.
        """
        if not name:
            raise InvalidInput("name", "must name a trigger")
        (found,) = await self._ask(ask.ListTriggers(name))
        return found

    async def pause(self, name: str) -> TriggerView:
        """Have it fire no more until `resume`: times and events that pass meanwhile are over."""
        return await self._act("pause", name)

    async def resume(self, name: str) -> TriggerView:
        """Go on."""
        return await self._act("resume", name)

    async def remove(self, name: str) -> TriggerView:
        """Forget it, and what waits in it; what it has started goes on."""
        return await self._act("remove", name)

    async def fire(self, name: str) -> TriggerView:
        """Have it fire now, as well as at its times.

        Raises:
            NotPossible: it is paused, or no scheduler runs.
        """
        return await self._act("fire", name)

    async def next(self, name: str, count: int = 5) -> Sequence[datetime]:
        """The next times at which it fires by the clock; none for one that waits for events or changes."""
        return next_times(await self.get(name), count)

    async def _act(self, verb: TriggerVerb, name: str) -> TriggerView:
        return await self._ask(ask.TriggerAct(verb, name))


class Declarations:
    """The triggers that a program declares in its code, told to each core that comes to own the ledger here."""

    def __init__(self, post: Callable[[TriggerSpec], Any], failed: Callable[[str, BaseException], None]) -> None:
        """`post` hands one to the core and gives a future; `failed` hears of one that could not be stored."""
        self._post = post
        self._failed = failed
        self._specs: dict[str, TriggerSpec] = {}
        self._live = False

    def add(self, spec: TriggerSpec) -> None:
        """Declare one.

        Raises:
            InvalidInput, MissingExtra: it could never fire, or another one was declared under its name.
        """
        armed(spec, LANGUAGES)
        if self._specs.setdefault(spec.name, spec) != spec:
            reason = f"this program declares two triggers {spec.name!r}; give one of them another name=…"
            raise InvalidInput("name", reason)
        if self._live:
            self._send(spec)

    def discard(self, name: str) -> None:
        """It was removed, and is not to be declared again."""
        self._specs.pop(name, None)

    def begin(self) -> None:
        """A core runs here from now on."""
        self._live = True
        for spec in self._specs.values():
            self._send(spec)

    def end(self) -> None:
        """No more."""
        self._live = False

    def _send(self, spec: TriggerSpec) -> None:
        self._post(spec).add_done_callback(lambda done: self._told(spec, done))

    def _told(self, spec: TriggerSpec, done: Any) -> None:
        error = None if done.cancelled() else done.exception()
        if isinstance(error, Unacknowledged) and self._live:
            with suppress(NotRunning):
                self._send(spec)
        elif error is not None and self._live:
            self._failed(spec.name, error)


def next_times(view: TriggerView, count: int) -> list[datetime]:
    """When a trigger fires next by the clock, so many times at most."""
    when = view.spec.when
    if isinstance(when, OnTime) and view.state == "active":
        return [moment(when.at_us)]
    return next_of(when, count) if isinstance(when, OnCron) and view.state == "active" else []


def next_of(when: OnCron, count: int) -> list[datetime]:
    """The next times of an expression.

    Raises:
        InvalidInput: it cannot be read, or its time zone.
    """
    whole("count", count, 1, MOST_TIMES)
    cron, found = Cron(when.expression, zone_of(when.tz, LANGUAGES.zones)), list[datetime]()
    at: int | None = int(time.time() * 1e6)
    while at is not None and len(found) < count:
        at = cron.after(at)
        if at is not None:
            found.append(moment(at))
    return found
