"""Keeps the search for garbage out of work that makes a million values at once."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_LARGE: Final = 1 << 20


@contextmanager
def undisturbed(size_bytes: int) -> Iterator[None]:
    """Inside, for a text of more than 1 MiB, nobody looks for garbage: none is made, and it takes most of the time."""
    paused = size_bytes > _LARGE and gc.isenabled()
    if paused:
        gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()
