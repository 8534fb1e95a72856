"""The local engine with the handlers of the suite."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from tests.conformance.engine.rig import LANES, MAX_RESULT_BYTES, NOW_US, Rig
from wsaios.engines.local import Context, GiveUp, Handlers, LocalEngine, RetryAfter


class LocalRig(Rig):
    """Coroutines in ``default``, plain functions in ``thread``."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._opened = asyncio.Event()
        self._opened_to_threads = threading.Event()
        handlers = Handlers()
        for name, function in self._single().items():
            self._add(handlers, name, function, batched=False)
        for name, function in self._batched().items():
            self._add(handlers, name, function, batched=True)
        self.engine = LocalEngine(
            handlers, LANES, max_result_bytes=MAX_RESULT_BYTES, grace_s=0.05, now_us=lambda: NOW_US
        )

    def release(self) -> None:
        self._opened.set()
        self._opened_to_threads.set()

    def calm(self) -> None:
        """There are none."""

    def _add(self, handlers: Handlers, name: str, function: Any, *, batched: bool) -> None:
        waits = name in ("hold", "stubborn", "rows_hold")

        async def coroutine(given: Any) -> Any:
            keys = [row["value"] for row in given] if batched else [given]
            for key in keys:
                self.signal(key)
            while waits and not self._opened.is_set():
                try:
                    await self._opened.wait()
                except asyncio.CancelledError:
                    if name != "stubborn":
                        raise
            return function(given)

        def plain(given: Any) -> Any:
            keys = [row["value"] for row in given] if batched else [given]
            for key in keys:
                self._loop.call_soon_threadsafe(self.signal, key)
            if waits:
                self._opened_to_threads.wait()
            return function(given)

        if batched:
            handlers.add(f"{name}@default", coroutine, batched=True)
            handlers.add(f"{name}@thread", plain, batched=True)
            return

        async def single_coroutine(value: object, context: Context) -> Any:
            context.progress(0.5, "half")
            return await coroutine(value)

        def single_plain(value: object, context: Context) -> Any:
            context.progress(0.5, "half")
            return plain(value)

        handlers.add(f"{name}@default", single_coroutine)
        handlers.add(f"{name}@thread", single_plain)

    def _single(self) -> dict[str, Any]:
        def raising(error: BaseException) -> Any:
            def function(_value: object) -> None:
                raise error

            return function

        return {
            "echo": lambda value: value,
            "hold": lambda value: value,
            "stubborn": lambda value: value,
            "raise": raising(ValueError("boom")),
            "exit": raising(SystemExit(3)),
            "retry": raising(RetryAfter(2.5, "busy")),
            "retry_returned": lambda _: RetryAfter(2.5, "busy"),
            "give_up": raising(GiveUp("no use")),
            "give_up_returned": lambda _: GiveUp("no use"),
            "nan": lambda _: {"scores": [1.0, None, float("nan")]},
            "object": lambda _: {"thing": [object()]},
            "large": lambda size: "x" * size,
        }

    def _batched(self) -> dict[str, Any]:
        def raise_on_bad(rows: list[dict[str, Any]]) -> list[Any]:
            if any(row["value"] == "bad" for row in rows):
                raise ValueError("a bad row")
            return [row["value"] for row in rows]

        def retry(_rows: list[dict[str, Any]]) -> list[Any]:
            raise RetryAfter(1.0, "busy")

        def mixed(rows: list[dict[str, Any]]) -> list[Any]:
            return [ValueError("a bad row") if row["value"] == "bad" else row["value"] for row in rows]

        return {
            "rows": lambda rows: [row["value"] for row in rows],
            "rows_hold": lambda rows: [row["value"] for row in rows],
            "rows_raise": raise_on_bad,
            "rows_short": lambda rows: [row["value"] for row in rows][1:],
            "rows_no_list": lambda rows: {str(row["value"]): 1 for row in rows},
            "rows_retry": retry,
            "rows_mixed": mixed,
        }
