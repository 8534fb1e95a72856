"""When a cron expression comes due, in any time zone and across its changes of the clock.

The library knows the fields and the calendar; what happens where a clock is put forward or back is decided here, over
its wall-clock times (docs/adr/0036):

- An expression of fixed times (five fields, neither minutes nor hours begin with ``*``) comes due once for each time
  that the wall clock should show. One that the clock skips comes due at the moment of the change, one that it shows
  twice the first time.
- Every other expression is an interval: it comes due whenever the wall clock shows a matching time, so not while the
  clock is skipping, and twice where it shows an hour twice.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from cronsim import CronSim, CronSimError

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.trigger import Zones

_FIELDS: Final = 5
_LONGEST: Final = 200
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # wall-clock times have no zone
_SECOND_US: Final = 1_000_000
_MICROSECOND: Final = timedelta(microseconds=1)
_CHANGE_S: Final = 90_000
"""No clock is put forward or back by more than a day and an hour (source: Samoa left out a day in 2011)."""
_LAST_S: Final = 250_000_000_000
"""What is later has no date in every zone."""
_ALIASES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class Cron:
    """One expression in one time zone; times are µs UTC, and whole seconds."""

    def __init__(self, expression: str, zone: tzinfo) -> None:
        """`expression` has five fields, six with seconds before them, or is a word such as ``@daily``.

        Raises:
            InvalidInput: it cannot be read, or never comes due.
        """
        expression = _text("cron", expression, "be an expression such as '0 3 * * *'")
        self.expression = expression
        self._fields = _ALIASES.get(expression.strip().lower(), expression)
        self._zone = zone
        try:
            CronSim(self._fields, _EPOCH)
        except (CronSimError, ValueError, TypeError) as error:
            raise InvalidInput("cron", f"{expression!r} cannot be read: {_reason(error)}") from None
        parts = self._fields.split()
        self._fixed = len(parts) == _FIELDS and not parts[0].startswith("*") and not parts[1].startswith("*")
        if next(self._walls(0), None) is None:
            raise InvalidInput("cron", f"{expression!r} never comes due")

    def after(self, at_us: int) -> int | None:
        """The first time after this one; None: there is none within fifty years."""
        found = self._after(at_us // _SECOND_US)
        return None if found is None else found * _SECOND_US

    def between(self, after_us: int, upto_us: int) -> Iterator[int]:
        """The times with after < time ≤ upto."""
        found = self.after(after_us)
        while found is not None and found <= upto_us:
            yield found
            found = self.after(found)

    def latest(self, after_us: int, upto_us: int, most: int) -> list[int]:
        """The last times with after < time ≤ upto, `most` of them at most, in their order."""
        back_us = 60 * _SECOND_US
        while True:
            begin_us = max(after_us, upto_us - back_us)
            found = list(self.between(begin_us, upto_us))
            if begin_us == after_us or len(found) >= most:
                return found[-most:] if most else []
            back_us *= 4 if not found else 2

    def _after(self, at_s: int) -> int | None:
        if at_s > _LAST_S:
            return None
        offset = self._offset(at_s)
        change = None if self._offset(at_s + _CHANGE_S) == offset else self._change(at_s, at_s + _CHANGE_S)
        if self._fixed:
            came = map(self._first_shown, self._walls(at_s + offset))
            return next((found for found in came if found > at_s), None)
        wall = next(self._walls(at_s + offset), None)
        if change is not None and (wall is None or wall - offset >= change):
            # Until the change nothing comes due; then the clock shows another time, perhaps one of before.
            offset = self._offset(change)
            wall = next(self._walls(change + offset - 1), None)
        if wall is None:
            return None
        if self._offset(wall - offset) == offset:
            return wall - offset
        shown = map(self._shown, self._walls(wall - 1))
        return next((found for found in shown if found is not None), None)

    def _walls(self, after_s: int) -> Iterator[int]:
        """Matching times of the wall clock after this one, as seconds from 1970 by that clock."""
        try:
            for wall in CronSim(self._fields, _EPOCH + timedelta(seconds=after_s)):
                yield int((wall - _EPOCH).total_seconds())
        except (OverflowError, ValueError):
            return

    def _offset(self, at_s: int) -> int:
        """How far the wall clock stands before UTC at an instant."""
        moment = datetime.fromtimestamp(at_s, UTC).astimezone(self._zone)
        return int((moment.utcoffset() or timedelta()).total_seconds())

    def _change(self, low_s: int, high_s: int) -> int:
        """The first second of the offset that holds at `high_s` and not at `low_s`."""
        then = self._offset(high_s)
        while high_s - low_s > 1:
            middle = (low_s + high_s) // 2
            if self._offset(middle) == then:
                high_s = middle
            else:
                low_s = middle
        return high_s

    def _shown(self, wall_s: int) -> int | None:
        """The first instant at which the wall clock shows a time; None: it skips it."""
        wall = _EPOCH + timedelta(seconds=wall_s)
        offset = wall.replace(tzinfo=self._zone).utcoffset() or timedelta()
        at_s = wall_s - int(offset.total_seconds())
        return at_s if self._offset(at_s) == int(offset.total_seconds()) else None

    def _first_shown(self, wall_s: int) -> int:
        """The first instant at which the wall clock shows a time or, where it skips that, a later one."""
        shown = self._shown(wall_s)
        if shown is not None:
            return shown
        wall = _EPOCH + timedelta(seconds=wall_s)
        before, after = (
            int((wall.replace(tzinfo=self._zone, fold=fold).utcoffset() or timedelta()).total_seconds())
            for fold in (0, 1)
        )
        # A skipped time lies between the instants that the offsets before and after the change make of it.
        return self._change(wall_s - max(before, after) - 1, wall_s - min(before, after))


def zone_of(name: str, zones: Zones) -> tzinfo:
    """The time zone of a name such as ``Europe/Berlin``.

    Raises:
        InvalidInput: there is none.
    """
    name = _text("tz", name, "name a time zone such as 'Europe/Berlin'")
    if name == "UTC":
        return UTC
    try:
        return zones(name)
    except (LookupError, ValueError, OSError) as error:
        hint = "names are like 'Europe/Berlin'; without a database of them, install the package tzdata"
        raise InvalidInput("tz", f"there is no time zone {name!r:.80}; {hint}") from error


def _text(field: str, value: object, must: str) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise InvalidInput(field, f"must {must}, not {value!r:.80}")
    return value


def _reason(error: Exception) -> str:
    fields = "minute hour day-of-month month day-of-week, with seconds before them if need be"
    told = str(error)
    return f"{told[:1].lower()}{told[1:]}; the fields are {fields}"
