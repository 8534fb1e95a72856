"""The use cases of workflows that are known by name: publish a version, share new runs between several."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec

from wsaios.kernel.errors import InvalidInput, UnknownWorkflow
from wsaios.kernel.events import Event, Publish, Route
from wsaios.kernel.ledger import FactOf, Reads
from wsaios.kernel.run import Published, StoredDefinition
from wsaios.kernel.trigger import OnCron, OnTime, StartWorkflow, TriggerSpec
from wsaios.planning.calls import whole
from wsaios.planning.workflow.inputs import check_given
from wsaios.planning.workflow.plan import Plan
from wsaios.scheduler.catalog import ALL, WORKFLOW

Read = Callable[..., Awaitable[Any]]


class Post(Protocol):
    """Hands an event to the loop."""

    def __call__(self, make: Callable[[Any], Event], rows: int = 0, size: int = 0) -> "asyncio.Future[Any]":
        """The reply."""


class Versions:
    """Names, and what they stand for."""

    def __init__(self, reads: Reads, read: Read, post: Post, plan: Callable[[str], Awaitable[Plan]]) -> None:
        """`plan` gives the plan of a version."""
        self._reads = reads
        self._read = read
        self._post = post
        self._plan = plan

    async def publish(self, plan: Plan, note: str, who: str) -> int:
        """A plan is that of its name from now on: all new runs by that name get it. Returns its number there."""
        stored = StoredDefinition(plan.version, plan.name, 0, plan.content)
        return int(await self._post(lambda token: Publish(token, stored, note, who), 1, len(plan.content)))

    async def route(self, called: str, shares: Mapping[int, int]) -> Published:
        """So many of a hundred new runs of a name get these versions, by number.

        Raises:
            UnknownWorkflow: no such name, or no such version of it.
            InvalidInput: the shares do not add up to a hundred.
        """
        if not shares:
            raise InvalidInput("route", "names no version")
        for number, share in shares.items():
            whole("version", number, 1, 1 << 31)
            whole("route", share, 0, ALL)
        found: Published = await self._post(lambda token: Route(token, called, dict(shares)))
        return found

    async def published(self, called: str) -> Published:
        """The versions of a name.

        Raises:
            UnknownWorkflow: none was published.
        """
        facts = (await self._read(self._reads.asked, FactOf(WORKFLOW, called))).facts
        if not facts:
            raise UnknownWorkflow(called)
        return msgspec.convert(facts[0], Published, strict=False)

    async def check_start(self, spec: TriggerSpec) -> None:
        """Refuse a trigger that starts a workflow which there is not, or which cannot be given that.

        Raises:
            UnknownWorkflow: nothing was published under its name.
            InvalidInput: as for a run; of any version that new runs get. What the moment brings is not known yet.
        """
        start = spec.start
        if not isinstance(start, StartWorkflow):
            return
        known = await self.published(start.workflow)
        given = {} if start.input is None and isinstance(spec.when, OnCron | OnTime) else start.input
        for number in known.route if given is not None else ():
            found = known.numbered(number)
            if found is not None and given is not None:
                check_given((await self._plan(found.version)).definition, given)

    async def chosen(self, called: str) -> Plan:
        """The plan that a new run of a name gets, by its route."""
        known = await self.published(called)
        numbers, shares = list(known.route), list(known.route.values())
        (number,) = random.choices(numbers, shares)  # noqa: S311  # no secret
        found = known.numbered(number)
        assert found is not None  # a route names versions that are there
        return await self._plan(found.version)
