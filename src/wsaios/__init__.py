"""One scheduler for AI work: it decides what runs next, and never loses it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsaios.sdk.scheduler import Scheduler

__all__ = ["Scheduler"]
__version__ = "0.1.0"

_PLACES = {"Scheduler": "wsaios.sdk.scheduler"}


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        msg = f"module 'wsaios' has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    return getattr(import_module(place), name)
