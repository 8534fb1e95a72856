"""The use cases of triggers and events."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.events import ActOnTrigger, AskTriggers, Emit, Event, PutTrigger
from wsaios.kernel.json_value import checked
from wsaios.kernel.trigger import Languages, TriggerSpec, TriggerVerb, TriggerView
from wsaios.planning.calls import name as text
from wsaios.planning.triggers import armed

Post = Callable[[Callable[[Any], Event]], "asyncio.Future[Any]"]
Check = Callable[[TriggerSpec], Awaitable[None]]


class TriggerService:
    """Declare triggers, look at them, act on them; emit events. Each is durable when it returns."""

    def __init__(self, post: Post, max_data_bytes: int, languages: Languages | None, check: Check) -> None:
        """`post` hands an event to the core; `languages` None: what is declared is checked by whoever fires it.

        `check` refuses what could start no workflow.
        """
        self._post = post
        self._max_data_bytes = max_data_bytes
        self._languages = languages
        self._check = check

    async def put(self, spec: TriggerSpec) -> TriggerView:
        """Declare a trigger, or change the one of that name.

        Raises:
            InvalidInput, MissingExtra: it could never fire; says why.
            UnknownWorkflow: it starts a workflow that was not published.
        """
        await self._check(spec)
        found: TriggerView = await self.declare(spec)
        return found

    def declare(self, spec: TriggerSpec) -> "asyncio.Future[Any]":
        """The same without a coroutine: what is refused is raised here. Its workflow may be published later."""
        if self._languages is not None:
            armed(spec, self._languages)
        return self._post(lambda token: PutTrigger(token, spec))

    async def act(self, verb: TriggerVerb, name: str) -> TriggerView:
        """Pause, resume, remove or fire a trigger; where it then stands.

        Raises:
            UnknownTrigger: there is none of that name.
            NotPossible: it is paused and should fire.
        """
        found: TriggerView = await self._post(lambda token: ActOnTrigger(token, verb, name))
        return found

    async def views(self, name: str = "") -> list[TriggerView]:
        """All triggers, or the one of that name.

        Raises:
            UnknownTrigger: there is none of that name.
        """
        found: list[TriggerView] = await self._post(lambda token: AskTriggers(token, name))
        return found

    async def emit(self, name: str, data: object, token: str = "", *, again: bool = False) -> int:
        """Tell an event to all triggers that are there; what it starts is durable with it. Returns its number.

        Raises:
            InvalidInput: no name, or data that is not JSON or too large.
            NotPossible: too much waits already in a trigger that would hear it.
        """
        text("event", name)
        told = checked(data, "data")
        size = len(msgspec.json.encode(told))
        if size > self._max_data_bytes:
            raise InvalidInput("data", f"{size} bytes as JSON; this scheduler takes {self._max_data_bytes}")
        return int(await self._post(lambda asked: Emit(asked, name, told, token, again=again)))
