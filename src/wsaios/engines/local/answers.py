"""What a handler may answer instead of a result; raising and returning it mean the same."""

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.retry import LONGEST_WAIT_S


class RetryAfter(Exception):
    """Try this task again in `seconds` (0 to 10¹¹); it uses up no attempt, and its backoff does not apply.

    Raises:
        InvalidInput: `seconds` is outside of that, or NaN.
    """

    def __init__(self, seconds: float, reason: str = "") -> None:
        if not 0 <= seconds <= LONGEST_WAIT_S:
            raise InvalidInput("seconds", f"{seconds!r} is no time to wait; use a number from 0 to {LONGEST_WAIT_S:g}")
        super().__init__(seconds, reason)
        self.seconds = float(seconds)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason or f"in {self.seconds:g} s"


class GiveUp(Exception):
    """End this task as failed now, whatever attempts are left."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
