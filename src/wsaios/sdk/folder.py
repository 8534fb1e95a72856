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


class Publishes(Protocol):
    """A scheduler or a client, as far as names of workflows go."""

    async def publish(self, definition: Plan, /, *, note: str = "", who: str = "") -> int:
        """Have new runs get this."""

    async def published(self, name: str) -> Published:
        """What a name stands for."""


class WatchedFile(NamedTuple):
    """A file of a folder that is watched, and what became of it.

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
        if not self._folder.is_dir():
            raise InputError(str(folder), "", "there is no such folder")

    async def look(self) -> list[WatchedFile]:
        """Publish what is new, or has changed since the last look; what became of each such file."""
        there = await asyncio.to_thread(self._read)
        found = self._leave([file for file in self._seen if file not in there])
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
        """What a look found now, and then whenever something in the folder changes.

        Raises:
            MissingExtra: nothing that watches folders is installed.
        """
        changes = _changes(self._folder)
        # Before the first look, so that nothing can change unseen between the two.
        change: asyncio.Future[Any] = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        try:
            yield await self.look()
            while True:
                await asyncio.wait((change,), timeout=_AGAIN_S if self._doubtful else None)
                if change.done():
                    change.result()
                    change = asyncio.ensure_future(anext(changes))
                yield await self.look()
        finally:
            change.cancel()
            await asyncio.gather(change, return_exceptions=True)

    def _read(self) -> dict[str, bytes]:
        """The files, each by a hash of what is in it."""
        found = {}
        for path in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            if _defines(path.name) and path.is_file():
                found[path.name] = _digest(path)
        return found

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


def _concerns(_: object, path: str) -> bool:
    """Whether a change may be one of definitions; some systems swap whole folders behind a link that begins with .."""
    name = Path(path).name
    return _defines(name) or name.startswith("..")


def _changes(folder: Path) -> AsyncGenerator[Any, None]:
    try:
        # Whoever watches nothing need not have it.
        from watchfiles import awatch  # noqa: PLC0415  # see above
    except ImportError as error:
        raise MissingExtra("watchfiles, which watches folders,", "workflows") from error
    return awatch(folder, watch_filter=_concerns, step=_STEP_MS, recursive=False)
