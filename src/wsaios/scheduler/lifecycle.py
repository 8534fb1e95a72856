"""Start and stop of one owner: recover, serve, drain, release."""

import asyncio
import signal
import threading
from collections.abc import Callable, Sequence

from wsaios.kernel.engine import Engine
from wsaios.kernel.events import Barrier, Event, Hold, Recall
from wsaios.kernel.ledger import Opening
from wsaios.scheduler.loop import Loop
from wsaios.scheduler.maintenance.prune import Pruning
from wsaios.scheduler.own_signals import give_back, keep
from wsaios.scheduler.threads import CallThread


class Lifecycle:
    """One way to start and to stop; both may be called again."""

    def __init__(self, loop: Loop, engine: Engine, reader: CallThread, pruning: Pruning, grace_s: float) -> None:
        self._loop = loop
        self._engine = engine
        self._reader = reader
        self._pruning = pruning
        self._grace_s = grace_s
        self._stopped = False

    async def start(self, who: str, first: Sequence[Event] = ()) -> Opening:
        """Own the ledger and begin.

        Raises:
            LedgerOwned, LedgerTooNew, LedgerBroken, LedgerUnavailable: nothing runs.
        """
        opening = await self._loop.start(who, first=first)
        self._reader.start()
        self._pruning.start()
        return opening

    async def stop(self, closing: Callable[[], None] = lambda: None) -> None:
        """Start nothing more, wait up to the grace time for what runs, put the rest back into the queue.

        Release the ledger.

        `closing` is called when that wait is over and the ledger is still held: gateways let nobody in from then on.
        """
        if self._stopped:
            return
        self._stopped = True
        await self._pruning.stop()
        if self._loop.running():
            self._loop.post(Hold(held=True))
            # The step before this one may just be starting tasks: the engine must have them before it is drained.
            over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self._loop.post(Barrier(over))
            # While the ledger is away nothing takes a step, and a stop must not wait for it for longer than for work.
            done, _ = await asyncio.wait((asyncio.gather(over, return_exceptions=True),), timeout=self._grace_s)
            await self._engine.drain(self._grace_s if done else 0.0)
            if self._loop.running():
                self._loop.post(Recall())
        closing()
        await self._loop.stop()
        self._reader.stop()


class Signals:
    """SIGTERM and SIGINT for a process that is a scheduler: the first asks to stop, a second SIGINT leaves at once."""

    def __init__(self, ask: Callable[[str], None], leave: Callable[[], None]) -> None:
        """`ask` gets the name of the first signal."""
        self._ask = ask
        self._leave = leave
        self._loop: asyncio.AbstractEventLoop | None = None
        self._numbers: list[signal.Signals] = []
        self.heard = ""

    def listen(self, *numbers: signal.Signals) -> None:
        """Begin, where this is the main thread; signals that the program handles itself stay with it."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._loop = asyncio.get_running_loop()
        for number in numbers:
            before = signal.getsignal(number)
            if number == signal.SIGINT or before == signal.SIG_DFL:
                self._loop.add_signal_handler(number, self._hear, number)
                keep(number, before)
                self._numbers.append(number)

    def close(self) -> None:
        """Give the signals back."""
        loop, self._loop = self._loop, None
        for number in self._numbers:
            if loop is not None and not loop.is_closed():
                loop.remove_signal_handler(number)
            give_back(number)
        self._numbers.clear()

    def _hear(self, number: signal.Signals) -> None:
        if not self.heard:
            self.heard = number.name
            self._ask(number.name)
        elif number == signal.SIGINT:
            self._leave()
