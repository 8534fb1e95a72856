"""What a component says when something in it changed."""

from collections.abc import Callable

import msgspec


class Change(msgspec.Struct, frozen=True):
    """One fact of a component is now `value` (plain JSON, never altered afterwards); None means that the fact is
    gone.
    """

    component: str
    key: str
    value: object | None


Sink = Callable[[Change], None]
