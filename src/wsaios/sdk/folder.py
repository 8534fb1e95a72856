"""A folder of definitions of workflows, each published when it comes and again when it changes."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from wsaios.kernel.errors import (
    CallerError,
    InputError,
    InvalidInput,
    LedgerUnavailable,
    MissingExtra,
    UnknownWorkflow,
    WsaiosError,
)
from wsaios.kernel.run import Published
from wsaios.planning.workflow.plan import Plan
from wsaios.scheduler.loop import Log
from wsaios.sdk.runs import SUFFIXES
from wsaios.sdk.workflows import read_plan

_STEP_MS: Final = 100
_AGAIN_S: Final = 1.0
# How often a path is asked whether it still stands for the folder that is watched: one stat, which costs nothing.
_SAME_S: Final = 2.0


class Publishes(Protocol):
    """A scheduler or a client, as far as names of workflows go."""

    async def publish(self, definition: Plan, /, *, note: str = "", who: str = "") -> int:
        """Have new runs get this."""

    async def published(self, name: str) -> Published:
        """What a name stands for."""


class WatchedFile(NamedTuple):
    """A file of a folder that is watched, or the folder itself, and what became of it.

    `workflow` and `number` are the version that was published from it last, empty and 0 where none was; `fresh`: just
    now. `flaw` is why the file as it is was not published.
    """

    file: str
    workflow: str = ""
    number: int = 0
    fresh: bool = False
    flaw: str = ""

    def __str__(self) -> str:
        """The same for people."""
        there = f"{self.workflow} v{self.number}" if self.number else ""
        if self.flaw:
            return f"{self.file}: {self.flaw}" + (f"\n{there} stays" if there else "")
        return f"{self.file}: {there} {'is published' if self.fresh else 'was published before'}"


class Folder:
    """The definitions in one folder, by file; a file that cannot be used changes nothing.

    What a file says when it is first seen, and was published before, is left as it stands: a route or a rollback that
    somebody chose outlives a restart.
    """

    def __init__(self, folder: str | Path, verbs: Publishes) -> None:
        """Be ready to look.

        Raises:
            InputError: there is no such folder.
        """
        self._folder = Path(folder)
        self._verbs = verbs
        self._seen: dict[str, bytes] = {}
        self._good: dict[str, tuple[str, int]] = {}
        self._told: dict[str, str] = {}
        self._doubtful = False
        self._watch = _Watch(self._folder)
        self._flaw = ""
        if not self._folder.is_dir():
            raise InputError(str(folder), "", "there is no such folder")

    async def look(self) -> list[WatchedFile]:
        """Publish what is new, or has changed since the last look; what became of each such file.

        While the folder itself cannot be read nothing changes, and its path stands for a file, once.
        """
        try:
            there = await asyncio.to_thread(self._read)
        except OSError as error:
            # It may be about to be replaced: it is looked at again.
            self._doubtful = True
            return self._itself(f"it cannot be read, and is tried again; what was published stays: {error}")
        found = self._itself(self._watch.flaw)
        found += self._leave([file for file in self._seen if file not in there])
        self._doubtful = False
        for file, seen in there.items():
            if self._seen.get(file) != seen:
                self._seen[file] = seen
                made = await self._taken(file)
                if not made.flaw or self._told.get(file) != made.flaw:
                    found.append(made)
                self._told[file] = made.flaw
        return found

    async def follow(self) -> AsyncGenerator[list[WatchedFile], None]:
        """What a look found now, and then whenever something in the folder changes, or another takes its place.

        Raises:
            MissingExtra: nothing that watches folders is installed.
        """
        try:
            # Before the first look, so that nothing can change unseen between the two.
            await self._watch.open()
            while True:
                yield await self.look()
                await self._watch.wait(again=self._doubtful)
        finally:
            await self._watch.close()

    def _read(self) -> dict[str, bytes]:
        """The files, each by a hash of what is in it."""
        found = {}
        for path in sorted(self._folder.iterdir()):
            if _defines(path.name) and path.is_file():
                found[path.name] = _digest(path)
        return found

    def _itself(self, flaw: str) -> list[WatchedFile]:
        """What is wrong with the folder, once."""
        told, self._flaw = self._flaw, flaw
        return [WatchedFile(str(self._folder), flaw=flaw)] if flaw and flaw != told else []

    def _leave(self, gone: Iterable[str]) -> list[WatchedFile]:
        """Files that are no more; others may have waited for the name that one of them had."""
        found = []
        for file in gone:
            del self._seen[file]
            self._told.pop(file, None)
            found.append(WatchedFile(file, *self._good.pop(file, ("", 0)), flaw="it is gone"))
        if found:
            self._seen = {file: seen for file, seen in self._seen.items() if file in self._good}
        return found

    async def _taken(self, file: str) -> WatchedFile:
        try:
            plan = await asyncio.to_thread(read_plan, self._folder / file)
            return await self._published(file, plan)
        except MissingExtra:
            raise
        except CallerError as error:
            flaw = str(error)
        except WsaiosError as error:
            # Nothing is wrong with the file: it is looked at again.
            flaw, self._doubtful = str(error), True
            del self._seen[file]
        return WatchedFile(file, *self._good.get(file, ("", 0)), flaw=flaw)

    async def _published(self, file: str, plan: Plan) -> WatchedFile:
        for other, (name, _) in self._good.items():
            if name == plan.name and other != file:
                raise InvalidInput("name", f"{name!r} is defined in {other} already")
        number = 0 if file in self._good else await self._number(plan)
        fresh = not number
        if fresh:
            number = await self._verbs.publish(plan, note=f"from {file}")
        self._good[file] = (plan.name, number)
        return WatchedFile(file, plan.name, number, fresh)

    async def _number(self, plan: Plan) -> int:
        """Which version of its name it is already; 0: none."""
        try:
            versions = (await self._verbs.published(plan.name)).versions
        except UnknownWorkflow:
            return 0
        except LedgerUnavailable as error:
            if not error.unmade:
                raise
            return 0
        return next((each.number for each in versions if each.version == plan.version), 0)


class _Watch:
    """Whether something has changed where a path leads to, also when that is another folder than before.

    What watches stays with the folder that it found. That one was replaced when it is told to be deleted, since the
    next one may have its inode, or when the path stands for another inode, of which nothing is told. `flaw` is why
    nothing is watched; then it is tried again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._inode: tuple[int, int] | None = None
        self._changes: AsyncGenerator[Any, None] | None = None
        self._change: asyncio.Future[Any] | None = None
        self.flaw = ""

    async def open(self) -> None:
        """Watch what the path stands for now."""
        await self.close()
        self.flaw = ""
        # Before the watch: what comes between the two is another inode later.
        self._inode = await asyncio.to_thread(_inode, self._folder)
        if self._inode is None:
            return
        self._changes = _changes(self._folder.absolute())
        self._change = asyncio.ensure_future(anext(self._changes))
        await asyncio.sleep(0)
        self._take()

    async def close(self) -> None:
        """Watch no more."""
        change, self._change = self._change, None
        changes, self._changes = self._changes, None
        if change is not None:
            change.cancel()
            await asyncio.gather(change, return_exceptions=True)
        if changes is not None:
            await changes.aclose()

    async def wait(self, *, again: bool) -> None:
        """Until a look may find something, soon at the latest if it is to be looked `again`."""
        while True:
            if self._change is None:
                await asyncio.sleep(_AGAIN_S)
            else:
                await asyncio.wait((self._change,), timeout=_AGAIN_S if again else _SAME_S)
            changed = self._take()
            if self._change is None or await asyncio.to_thread(_inode, self._folder) != self._inode:
                await self.open()
                return
            if changed or again:
                return

    def _take(self) -> bool:
        """Whether something has changed; the next change is waited for unless the folder itself is gone."""
        if self._change is None or not self._change.done():
            return False
        change, self._change = self._change, None
        try:
            gone = any(Path(path) == self._folder.absolute() for _, path in change.result())
        except (OSError, RuntimeError) as error:
            self.flaw = f"it is not watched, but looked at every {_AGAIN_S:g} s: {error}"
            return False
        if not gone and self._changes is not None:
            self._change = asyncio.ensure_future(anext(self._changes))
        return True


class Folders:
    """The folders that a scheduler watches until it stops; what is wrong in them is logged."""

    def __init__(self, verbs: Publishes, log: Log) -> None:
        self._verbs = verbs
        self._log = log
        self._tasks: list[asyncio.Task[None]] = []

    async def watch(self, folder: str | Path) -> list[WatchedFile]:
        """Publish what is there and go on; what became of each file."""
        follows = Folder(folder, self._verbs).follow()
        found = await anext(follows)
        self._tell(found)
        self._tasks.append(asyncio.get_running_loop().create_task(self._follow(follows), name="wsaios-folder"))
        return found

    async def close(self) -> None:
        """Watch no more."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, follows: AsyncGenerator[list[WatchedFile], None]) -> None:
        try:
            async with aclosing(follows):
                async for found in follows:
                    self._tell(found)
        except Exception as error:  # noqa: BLE001  # whatever it was, somebody must hear of it
            self._log.error("a folder is watched no more", reason=f"{type(error).__name__}: {error}")

    def _tell(self, found: list[WatchedFile]) -> None:
        for each in found:
            if each.flaw:
                self._log.warning("a definition was not published", file=each.file, reason=str(each))


def _defines(name: str) -> bool:
    return name.endswith(SUFFIXES) and not name.startswith(".")


def _digest(path: Path) -> bytes:
    try:
        return blake2b(path.read_bytes(), digest_size=16).digest()
    except OSError as error:
        # Whoever reads it says what is wrong with it.
        return str(error).encode()


def _inode(path: Path) -> tuple[int, int] | None:
    """What a path stands for, links followed."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _concerns(path: Path) -> bool:
    """Whether a change may be one of definitions; some systems swap whole folders behind a link that begins with .."""
    return _defines(path.name) or path.name.startswith("..")


def _changes(folder: Path) -> AsyncGenerator[Any, None]:
    try:
        # Whoever watches nothing need not have it.
        from watchfiles import Change, awatch  # noqa: PLC0415  # see above
    except ImportError as error:
        raise MissingExtra("watchfiles, which watches folders,", "workflows") from error

    def concerns(change: Change, path: str) -> bool:
        return _concerns(Path(path)) or (change is Change.deleted and Path(path) == folder)

    return awatch(folder, watch_filter=concerns, step=_STEP_MS, recursive=False)
