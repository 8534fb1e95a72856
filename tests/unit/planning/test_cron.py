"""Cron: times as a walk through every minute finds them, and by hand where clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wsaios.kernel.errors import InvalidInput
from wsaios.planning.cron import Cron, zone_of

MINUTE_US = 60_000_000
CHANGES = (
    ("Europe/Berlin", datetime(2026, 3, 28, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 24, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 10, 31, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 2, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 3, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 3, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 2, 17, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 29, tzinfo=UTC)),
    ("Africa/Casablanca", datetime(2026, 2, 14, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2026, 1, 30, tzinfo=UTC)),
    ("UTC", datetime(2028, 2, 28, tzinfo=UTC)),
)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    spans = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    stepped = st.tuples(st.sampled_from(["*", f"{low}-{high}"]), st.integers(1, 20)).map(
        lambda pair: f"{pair[0]}/{pair[1]}"
    )
    several = st.lists(number, min_size=1, max_size=3).map(lambda each: ",".join(map(str, each)))
    return st.one_of(st.just("*"), several, several, spans, stepped)


EXPRESSIONS = st.tuples(
    field(0, 59),
    st.one_of(field(0, 23), st.sampled_from(["0", "1", "2", "0-3", "1,2", "*/2"])),
    st.one_of(st.just("*"), field(1, 31)),
    st.one_of(st.just("*"), field(1, 12)),
    st.one_of(st.just("*"), field(0, 7)),
).map(" ".join)


def allowed(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for term in text.split(","):
        span, _, step = term.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        found.update(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


class Walk:
    """The oracle: what is due at each minute, from nothing but the wall clock."""

    def __init__(self, expression: str) -> None:
        minute, hour, day, month, weekday = expression.split()
        self._sets = [allowed(minute, 0, 59), allowed(hour, 0, 23), allowed(day, 1, 31), allowed(month, 1, 12)]
        self._weekdays = {number % 7 for number in allowed(weekday, 0, 7)}
        self._both = day.startswith("*") or weekday.startswith("*")
        self._fixed = not minute.startswith("*") and not hour.startswith("*")

    def matches(self, wall: datetime) -> bool:
        minute, hour, day, month = self._sets
        if wall.minute not in minute or wall.hour not in hour or wall.month not in month:
            return False
        on_day, on_weekday = wall.day in day, (wall.weekday() + 1) % 7 in self._weekdays
        return on_day and on_weekday if self._both else on_day or on_weekday

    def due(self, zone: str, begin: datetime, minutes: int) -> list[int]:
        """Fixed times are due when the wall clock comes to them or beyond; intervals when it shows them."""
        found = []
        shown = begin.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        for number in range(1, minutes + 1):
            moment = begin + timedelta(minutes=number)
            wall = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
            if self._fixed:
                passed = []
                while shown < wall:
                    shown += timedelta(minutes=1)
                    passed.append(shown)
                is_due = any(self.matches(each) for each in passed)
            else:
                is_due = self.matches(wall)
            if is_due:
                found.append(int(moment.timestamp()) * 1_000_000)
        return found


@settings(max_examples=40, deadline=None)
@given(EXPRESSIONS, st.sampled_from(CHANGES), st.integers(0, 1500))
@example("*/5 3 * * *", CHANGES[4], 0)
@example("30 2 * * *", CHANGES[0], 0)
@example("*/10 1,2 * * *", CHANGES[5], 0)
@example("0 0 * * *", CHANGES[6], 0)
@example("15 0 30 12 *", CHANGES[8], 0)
def test_what_comes_due_is_what_a_walk_through_every_minute_finds(
    expression: str, place: tuple[str, datetime], late: int
) -> None:
    zone, day = place
    begin, minutes = day + timedelta(minutes=late), 4000
    try:
        cron = Cron(expression, ZoneInfo(zone))
    except InvalidInput:
        assert not Walk(expression).due("UTC", datetime(2028, 1, 1, tzinfo=UTC), 60 * 24 * 366)
        return
    walked = Walk(expression)
    # The walk knows fixed times of before only from the day before on.
    expected = [
        at for at in walked.due(zone, begin - timedelta(days=2), minutes + 2880) if at > begin.timestamp() * 1e6
    ]
    begin_us = int(begin.timestamp() * 1e6)
    found = list(cron.between(begin_us, begin_us + minutes * MINUTE_US))
    assert found == expected
    for most in (0, 1, 3, 10_000):
        assert cron.latest(begin_us, begin_us + minutes * MINUTE_US, most) == (expected[-most:] if most else [])


def instants(expression: str, zone: str, begin: str, count: int) -> list[str]:
    at_us = int(datetime.fromisoformat(begin).timestamp() * 1e6)
    cron, told = Cron(expression, ZoneInfo(zone)), []
    for _ in range(count):
        found = cron.after(at_us)
        assert found is not None
        at_us = found
        told.append(datetime.fromtimestamp(at_us / 1e6, UTC).astimezone(ZoneInfo(zone)).isoformat())
    return told


@pytest.mark.parametrize(
    "expression, zone, begin, expected",
    [
        # The hour from 2 to 3 is left out: a fixed time comes due at the change, an interval does not.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00+01:00",
            ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"],
        ),
        (
            "*/30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00+01:00",
            ["2026-03-30T02:00:00+02:00", "2026-03-30T02:30:00+02:00"],
        ),
        # The same hour comes twice: a fixed time once, an interval both times.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00+02:00",
            ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"],
        ),
        (
            "30 * * * *",
            "America/New_York",
            "2026-11-01T00:45-04:00",
            ["2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00", "2026-11-01T02:30:00-05:00"],
        ),
        ("0 2 * * *", "America/New_York", "2026-03-08T00:00-05:00", ["2026-03-08T03:00:00-04:00"]),
        # Half an hour, from 2:00 to 2:30 and from 2:00 back to 1:30.
        (
            "10 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T12:00+10:30",
            ["2026-10-04T02:30:00+11:00", "2026-10-05T02:10:00+11:00"],
        ),
        (
            "*/15 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-05T01:25+11:00",
            ["2026-04-05T01:30:00+11:00", "2026-04-05T01:45:00+11:00", "2026-04-05T01:30:00+10:30"],
        ),
        # Leap days, month ends, words.
        ("0 3 29 2 *", "UTC", "2026-01-01T00:00+00:00", ["2028-02-29T03:00:00+00:00", "2032-02-29T03:00:00+00:00"]),
        (
            "0 0 31 * *",
            "UTC",
            "2026-01-31T00:00+00:00",
            ["2026-03-31T00:00:00+00:00", "2026-05-31T00:00:00+00:00"],
        ),
        (
            "59 23 L * *",
            "Europe/Berlin",
            "2028-01-31T23:59+01:00",
            ["2028-02-29T23:59:00+01:00", "2028-03-31T23:59:00+02:00"],
        ),
        ("@weekly", "UTC", "2026-01-01T00:00+00:00", ["2026-01-04T00:00:00+00:00"]),
        ("0 9 * * MON#1", "UTC", "2026-01-01T00:00+00:00", ["2026-01-05T09:00:00+00:00"]),
        (
            "*/20 * * * * *",
            "Europe/Berlin",
            "2026-10-25T02:59:30+02:00",
            ["2026-10-25T02:59:40+02:00", "2026-10-25T02:00:00+01:00"],
        ),
    ],
)
def test_times_by_hand(expression: str, zone: str, begin: str, expected: list[str]) -> None:
    assert instants(expression, zone, begin, len(expected)) == expected


@pytest.mark.parametrize(
    "expression, told",
    [
        ("", "wrong number of fields"),
        ("61 * * * *", "bad minute"),
        ("* * * *", "wrong number of fields"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("0 0 30 2 MON#6", "bad day-of-week"),
        (b"* * * * *", "must be an expression"),
        ("* " * 150, "must be an expression"),
        ("0 0 ٣ * *", "bad day-of-month"),
    ],
)
def test_what_cannot_be_read_is_told(expression: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        Cron(expression, UTC)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=30), st.lists(st.text("0123456789*,-/L#WMONJA ", max_size=8)).map(" ".join)))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        cron = Cron(text, UTC)
    except InvalidInput:
        return
    first = cron.after(0)
    assert first is not None
    assert first > 0


def test_zones_are_looked_up_by_name() -> None:
    assert zone_of("UTC", ZoneInfo) is UTC
    assert str(zone_of("Europe/Berlin", ZoneInfo)) == "Europe/Berlin"
    for bad in ("Europe/Nowhere", "../../etc/passwd", "", "\0", "Europe"):
        with pytest.raises(InvalidInput, match="tz"):
            zone_of(bad, ZoneInfo)


def test_the_end_of_all_dates_is_no_failure() -> None:
    cron = Cron("0 0 1 1 *", ZoneInfo("Europe/Berlin"))
    assert cron.after(253_300_000_000 * 1_000_000) is None
    assert cron.after(249_999_999_999 * 1_000_000) is not None
