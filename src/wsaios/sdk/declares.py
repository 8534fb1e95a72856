"""The verbs by which a program declares its triggers, and emits events."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, overload

from wsaios.door import questions as ask
from wsaios.door.desk import Desk
from wsaios.engines.local.handlers import Handlers
from wsaios.kernel.ids import encode
from wsaios.kernel.trigger import When
from wsaios.planning import declaring
from wsaios.planning.declaring import Arguments
from wsaios.scheduler.loop import Log
from wsaios.scheduler.service import Service
from wsaios.sdk.marshal import Home, at_home
from wsaios.sdk.standby import Standby, or_handed_in
from wsaios.sdk.triggering import Declarations, F, Triggers


class Declares:
    """What starts by itself. Mixed into `Scheduler`.

    A trigger that is declared in code is declared again at each start, and is the same one by its name: it goes on
    from where it stood, with whatever changed. One that the code no longer declares stays until `triggers.remove`.
    """

    home: Home
    standby: Standby | None
    triggers: Triggers
    _declarations: Declarations
    _handlers: Handlers
    _desk: Desk

    @overload
    def cron(
        self, expression: str, handler: str, arguments: Arguments = None, /, *, tz: str = "UTC", **options: Any
    ) -> None: ...
    @overload
    def cron(self, expression: str, /, *, workflow: str, tz: str = "UTC", **options: Any) -> None: ...
    @overload
    def cron(self, expression: str, /, *, tz: str = "UTC", **options: Any) -> Callable[[F], F]: ...
    def cron(
        self,
        expression: str,
        handler: str | None = None,
        arguments: Arguments = None,
        /,
        *,
        tz: str = "UTC",
        **options: Any,
    ) -> Any:
        """Start a handler at the times of a cron expression: five fields, six with seconds before them, or ``@daily``.

        Times are those of the wall clock in `tz`. Where it is put forward, a fixed time that it skips is made up for
        at that moment; where it is put back, a fixed time comes once, and what recurs within the hour goes on. Without
        `handler` it decorates a function, which is registered.

        With ``workflow="name"`` it begins a run of that published workflow, in a version that new runs get then, with
        `input` by name; one that is not published yet starts nothing until it is.

        Options: `name` (that of the handler or workflow, unless given); `overlap`, what happens while what it started
        last has not ended: ``"skip"`` (unless given), ``"queue"``, ``"cancel_running"``, ``"allow"``; `catch_up`, which
        of the times that passed while no scheduler ran are made up for: ``"one"`` (the last, unless given),
        ``"none"``, ``"all"`` up to `catch_up_limit` (100); `rows` for a batch in place of `arguments`; and those of
        `submit` that name no time and no task, with `deadline_after_s` and `expires_after_s`; of a run `priority` and
        `tenant`. Arguments, rows and input may hold ``${ … }`` with a CEL expression over `trigger` (`name`, `at`,
        `at_us`, `key`).

        Raises:
            InvalidInput: names what cannot be used, and why.
            MissingExtra: it has expressions, and nothing to read them with is installed.
        """
        return self._declare(declaring.cron(expression, tz, options), handler, arguments, options)

    @overload
    def at(self, time: datetime | float, handler: str, arguments: Arguments = None, /, **options: Any) -> None: ...
    @overload
    def at(self, time: datetime | float, /, *, workflow: str, **options: Any) -> None: ...
    @overload
    def at(self, time: datetime | float, /, **options: Any) -> Callable[[F], F]: ...
    def at(
        self, time: datetime | float, handler: str | None = None, arguments: Arguments = None, /, **options: Any
    ) -> Any:
        """Start a handler once, at a time or as soon after it as a scheduler runs; otherwise as `cron`.

        For a task that somebody waits for, ``submit(…, run_at=…)`` is simpler: it gives back the task.
        """
        return self._declare(declaring.time(time), handler, arguments, options)

    @overload
    def on_event(
        self, event: str, handler: str, arguments: Arguments = None, /, *, where: str = "", **options: Any
    ) -> None: ...
    @overload
    def on_event(self, event: str, /, *, workflow: str, where: str = "", **options: Any) -> None: ...
    @overload
    def on_event(self, event: str, /, *, where: str = "", **options: Any) -> Callable[[F], F]: ...
    def on_event(
        self, event: str, handler: str | None = None, arguments: Arguments = None, /, *, where: str = "", **options: Any
    ) -> Any:
        """Start a handler at each event of that name for which the CEL expression `where` is true; else as `cron`.

        `overlap` is ``"allow"`` unless given. Without arguments or input the event's data is handed on, by name.
        Expressions may name `event` (`name`, `id`, `data`).
        """
        return self._declare(declaring.event(event, where), handler, arguments, options)

    @overload
    def on_change(
        self, key: str, handler: str, arguments: Arguments = None, /, *, where: str = "", **options: Any
    ) -> None: ...
    @overload
    def on_change(self, key: str, /, *, workflow: str, where: str = "", **options: Any) -> None: ...
    @overload
    def on_change(self, key: str, /, *, where: str = "", **options: Any) -> Callable[[F], F]: ...
    def on_change(
        self, key: str, handler: str | None = None, arguments: Arguments = None, /, *, where: str = "", **options: Any
    ) -> Any:
        """Start a handler when the value of a state key is another one; otherwise as `on_event`.

        `key` is exact, or ``prefix*`` for each single value below it. Several changes in one commit are one. Without
        arguments or input it gets those of `key`, `old` and `new` that it takes. Expressions may name `change`.
        """
        return self._declare(declaring.change(key, where), handler, arguments, options)

    @at_home
    @or_handed_in
    async def emit(self, name: str, data: object = None) -> str:
        """Tell an event to every trigger that is there and to every step of a run that waits for it.

        It is durable, with all that it starts, when this returns its id. Who comes later does not hear it.

        Raises:
            InvalidInput: no name, or data that is not JSON or too large.
            NotPossible: too much waits already in a trigger that would hear it.
            Unacknowledged: nobody knows whether it was told.
        """
        return encode(await self._desk.ask(ask.EmitEvent(name, data, "")), "event")

    def _declare(self, when: When, handler: str | None, arguments: Arguments, options: dict[str, Any]) -> Any:
        if handler is not None or options.get("workflow") is not None:
            self.home.run(self._declarations.add, declaring.declared(when, handler, arguments, options))
            return None

        def register(function: F) -> F:
            known = [each.name for each in self._handlers if each.function is function]
            called = known[0] if known else str(getattr(function, "__name__", type(function).__name__))
            if not known:
                self.add_handler(called, function)
            self.home.run(self._declarations.add, declaring.declared(when, called, arguments, options))
            return function

        return register

    def add_handler(self, name: str, function: Callable[..., Any], **options: Any) -> None:
        """Register a handler."""
        raise NotImplementedError

    def _keep_triggers(self, service: Service, log: Log) -> None:
        """Be ready to declare."""
        self._desk = Desk(service)
        self._declarations = Declarations(
            service.triggers.declare,
            lambda name, error: log.error("a trigger could not be declared", trigger=name, reason=str(error)),
        )
        self.triggers = Triggers(self._asked)

    @at_home
    async def _asked(self, question: ask.Ask[ask.A], /) -> ask.A:
        if isinstance(question, ask.TriggerAct) and question.verb == "remove":
            self._declarations.discard(question.name)
        standby = self.standby
        if standby is not None and standby.waiting:
            return await standby.client.asked(question)
        return await self._desk.ask(question)
