"""A coroutine whose time on the loop is counted: without what it awaits."""

import time
from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import Any


class Timed(Coroutine[Any, Any, None]):
    """Runs a coroutine and tells how long each of its steps took, in seconds."""

    def __init__(self, inner: Coroutine[Any, Any, None], took: Callable[[float], None]) -> None:
        self._inner = inner
        self._took = took

    def send(self, value: Any) -> Any:
        """One step."""
        begun_s = time.perf_counter()
        try:
            return self._inner.send(value)
        finally:
            self._took(time.perf_counter() - begun_s)

    def throw(self, kind: Any, value: BaseException | object = None, trace: TracebackType | None = None, /) -> Any:
        """One step that begins with an error."""
        begun_s = time.perf_counter()
        try:
            return self._inner.throw(kind) if value is None else self._inner.throw(kind, value, trace)
        finally:
            self._took(time.perf_counter() - begun_s)

    def close(self) -> None:
        """End it."""
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._inner.__await__()
