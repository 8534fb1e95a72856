"""What people set for all work while it runs: its order, and its limits."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from wsaios.kernel.errors import InvalidInput, NotRunning
from wsaios.kernel.events import Barrier, Event, Reorder, SetLimits
from wsaios.kernel.limit import EACH, Limit, LimitView
from wsaios.kernel.policy import AnyPolicy, FairShare, Ordering
from wsaios.planning.limits import limits_of
from wsaios.planning.ordering import ordering_of
from wsaios.scheduler.core import Core
from wsaios.scheduler.loop import Loop


class Steering:
    """Asks the core, and answers once what it decided is durable."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    async def order_by(self, policy: str | AnyPolicy | None, *, fair_share: bool | FairShare | None) -> Ordering:
        """Order by another policy, and let tenants share or not; None leaves each as it is. Returns what holds now.

        Raises:
            InvalidInput: there is no such policy, or it has a value that no policy could work with.
            NotRunning: nothing decides here.
        """
        core = await self._core()
        now = core.executor.ordering
        wanted = ordering_of(now, policy, fair_share=fair_share)
        return now if wanted == now else await self._ask(lambda token: Reorder(token, wanted))

    async def limit(self, limits: Iterable[Limit]) -> list[LimitView]:
        """Have these limits from now on; returns all that hold, with what is taken of each.

        Raises:
            InvalidInput: one of them is no limit that could hold, or for a lane that there is not.
            NotRunning: nothing decides here.
        """
        wanted = limits_of(limits)
        core = await self._core()
        lanes = core.executor.lanes
        for limit in wanted:
            kind, _, which = limit.on.partition(":")
            if lanes and limit.bounds and kind == "lane" and which not in (*lanes, EACH):
                raise InvalidInput("limit.on", f"there is no lane {which!r}; there are {', '.join(sorted(lanes))}")
        found: list[LimitView] = await self._ask(lambda token: SetLimits(token, wanted))
        return found

    async def _core(self) -> Core:
        while self._loop.rebuilding():
            # An answer to anything says that there is a core again.
            await asyncio.gather(self._ask(Barrier), return_exceptions=True)
        core = self._loop.core
        if core is None:
            raise NotRunning
        return core

    async def _ask(self, make: Callable[[Any], Event], rows: int = 0, size: int = 0) -> Any:
        return await self._post(make, rows, size)

    def _post(self, make: Callable[[Any], Event], rows: int = 0, size: int = 0) -> "asyncio.Future[Any]":
        if not self._loop.running():
            raise NotRunning
        token: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._loop.post(make(token), rows, size)
        return token
