"""The facts of the running system: one tree, watched."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from wsaios.components.state.tree import ABSENT, Absent, FactTree, parts_of
from wsaios.components.state.watch import Callback, Watch, Write
from wsaios.kernel.change import Change, Sink
from wsaios.kernel.json_value import JsonValue, checked, copied, same

Notify = Callable[[Callback, str, JsonValue, JsonValue], None]

FAILURES_KEPT: Final = 100
MAX_CHAIN: Final = 16


class WatchFailure(msgspec.Struct, frozen=True):
    """A watcher raised `error` when it was told of `key`."""

    callback: Callback
    key: str
    error: Exception


class StateStore:
    """Facts under dotted keys: ``set("a.b", 1)`` makes ``get("a")`` answer ``{"b": 1}``, and the other way round.

    What comes in and goes out is copied. Changes go to `sink`: one for each fact, which is what was set at a key as
    a whole, so a write into a large dict stores all of that dict again. Watchers are called through `notify`;
    without it at once, and what they raise is kept in `watch_failures`.
    """

    component: Final = "state"

    def __init__(self, *, sink: Sink | None = None, notify: Notify | None = None) -> None:
        self._sink = sink
        self._notify = notify or self._tell
        self._tree = FactTree()
        self._watches: list[Watch] = []
        self._loaded = False
        self._chain = 0
        self.watch_failures: deque[WatchFailure] = deque(maxlen=FAILURES_KEPT)

    def get(self, key: str, default: JsonValue = None) -> JsonValue:
        """What is at `key`, a dict for all that is below it, else `default`."""
        found = self._tree.read(parts_of(key))
        return default if isinstance(found, Absent) else found

    def set(self, key: str, value: object) -> None:
        """Make `value` what is at `key`, in place of all that was at or below it.

        The last write wins: one below a number or a text takes their place. An equal value changes nothing and tells
        nobody.

        Raises:
            InvalidInput: names the place in `value` that is not JSON, or the fault of the key.
        """
        parts, new = parts_of(key), checked(value, f"state {key!r}")
        old = self._tree.read(parts)
        unchanged = not isinstance(old, Absent) and same(old, new)
        if unchanged and not self._tree.is_branch(parts):
            return
        above = {watch.stem for watch in self._watches if watch.is_above(key)}
        before = {stem: self._tree.read(parts_of(stem)) for stem in above}
        self._emit(self._tree.place(parts, new))
        if not unchanged:
            self._tell_all(Write(key, old, new), before)

    def snapshot(self) -> dict[str, JsonValue]:
        """An independent copy of everything."""
        everything = self._tree.read([])
        return everything if isinstance(everything, dict) else {}

    def watch(self, pattern: str, callback: Callback) -> Callable[[], None]:
        """Call ``callback(key, old, new)`` after each change of what matches; call what this returns to end that.

        Patterns are ``*``, ``prefix*`` and an exact key. ``*`` and ``prefix*`` are told the key that was set (and,
        when a dict was set above the prefix, each changed value in it); an exact key is told of every change of its
        value, set there, above or below. None stands for what is not there.

        Raises:
            InvalidInput: a pattern with * before its end, or a callback that cannot be called.
        """
        watch = Watch(pattern, callback)
        self._watches.append(watch)

        def unsubscribe() -> None:
            if watch in self._watches:
                self._watches.remove(watch)

        return unsubscribe

    def load(self, facts: Iterable[tuple[str, object]]) -> None:
        """Take over stored facts, without telling watchers; later calls replace everything by `facts`.

        The first call puts them under what was set since construction and emits each of those facts, as it is now:
        changes emitted before are thereby superseded.
        """
        said = [] if self._loaded else self._tree.facts()
        self._loaded = True
        self._tree = FactTree()
        for key, stored in facts:
            self._tree.place(key.split("."), checked(msgspec.convert(stored, _Stored).value, f"stored state {key!r}"))
        for key, value in said:
            self._emit(self._tree.place(key.split("."), value))

    def _emit(self, changes: Iterable[tuple[str, JsonValue | Absent]]) -> None:
        if self._sink is None:
            return
        for key, value in changes:
            # None is a value here, and a Change needs None to say that the fact is gone.
            stored = None if isinstance(value, Absent) else {"value": value}
            self._sink(Change(self.component, key, stored))

    def _tell_all(self, write: Write, before: dict[str, JsonValue | Absent]) -> None:
        for watch in tuple(self._watches):
            if watch.is_above(write.key):
                found = self._tree.read(parts_of(watch.stem))
                told = iter([Write(watch.stem, before.get(watch.stem, ABSENT), found)])
            else:
                told = watch.concerns(write)
            for key, old, new in told:
                self._notify(watch.callback, key, _shown(old), _shown(new))

    def _tell(self, callback: Callback, key: str, old: JsonValue, new: JsonValue) -> None:
        try:
            self._call(callback, key, old, new)
        except Exception as error:  # noqa: BLE001 - a watcher is not ours: whatever it raises, the others go on
            self.watch_failures.append(WatchFailure(callback, key, error))

    def _call(self, callback: Callback, key: str, old: JsonValue, new: JsonValue) -> None:
        if self._chain == MAX_CHAIN:
            msg = f"not called: watchers set each other's keys {MAX_CHAIN} times in a row"
            raise RecursionError(msg)
        self._chain += 1
        try:
            callback(key, old, new)
        finally:
            self._chain -= 1


class _Stored(msgspec.Struct):
    value: object


def _shown(value: JsonValue | Absent) -> JsonValue:
    return None if isinstance(value, Absent) else copied(value)
