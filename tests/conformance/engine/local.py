"""The local engine with the handlers of the suite."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from tests.conformance.engine.rig import LANES, MAX_RESULT_BYTES, NOW_US, Rig
from wsaios.engines.local import Context, GiveUp, Handlers, LocalEngine, RetryAfter

WAITING = {"hold", "stubborn", "rows_hold"}
Answering = Callable[[Any], Any]


class LocalRig(Rig):
    """Coroutines in ``default``, plain functions in ``thread``."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._opened = asyncio.Event()
        self._opened_to_threads = threading.Event()
        handlers = Handlers()
        for name, function in SINGLE.items():
            self._add_single(handlers, name, function)
        for name, function in BATCHED.items():
            self._add_batched(handlers, name, function)
        self.engine = LocalEngine(
            handlers, LANES, max_result_bytes=MAX_RESULT_BYTES, grace_s=0.05, now_us=lambda: NOW_US
        )

    def release(self) -> None:
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
            return await coroutine(value)

        def in_thread(value: object, context: Context) -> Any:
            context.progress(0.5, "half")
            return plain(value)

        handlers.add(f"{name}@default", in_loop)
        handlers.add(f"{name}@thread", in_thread)

    def _add_batched(self, handlers: Handlers, name: str, function: Answering) -> None:
        handlers.add(f"{name}@default", self._coroutine(name, function, _values), batched=True)
        handlers.add(f"{name}@thread", self._plain(name, function, _values), batched=True)


def _values(rows: list[dict[str, Any]]) -> list[Any]:
    return [row["value"] for row in rows]


def _raising(error: BaseException) -> Answering:
    def function(_given: object) -> None:
        raise type(error)(*error.args)

    return function


def _raise_on_bad(rows: list[dict[str, Any]]) -> list[Any]:
    if "bad" in _values(rows):
        raise ValueError("a bad row")
    return _values(rows)


SINGLE: dict[str, Answering] = {
    "echo": lambda value: value,
    "hold": lambda value: value,
    "stubborn": lambda value: value,
    "raise": _raising(ValueError("boom")),
    "exit": _raising(SystemExit(3)),
    "retry": _raising(RetryAfter(2.5, "busy")),
    "retry_returned": lambda _: RetryAfter(2.5, "busy"),
    "give_up": _raising(GiveUp("no use")),
    "give_up_returned": lambda _: GiveUp("no use"),
    "nan": lambda _: {"scores": [1.0, None, float("nan")]},
    "object": lambda _: {"thing": [object()]},
    "large": lambda size: "x" * size,
}
BATCHED: dict[str, Answering] = {
    "rows": _values,
    "rows_hold": _values,
    "rows_raise": _raise_on_bad,
    "rows_short": lambda rows: _values(rows)[1:],
    "rows_no_list": lambda rows: dict.fromkeys(map(str, _values(rows))),
    "rows_retry": _raising(RetryAfter(1.0, "busy")),
    "rows_mixed": lambda rows: [ValueError("a bad row") if value == "bad" else value for value in _values(rows)],
}
