"""Everything that may start in one lane, best first: classes with slots of their own, tenants in turn, then place."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from wsaios.components.executor.heads import Head, Heads
from wsaios.components.executor.shares import Shares, Turns
from wsaios.kernel.executor import Span, Window

Place = tuple[int, int]


class Group:
    """The windows of one class of work in a lane, tenant by tenant where they share, else all together."""

    def __init__(self, windows: Mapping[int, Window], lane: str, shares: Shares | None) -> None:
        self._windows = windows
        self._lane = lane
        self._shares = shares
        self._heads: dict[str, Heads] = {}
        self.all = Heads(windows, lane)
        self._turns = None if shares is None else Turns(shares, self._waits)
        self._chosen = ""

    def push(self, window: Window) -> None:
        """Say that the head of the window may have become better, or that it is no longer parked."""
        if self._turns is None:
            self.all.push(window)
            return
        tenant = window.shard.tenant
        heads = self._heads.get(tenant)
        if heads is None:
            heads = self._heads[tenant] = Heads(self._windows, self._lane)
        heads.push(window)
        if heads:
            self._turns.come(tenant)

    def best(self) -> Head | None:
        """The head that starts next; None: there is none."""
        if self._turns is None:
            return self.all.best()
        tenant = self._turns.first()
        if tenant is None:
            return None
        self._chosen = tenant
        return self._heads[tenant].best()

    def span(self, us: Callable[[], float]) -> Span:
        """How far the window just found is the best one; `us` is how long one of its tasks is expected to take."""
        if self._turns is None or self._shares is None:
            return Span(self.all.after_best(), None)
        self._shares.reach(self._chosen)
        other, most = self._turns.second(), None
        if other is not None:
            most = self._shares.room(self._chosen, other, us())
        return Span(self._heads[self._chosen].after_best(), most)

    def changed(self, tenant: str) -> None:
        """What a tenant has had is another amount now."""
        if self._turns is not None:
            self._turns.changed(tenant)

    def heads(self) -> Iterator[Heads]:
        """All its heaps."""
        yield from self._heads.values()
        yield self.all

    def __len__(self) -> int:
        return sum(map(len, self.heads()))

    def _waits(self, tenant: str) -> bool:
        heads = self._heads[tenant]
        if heads.best() is not None:
            return True
        if not heads:
            del self._heads[tenant]
        return False


class Line:
    """The groups of one lane. `sole`: there is one, and tenants do not matter: its heads are all there is to choose."""

    def __init__(self, windows: Mapping[int, Window], lane: str, shares: Shares | None) -> None:
        """`shares` None: tenants do not matter."""
        self._new = partial(Group, windows, lane, shares)
        self._groups: dict[int, Group] = {}
        self.shares = shares
        self.sole: Heads | None = None
        self._at = 0

    def push(self, window: Window) -> None:
        """Say that the head of the window may have become better, or that it is no longer parked."""
        grade = window.shard.grade
        group = self._groups.get(grade)
        if group is None:
            group = self._groups[grade] = self._new()
            self.sole = group.all if len(self._groups) == 1 and self.shares is None else None
        group.push(window)

    def best(self, room: Callable[[int], int] | None = None) -> Head | None:
        """The head that starts next; `room` says how many slots a class may take now (None: all it likes)."""
        found: Head | None = None
        for grade, group in self._groups.items():
            if room is not None and room(grade) <= 0:
                continue
            head = group.best()
            if head is not None and (found is None or head < found):
                found, self._at = head, grade
        return found

    def span(self, us: Callable[[], float], room: Callable[[int], int] | None = None) -> Span:
        """How far the window just found is the best one."""
        until, most = self._groups[self._at].span(us)
        for grade, group in self._groups.items():
            if grade == self._at or (room is not None and room(grade) <= 0):
                continue
            other = group.best()
            if other is not None and (until is None or other[:2] < until):
                until = other[:2]
        if room is not None:
            most = room(self._at) if most is None else min(most, room(self._at))
        return Span(until, most)

    def charge(self, tenant: str, us: float) -> None:
        """A tenant has had so much slot time here, or less than it was charged before."""
        if self.shares is not None:
            self.shares.charge(tenant, us)
            if us < 0:
                for group in self._groups.values():
                    group.changed(tenant)

    def __iter__(self) -> Iterator[Head]:
        """Every head that may start, each once, in no order."""
        for group in self._groups.values():
            for heads in group.heads():
                yield from heads

    def __len__(self) -> int:
        """How many entries there are, those that are no longer true included."""
        return sum(map(len, self._groups.values()))
