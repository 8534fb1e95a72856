"""A scheduler beside a live one on the same ledger: it hands work in, and takes over when the other one is gone."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from wsaios.kernel.errors import LedgerOwned, LedgerUnavailable, WsaiosError
from wsaios.scheduler.loop import Log
from wsaios.sdk.client import AsyncClient

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="CanStandBy")
LOOK_S: Final = 0.2
_AWAY_S: Final = 1.0
_TROUBLE_S: Final = 5.0


class Standby:
    """Watches the owner by its row in the ledger, for as long as another one is there."""

    def __init__(self, url: str, take_over: Callable[[], Awaitable[None]], log: Log) -> None:
        """`take_over` owns the ledger and begins, or raises LedgerOwned."""
        # The driver is an extra; whoever stands by has imported it.
        from wsaios.ledger.postgres.link import Link  # noqa: PLC0415  # see above
        from wsaios.ledger.postgres.ownership import claim_of  # noqa: PLC0415  # see above

        self.client = AsyncClient(url)
        self.client._expect_owner()  # noqa: SLF001  # no verb for users: a client of their own gives up
        self.waiting = True
        self._link = Link(url)
        self._claim = claim_of
        self._take_over = take_over
        self._log = log
        self._task = asyncio.get_running_loop().create_task(self._watch(), name="wsaios-standby")

    async def close(self) -> None:
        """Wait no more, and let go of the server; a takeover that has begun goes on to its end."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._link.close()
        await self.client.aclose()

    async def _watch(self) -> None:
        while True:
            pause_s = LOOK_S
            try:
                if (await self._link.ask(self._claim)).free and await self._took_over():
                    return
            except LedgerUnavailable:
                pause_s = _AWAY_S
            except WsaiosError as error:
                self._log.error("a scheduler on standby cannot take over", reason=str(error), again_in_s=_TROUBLE_S)
                pause_s = _TROUBLE_S
            await asyncio.sleep(pause_s)

    async def _took_over(self) -> bool:
        taking = asyncio.ensure_future(self._take_over())
        try:
            await asyncio.shield(taking)
        except LedgerOwned:
            return False
        except asyncio.CancelledError:
            await asyncio.gather(taking, return_exceptions=True)
            raise
        self.waiting = False
        return True


class CanStandBy(Protocol):
    """A scheduler that may be on standby."""

    @property
    def standby(self) -> Standby | None:
        """What it does meanwhile; None: it never was."""


def or_handed_in(
    verb: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """A verb that goes to the owner, as from any client, while this scheduler is on standby."""

    @wraps(verb)
    def call(self: S, /, *arguments: P.args, **options: P.kwargs) -> Coroutine[Any, Any, T]:
        standby = self.standby
        if standby is not None and standby.waiting:
            handed: Coroutine[Any, Any, T] = getattr(standby.client, verb.__name__)(*arguments, **options)
            return handed
        return verb(self, *arguments, **options)

    return call
