"""The event loops that figures are measured on."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")

FACTORIES: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def run(main: Coroutine[Any, Any, T], loop: str) -> T:
    """Run a program to its end on the loop of that name."""
    with asyncio.Runner(loop_factory=FACTORIES[loop]) as runner:
        return runner.run(main)
