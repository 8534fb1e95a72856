"""What a handler may answer instead of a result; raising and returning it mean the same."""

import math

from wsaios.kernel.errors import InvalidInput


class RetryAfter(Exception):
    """Try this task again in `seconds` (0 or more); it uses up no attempt, and its backoff does not apply.

    Raises:
        InvalidInput: `seconds` is negative, NaN or infinite.
    """

    def __init__(self, seconds: float, reason: str = "") -> None:
        if not (math.isfinite(seconds) and seconds >= 0):
            raise InvalidInput("seconds", f"{seconds!r} is no time to wait; use a finite number, 0 or more")
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
