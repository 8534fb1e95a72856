"""From a reply on the wire to a result or a failure."""

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx
import msgspec

from wsaios.engines.http.errors import ReplyRefused, StatusFailed, TooManyRequests

ERROR_BODY_BYTES: Final = 2_000
MAX_WAIT_S: Final = 86_400.0
KEPT_HEADERS: Final = (
    "content-type",
    "content-length",
    "content-location",
    "date",
    "etag",
    "last-modified",
    "link",
    "location",
    "retry-after",
    "x-request-id",
)
_TOO_MANY: Final = 429
_ASKS_TO_WAIT: Final = (429, 503)


def shown(url: httpx.URL) -> str:
    """The address without user, password and query, which may be secrets."""
    return str(url.copy_with(username=None, password=None, query=None, fragment=None))


async def result_of(response: httpx.Response, max_bytes: int) -> dict[str, Any]:
    """Status, kept headers and the body: ``json`` if it says that it is and can be read so, else ``text``.

    Raises:
        ReplyRefused: longer than `max_bytes`, or packed although that was not asked for.
    """
    encoding = response.headers.get("content-encoding", "identity")
    if encoding not in ("", "identity"):
        raise ReplyRefused(shown(response.url), f"the answer is packed ({encoding}) although that was not asked for")
    body = await _read(response, max_bytes + 1)
    if len(body) > max_bytes:
        raise ReplyRefused(shown(response.url), f"the answer is longer than {max_bytes} bytes, the most that is taken")
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    answer: dict[str, Any] = {"status": response.status_code, "headers": headers}
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return answer | {"json": msgspec.json.decode(body)}
        except (msgspec.DecodeError, RecursionError):
            pass
    return answer | {"text": _text(body, response)}


async def failure_of(response: httpx.Response, now_s: float) -> StatusFailed:
    """The error for a status of 400 or more, with the start of the body; `now_s` is Unix time."""
    body = await _read(response, ERROR_BODY_BYTES)
    packed = response.headers.get("content-encoding", "identity") not in ("", "identity")
    text = "" if packed else _text(body, response).strip()
    asks = response.headers.get("retry-after") if response.status_code in _ASKS_TO_WAIT else None
    wait_s = None if asks is None else _wait_s(asks, now_s)
    kind = TooManyRequests if response.status_code == _TOO_MANY else StatusFailed
    return kind(shown(response.url), response.status_code, text, wait_s)


async def _read(response: httpx.Response, at_most: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= at_most:
            break
    return bytes(body[:at_most])


def _text(body: bytes, response: httpx.Response) -> str:
    try:
        text = body.decode(response.charset_encoding or "utf-8", errors="replace")
    except LookupError:
        text = body.decode(errors="replace")
    # Some encodings can spell lone surrogates, which no JSON result can carry.
    return text.encode(errors="replace").decode()


def _wait_s(value: str, now_s: float) -> float | None:
    """Seconds from a Retry-After header, a number or a date, at most a day. Source: RFC 9110, section 10.2.3."""
    if value.strip().isdecimal():
        return min(float(value), MAX_WAIT_S)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max(0.0, until.timestamp() - now_s), MAX_WAIT_S)
