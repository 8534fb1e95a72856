"""Partitions by day: made ahead of need, dropped when all of a day is over."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from wsaios.kernel.ids import EPOCH_MS
from wsaios.ledger.postgres.commit import hold, undo
from wsaios.ledger.postgres.session import Session

DAY_US: Final = 86_400_000_000
BY_DAY: Final = ("outcome", "payload", "history_part")
"""The tables that have partitions by the day of a task's id, which comes first in them."""
PATIENCE_US: Final = DAY_US
"""How long a day that is over waits for the last of its tasks before they go one by one."""
SHORT_US: Final = 3 * DAY_US
"""A retention below this is kept row by row: a whole day would be too much more than what was asked for."""
MOST_DAYS: Final = 60
"""Each partition costs every statement that looks for an id a little; beyond so many, new days stand in the rest.

Source: docs/adr/0029; the statements of a small commit took as long with 30 days as with none, and twice as long with
365.
"""
_DAY_IDS: Final = (DAY_US // 1000) << 22
_AGAIN_US: Final = DAY_US // 24
_FEW: Final = 1000
_STEP: Final = 100_000
_BACK_DAYS: Final = 30
_LAST: Final = ((1 << 41) - 1) // (DAY_US // 1000)
_EVERY_ID: Final = (1 << 63) - 1


def day_of(at_us: int) -> int:
    """The day of a time, counted from 2020-01-01 UTC."""
    return (at_us - EPOCH_MS * 1000) // DAY_US


def start_us(day: int) -> int:
    """When a day begins."""
    return EPOCH_MS * 1000 + day * DAY_US


def first_id(day: int) -> int:
    """No id of a day is smaller."""
    return day * _DAY_IDS


async def make_ahead(session: Session, now_us: int) -> list[int]:
    """Make today and tomorrow, if that can be done now; what has no partition of its own stands in the rest.

    Returns the days that were there before, oldest first.
    """
    known = [day for (day,) in await session.rows("days_known")]
    today = day_of(now_us)
    if len(known) < MOST_DAYS:
        for day in (today, today + 1):
            if 0 <= day < _LAST:
                await session.value("day_make", day=day)
    return known


async def make_for(session: Session, ids: Iterable[int], now_us: int, known: set[int]) -> None:
    """Make the days of ids that are written at once, as far back as a retention commonly reaches; `known` are tried."""
    today = day_of(now_us)
    for day in sorted({number // _DAY_IDS for number in ids} - known):
        known.add(day)
        if today - _BACK_DAYS <= day <= today + 1:
            await session.value("day_make", day=day)


class _Count:
    """The tasks of a day by shard, as far as they are counted.

    A replay meanwhile does no harm: its task lives, or ended after `before_us`, and then the day is not over.
    """

    def __init__(self, day: int, before_us: int) -> None:
        self.day = day
        self.before_us = before_us
        self.after = first_id(day) - 1
        self.shards: Counter[int] = Counter()


class Days:
    """Drops days, oldest first, each in a transaction of its own."""

    def __init__(self, ledger: str, session: Session, lease_us: int) -> None:
        self._ledger = ledger
        self._session = session
        self._lease_us = lease_us
        self._again_us: dict[int, int] = {}
        self._count: _Count | None = None

    async def sweep(self, epoch: int, before_us: int, *, patient: bool) -> tuple[int, int]:
        """Drop the days that were over before a time: how many tasks went, and below which id they may go one by one.

        With `patient` no more is done than holds up nobody, and days that may still be dropped wait for that, unless so
        little is kept that this would be long.
        """
        clock_us = await self._session.value("clock_of")
        removed = 0
        for day in await make_ahead(self._session, clock_us):
            if start_us(day + 1) <= before_us:
                removed += await self._day(epoch, day, before_us, patient=patient)
            if self._count is not None:
                return removed, first_id(day)
        if not patient or clock_us - before_us < SHORT_US:
            return removed, _EVERY_ID
        return removed, first_id(max(0, day_of(before_us - PATIENCE_US)))

    async def _day(self, epoch: int, day: int, before_us: int, *, patient: bool) -> int:
        if self._again_us.get(day, before_us) > before_us:
            return 0
        if await self._session.value("day_over", day=day, before_us=before_us):
            count, self._count = self._count, None
            if count is None or count.day != day:
                count = _Count(day, before_us)
            while await self._counted(epoch, count):
                if patient:
                    self._count = count
                    return 0
            shards, counts = list(count.shards), list(count.shards.values())
            if await self._alone(epoch, "day_drop", day=day, before_us=count.before_us, shards=shards, counts=counts):
                self._again_us.pop(day, None)
                return count.shards.total()
        self._count = None
        self._again_us[day] = before_us + _AGAIN_US
        if start_us(day + 1) <= before_us - PATIENCE_US:
            await self._alone(epoch, "day_fold", day=day, most=_FEW)
        return 0

    async def _counted(self, epoch: int, count: _Count) -> bool:
        """Count some more; whether there may be more."""
        beyond = first_id(count.day + 1)
        rows = await self._session.rows("day_count", after=count.after, beyond=beyond, limit=_STEP)
        await hold(self._session, self._ledger, {"epoch": epoch, "id_high": 0, "now_us": 0}, self._lease_us)
        for shard, tasks, last in rows:
            count.shards[shard] += tasks
            count.after = max(count.after, last)
        return bool(sum(tasks for _, tasks, _ in rows) == _STEP)

    async def _alone(self, epoch: int, name: str, **given: object) -> bool:
        await self._session.change("commit_begin", {})
        try:
            await hold(self._session, self._ledger, {"epoch": epoch, "id_high": 0, "now_us": 0}, self._lease_us)
            done = bool(await self._session.value(name, **given))
            await self._session.change("commit_end", {})
        except BaseException:
            await undo(self._session)
            raise
        return done
