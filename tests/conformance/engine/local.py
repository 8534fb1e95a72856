"""The local engine with the handlers of the suite."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.conformance.engine.in_process import BATCHED, FOLDER, SINGLE, WAITING, Answering, Called, values
from tests.conformance.engine.rig import LANES, MAX_RESULT_BYTES, NOW_US, Rig
from wsaios.engines.local import Context, Handlers, LocalEngine


class HearingEngine(LocalEngine):
    """Hears what worker processes told before it says that it is drained."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.hear: Callable[[], None] = lambda: None

    async def drain(self, timeout_s: float) -> bool:
        drained = await super().drain(timeout_s)
        self.hear()
        return drained


class LocalRig(Rig):
    """Coroutines in ``default``, plain functions in ``thread``, functions of a module in ``process``."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._opened = asyncio.Event()
        self._opened_to_threads = threading.Event()
        handlers = Handlers()
        for name, function in SINGLE.items():
            self._add_single(handlers, name, function)
        for name, function in BATCHED.items():
            self._add_batched(handlers, name, function)
        self.engine = engine = HearingEngine(
            handlers, LANES, max_result_bytes=MAX_RESULT_BYTES, grace_s=0.05, now_us=lambda: NOW_US
        )
        engine.hear = self._hear
        # Worker processes tell through one named pipe that they were called, and wait at another one.
        self._folder = tempfile.TemporaryDirectory()
        os.environ[FOLDER] = self._folder.name
        self._gate = Path(self._folder.name, "gate")
        called = Path(self._folder.name, "called")
        os.mkfifo(self._gate)
        os.mkfifo(called)
        self._pipes = [os.open(called, os.O_RDWR | os.O_NONBLOCK)]
        self._loop.add_reader(self._pipes[0], self._hear)

    async def close(self) -> None:
        try:
            await super().close()
        finally:
            await self.engine.stop()
            self._loop.remove_reader(self._pipes[0])
            for descriptor in self._pipes:
                os.close(descriptor)
            self._folder.cleanup()

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            while told := os.read(self._pipes[0], 1 << 16):
                self._rest += told
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            self.signal(line.decode())

    def release(self) -> None:
        self._pipes.append(os.open(self._gate, os.O_RDWR | os.O_NONBLOCK))
        self._opened.set()
        self._opened_to_threads.set()

    def calm(self) -> None:
        """There are none."""

    def _coroutine(self, name: str, function: Answering, keys: Callable[[Any], list[Any]]) -> Any:
        async def call(given: Any) -> Any:
            for key in keys(given):
                self.signal(key)
            while name in WAITING and not self._opened.is_set():
                try:
                    await self._opened.wait()
                except asyncio.CancelledError:
                    if name != "stubborn":
                        raise
            return function(given)

        return call

    def _plain(self, name: str, function: Answering, keys: Callable[[Any], list[Any]]) -> Any:
        def call(given: Any) -> Any:
            for key in keys(given):
                self._loop.call_soon_threadsafe(self.signal, key)
            if name in WAITING:
                self._opened_to_threads.wait()
            return function(given)

        return call

    def _add_single(self, handlers: Handlers, name: str, function: Answering) -> None:
        coroutine = self._coroutine(name, function, lambda value: [value])
        plain = self._plain(name, function, lambda value: [value])

        async def in_loop(value: object, context: Context) -> Any:
            context.progress(0.5, "half")
            if name != "steps":
                return await coroutine(value)
            self.signal(value)
            while not self._opened.is_set():
                await context.checkpoint()
                await asyncio.sleep(0.001)
            return function(value)

        def in_thread(value: object, context: Context) -> Any:
            context.progress(0.5, "half")
            return plain(value)

        handlers.add(f"{name}@default", in_loop)
        handlers.add(f"{name}@thread", in_thread)
        handlers.add(f"{name}@process", getattr(Called, name), lane="process")

    def _add_batched(self, handlers: Handlers, name: str, function: Answering) -> None:
        handlers.add(f"{name}@default", self._coroutine(name, function, values), batched=True)
        handlers.add(f"{name}@thread", self._plain(name, function, values), batched=True)
        handlers.add(f"{name}@process", getattr(Called, name), lane="process", batched=True)
