"""The door of a live scheduler: opened after it owns the ledger, shut before it lets go."""

import asyncio
from pathlib import Path
from typing import Final

from wsaios.door.address import Address, identity
from wsaios.door.desk import Desk
from wsaios.door.questions import PROTOCOL, Hello, Welcome
from wsaios.door.session import Host, Rules, Session
from wsaios.door.versions import understood
from wsaios.kernel.errors import LedgerUnavailable, WrongVersion
from wsaios.kernel.version import __version__
from wsaios.scheduler.loop import Log
from wsaios.scheduler.service import Service

_BACKLOG: Final = 512
_LAST_S: Final = 1.0


class NoDoor:
    """The door of a scheduler that lets nobody in."""

    async def open(self) -> None:
        """Nothing."""

    def shut(self) -> None:
        """Nothing."""

    async def close(self) -> None:
        """Nothing."""


class Door:
    """Serves `service` on a Unix socket of mode 0600 beside the ledger."""

    def __init__(self, ledger: Path, service: Service, log: Log, rules: Rules | None = None) -> None:
        """`ledger` is the SQLite file that this process owns."""
        self._ledger = ledger
        self._address = Address(ledger)
        self._host = Host(lambda: Desk(service), self._admit, rules or Rules(), log)
        self._server: asyncio.Server | None = None
        self._identity = ""

    async def open(self) -> None:
        """Let clients in.

        Raises:
            LedgerUnavailable: the socket cannot be made.
        """
        self._identity = identity(self._ledger)
        loop = asyncio.get_running_loop()
        bound = self._address.bind()
        try:
            self._server = await loop.create_unix_server(lambda: Session(self._host), sock=bound, backlog=_BACKLOG)
        except BaseException:
            bound.close()
            self._address.leave()
            raise

    def shut(self) -> None:
        """Let nobody in and take no more calls; the ledger must still be owned. Safe to call twice."""
        self._address.leave()
        if self._server is not None:
            self._server.close()
            for session in list(self._host.sessions):
                session.hush()

    async def close(self) -> None:
        """Answer what was asked, and end every connection; call it when the service has stopped."""
        self.shut()
        self._server = None
        await asyncio.gather(*(session.leave("the scheduler stops", _LAST_S) for session in list(self._host.sessions)))

    def _admit(self, hello: Hello) -> Welcome:
        if not understood(hello.protocol, hello.version):
            raise WrongVersion(__version__, hello.version)
        if hello.ledger != self._identity:
            reason = "its scheduler works on another file that had this name before; restart that scheduler"
            raise LedgerUnavailable(str(self._ledger), reason)
        return Welcome(PROTOCOL, __version__)
