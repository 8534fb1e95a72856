"""What follows a failed or lost attempt: pure decisions."""

from typing import Final

from wsaios.kernel.ports import Rng
from wsaios.kernel.task import Effective

POISON_LOSSES: Final = 3
SUSPECT_DEATHS: Final = 3
LONGEST_WAIT_S: Final = 1e11
"""Some 3,000 years: what comes after that fits into no ledger."""


def backoff_s(options: Effective, attempt: int, rng: Rng) -> float:
    """Seconds to wait before the next attempt after `attempt` (from 1) failed: full jitter.

    Uniform in 0 … min(backoff_max_s, backoff_initial_s × backoff_factor^(attempt − 1)). With the defaults the upper
    ends are 1, 2, 4, 8 … 300 s. Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    try:
        ceiling = options.backoff_initial_s * options.backoff_factor ** (attempt - 1)
    except OverflowError:
        ceiling = options.backoff_max_s
    return rng.random() * min(options.backoff_max_s, ceiling)


def wait_us(seconds: float) -> int:
    """A time to wait in µs that every ledger can hold, whatever an engine asks for."""
    # NaN compares with nothing, so it must be what is left over.
    return int(seconds * 1e6) if 0 <= seconds <= LONGEST_WAIT_S else 0 if seconds < 0 else int(LONGEST_WAIT_S * 1e6)


def exhausted(options: Effective, attempts: int) -> bool:
    """Whether no attempt is left after `attempts`."""
    return attempts >= options.max_attempts


def half(size: int) -> int:
    """How many rows the next micro-batch may hold after one of `size` crashed or timed out."""
    return max(1, size // 2)
