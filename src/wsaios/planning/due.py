"""Which times of a cron expression fire now, given how long nobody looked."""

from typing import Final, NamedTuple

from wsaios.kernel.trigger import LATE_US, CatchUp
from wsaios.planning.cron import Cron

_COUNTED: Final = 100
"""So many missed times are counted, and no more: a year of minutes must not hold up a start."""


class Due(NamedTuple):
    """The times that fire, in their order, and how many do not, counted up to 100."""

    times: list[int]
    missed: int


def due(cron: Cron, after_us: int, now_us: int, catch_up: CatchUp, limit: int) -> Due:
    """What becomes of the times with after < time ≤ now.

    When the first of them is no more than a minute late, nothing was missed and all of them fire. Otherwise: with
    ``"none"`` those that are no more than a minute late, with ``"one"`` the last one, with ``"all"`` the last `limit`.
    """
    late_us = now_us - LATE_US
    first = cron.after(after_us)
    if first is None or first > now_us:
        return Due([], 0)
    if first >= late_us:
        return Due(list(cron.between(after_us, now_us)), 0)
    found = cron.latest(after_us, now_us, max(_COUNTED, limit if catch_up == "all" else 0))
    if catch_up == "all":
        fires = found[-limit:]
    elif catch_up == "one":
        fires = found[-1:]
    else:
        fires = list(cron.between(max(after_us, late_us - 1), now_us))
    return Due(fires, max(0, len(found) - len(fires)))
