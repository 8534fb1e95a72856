"""What can go wrong with a call to another service.

HttpCallFailed
├── CallRefused     the guard forbids the address, the port or the scheme; nothing was sent there
├── Unreachable     the name is unknown, nobody answered, or the answer was not HTTP
├── CallTimedOut    the whole call took longer than it may
├── ReplyRefused    an answer came, and is larger, encoded or redirected more often than is taken
└── StatusFailed    the service answered with a status of 400 or more
    └── TooManyRequests  that was 429: too many calls in too short a time
"""

from typing import Final

from wsaios.kernel.errors import CallerError, WsaiosError

_CALLERS_FAULT: Final = 400
_SERVICES_FAULT: Final = 500
_ANOTHER_TIME: Final = frozenset({408, 425, 429})


class HttpCallFailed(WsaiosError):
    """A call brought no result. `url` is shown without user, password and query."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url}: {reason}")
        self.url = url
        self.reason = reason


class CallRefused(HttpCallFailed, CallerError):
    """The guard forbids it; `address` is the one that it stumbled over, "" for a port or a scheme."""

    def __init__(self, url: str, reason: str, address: str = "") -> None:
        super().__init__(url, reason)
        self.address = address


class Unreachable(HttpCallFailed):
    """There is no answer to be had there now."""


class CallTimedOut(HttpCallFailed):
    """The call did not end in time; whether the service did something is unknown."""

    def __init__(self, url: str, timeout_s: float) -> None:
        super().__init__(url, f"no complete answer within {timeout_s:g} s; a slow service needs a larger timeout_s")
        self.timeout_s = timeout_s


class ReplyRefused(HttpCallFailed):
    """The answer is more than is taken from a service."""


class StatusFailed(HttpCallFailed):
    """The service said no; `body` is the start of what it said, `retry_after_s` the wait that a 429 or 503 asks for."""

    def __init__(self, url: str, status: int, body: str, retry_after_s: float | None = None) -> None:
        wait = "" if retry_after_s is None else f"; it asks to wait {retry_after_s:g} s"
        super().__init__(url, f"status {status}{wait}{': ' + body if body else ''}")
        self.status = status
        self.body = body
        self.retry_after_s = retry_after_s

    @property
    def permanent(self) -> bool:
        """Whether the same call would be answered the same: the service blames the call, and not the moment."""
        return _CALLERS_FAULT <= self.status < _SERVICES_FAULT and self.status not in _ANOTHER_TIME


class TooManyRequests(StatusFailed):
    """The service answered 429: a limit that learns lets fewer calls run from then on."""
