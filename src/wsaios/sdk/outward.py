"""What a call looks like before it leaves the process: rows in chunks of JSON, options as plain values."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Final

from wsaios.kernel.errors import InvalidInput
from wsaios.planning.calls import instant_us

CHUNK_ROWS: Final = 500
CHUNK_BYTES: Final = 1 << 18
Encode = Callable[[Mapping[str, object]], bytes]


class Chunks:
    """Gathers rows until there are enough for a message."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._rows: list[bytes] = []
        self._size = 0
        self._count = 0

    def add(self, row: Mapping[str, object]) -> bool:
        """Take a row in; returns whether `take` should be called.

        Raises:
            InvalidInput: names the row (from 1).
        """
        self._count += 1
        try:
            data = self._encode(row)
        except InvalidInput as error:
            raise InvalidInput(f"row {self._count}, {error.field}", error.reason) from error
        self._rows.append(data)
        self._size += len(data)
        return len(self._rows) >= CHUNK_ROWS or self._size >= CHUNK_BYTES

    def take(self) -> list[bytes]:
        """What has gathered."""
        rows, self._rows, self._size = self._rows, [], 0
        return rows


def chunked(rows: Iterable[Mapping[str, object]], encode: Encode) -> Iterable[list[bytes]]:
    """The rows in chunks, none of them empty."""
    chunks = Chunks(encode)
    for row in rows:
        if chunks.add(row):
            yield chunks.take()
    if last := chunks.take():
        yield last


async def chunked_async(rows: AsyncIterable[Mapping[str, object]], encode: Encode) -> AsyncIterator[list[bytes]]:
    """The same for rows that come one by one."""
    chunks = Chunks(encode)
    async for row in rows:
        if chunks.add(row):
            yield chunks.take()
    if last := chunks.take():
        yield last


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as values that any process understands: handles become ids.

    Raises:
        InvalidInput: a datetime without a time zone.
    """
    found = {name: value for name, value in options.items() if value is not None}
    for name, value in found.items():
        if hasattr(value, "timestamp"):
            instant_us(name, value)
    parents = found.get("depends_on")
    if parents is not None:
        several = not isinstance(parents, str) and hasattr(parents, "__iter__") and not hasattr(parents, "id")
        found["depends_on"] = [str(getattr(each, "id", each)) for each in (parents if several else [parents])]
    return found
