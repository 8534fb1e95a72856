"""A folder of definitions that is watched: what changes is published, and what is broken changes nothing."""

import asyncio
import json
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from tests.integration.workflows.conftest import Site
from wsaios import Scheduler, Workflow
from wsaios.kernel.errors import InputError
from wsaios.sdk.folder import Folder, WatchedFile

SOON = 20.0


class Said:
    """A log that is kept."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def warning(self, event: str, **fields: Any) -> None:
        """Something is odd."""
        self.lines.append({"event": event, **fields})

    error = warning


def write(folder: Path, value: int, name: str = "one", file: str = "one.json") -> None:
    flow = Workflow(name, output="${steps.only.result}")
    flow.step("only", handler="echo", args={"value": value})
    put(folder / file, flow.to_json())


def put(file: Path, text: str) -> None:
    """Change a file at once, as editors do."""
    fresh = file.with_suffix(".fresh")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)


async def numbers(scheduler: Scheduler, name: str = "one") -> tuple[int, dict[int, int]]:
    """How many versions a name has, and which of them new runs get."""
    known = await scheduler.published(name)
    return len(known.versions), known.route


async def test_a_folder_is_published_and_again_whenever_a_file_changes(site: Site, tmp_path: Path) -> None:
    folder, said = tmp_path / "flows", Said()
    folder.mkdir()
    scheduler = await site.open()
    scheduler._folders._log = said  # noqa: SLF001  # it says on standard error what others could only guess
    write(folder, 1)
    (folder / "notes.txt").write_text("no definition", encoding="utf-8")
    assert await scheduler.watch_workflows(folder) == [WatchedFile("one.json", "one", 1, fresh=True)]
    assert await (await scheduler.run_workflow("one")).result(SOON) == 1

    async with asyncio.timeout(SOON):
        write(folder, 2)
        while await numbers(scheduler) != (2, {2: 100}):  # noqa: ASYNC110  # nobody is told of a publication
            await asyncio.sleep(0.02)
        put(folder / "one.json", '{"name": "one", "steps": [{"id": "only"}]}')
        while not said.lines:  # noqa: ASYNC110  # the same
            await asyncio.sleep(0.02)
        assert await (await scheduler.run_workflow("one")).result(SOON) == 2
        write(folder, 3, "two", "a two.json")
        write(folder, 1)
        while await numbers(scheduler) != (2, {1: 100}):  # noqa: ASYNC110  # the same
            await asyncio.sleep(0.02)
        assert await (await scheduler.run_workflow("two")).result(SOON) == 3
    (line,) = said.lines
    assert (line["event"], line["file"]) == ("a definition was not published", "one.json")
    assert "'only'" in line["reason"]
    assert line["reason"].endswith("\none v2 stays")


async def test_a_look_says_what_became_of_each_file_and_changes_nothing_for_a_broken_one(
    site: Site, tmp_path: Path
) -> None:
    scheduler = await site.open()
    write(tmp_path, 1)
    write(tmp_path, 9, file="other.json")
    (tmp_path / "broken.yaml").write_text("name: [", encoding="utf-8")
    (tmp_path / ".hidden.yaml").write_text("name: [", encoding="utf-8")
    folder = Folder(tmp_path, scheduler)
    broken, one, other = await folder.look()
    assert (broken.file, broken.workflow, broken.number) == ("broken.yaml", "", 0)
    assert "broken.yaml" in broken.flaw
    assert one == WatchedFile("one.json", "one", 1, fresh=True)
    assert str(one) == "one.json: one v1 is published"
    assert other.flaw == "name: 'one' is defined in one.json already"
    assert await folder.look() == []
    # What had the name is gone: it stays, and the other file may have it.
    (tmp_path / "one.json").unlink()
    gone, *rest = await folder.look()
    assert str(gone) == "one.json: it is gone\none v1 stays"
    assert [(each.file, each.number, bool(each.flaw)) for each in rest] == [("other.json", 2, False)]
    assert await numbers(scheduler) == (2, {2: 100})


async def test_what_was_published_before_is_left_with_its_route_when_it_is_seen_first(
    site: Site, tmp_path: Path
) -> None:
    scheduler = await site.open()
    folder = Folder(tmp_path, scheduler)
    for value in (1, 2):
        write(tmp_path, value)
        await folder.look()
    await scheduler.route("one", {1: 90, 2: 10})
    again = Folder(tmp_path, scheduler)
    assert await again.look() == [WatchedFile("one.json", "one", 2)]
    assert await numbers(scheduler) == (2, {1: 90, 2: 10})
    write(tmp_path, 1)
    assert await again.look() == [WatchedFile("one.json", "one", 1, fresh=True)]
    assert await numbers(scheduler) == (2, {1: 100})


async def test_a_folder_that_is_not_there_is_refused(site: Site, tmp_path: Path) -> None:
    scheduler = await site.open()
    with pytest.raises(InputError, match="there is no such folder"):
        await scheduler.watch_workflows(tmp_path / "nowhere")


async def test_what_cannot_be_published_now_is_published_when_it_can(tmp_path: Path) -> None:
    write(tmp_path, 1)
    scheduler = Scheduler(f"sqlite:///{tmp_path}/work.db")
    folder = Folder(tmp_path, scheduler)
    (found,) = await folder.look()
    assert (found.number, bool(found.flaw)) == (0, True)
    assert await folder.look() == []
    async with scheduler:
        assert await folder.look() == [WatchedFile("one.json", "one", 1, fresh=True)]


def made_again(folder: Path) -> None:
    """With the inode of the old one, on file systems that give it out again."""
    inode = folder.stat().st_ino
    shutil.rmtree(folder)
    for number in range(30):
        made = folder.with_name(f"made {number}")
        made.mkdir()
        if made.stat().st_ino == inode:
            break
    made.rename(folder)
    write(folder, 2)


def moved_away(folder: Path) -> None:
    folder.rename(folder.with_name("old"))
    folder.mkdir()
    write(folder, 2)


def parent_moved_away(folder: Path) -> None:
    folder.parent.rename(folder.parent.with_name("old"))
    folder.mkdir(parents=True)
    write(folder, 2)


def link_turned(folder: Path) -> None:
    release, link = folder.with_name("release 2"), folder.with_name("link")
    release.mkdir()
    write(release, 2)
    link.symlink_to(release.name)
    link.replace(folder)


def link_dangles(folder: Path) -> None:
    """What the link names comes only later."""
    link_turned(folder)
    release = folder.with_name("release 2")
    release.rename(folder.with_name("release 3"))
    asyncio.get_running_loop().call_later(0.5, folder.with_name("release 3").rename, release)


@pytest.mark.parametrize("replace", [made_again, moved_away, parent_moved_away, link_turned, link_dangles])
async def test_a_folder_in_the_place_of_the_one_that_was_watched_is_watched(
    tmp_path: Path, replace: Callable[[Path], None]
) -> None:
    folder, said = tmp_path / "site" / "flows", Said()
    folder.parent.mkdir()
    release = folder.with_name("release 1") if replace in (link_turned, link_dangles) else folder
    release.mkdir()
    if release != folder:
        folder.symlink_to(release.name)
    write(folder, 1)
    async with Scheduler(f"sqlite:///{tmp_path}/work.db") as scheduler:
        scheduler._folders._log = said  # noqa: SLF001  # it says on standard error what others could only guess
        assert await scheduler.watch_workflows(folder) == [WatchedFile("one.json", "one", 1, fresh=True)]
        replace(folder)
        # The second is in the new folder when it is found, the third is written after that.
        for value in (2, 3):
            if value != 2:
                write(folder, value)
            async with asyncio.timeout(SOON):
                while await numbers(scheduler) != (value, {value: 100}):  # noqa: ASYNC110  # nobody is told
                    await asyncio.sleep(0.02)
    assert [line["reason"] for line in said.lines if "it is gone" in line["reason"]] == []


@pytest.mark.parametrize("instead", ["nothing", "a file"])
async def test_a_folder_that_cannot_be_read_for_a_while_keeps_what_is_published_and_is_found_again(
    tmp_path: Path, instead: str
) -> None:
    folder, away = tmp_path / "flows", tmp_path / "away"
    folder.mkdir()
    async with Scheduler(f"sqlite:///{tmp_path}/work.db") as scheduler:
        for value in (1, 2):
            write(folder, value)
            await Folder(folder, scheduler).look()
        write(folder, 2)
        follows = Folder(folder, scheduler).follow()
        async with aclosing(follows), asyncio.timeout(SOON):
            assert await anext(follows) == [WatchedFile("one.json", "one", 2)]
            folder.rename(away)
            if instead == "a file":
                folder.write_text("no folder", encoding="utf-8")
            told = [await anext(follows) for _ in range(3)]
            (flaw,) = [each for found in told for each in found]
            assert flaw == WatchedFile(str(folder), flaw=flaw.flaw)
            assert "it cannot be read, and is tried again; " in flaw.flaw
            # It is not as if the file were seen first: what it says now is published, though it once was.
            write(away, 1)
            folder.unlink(missing_ok=True)
            away.rename(folder)
            while not (found := await anext(follows)):
                pass
            assert found == [WatchedFile("one.json", "one", 1, fresh=True)]
            write(folder, 3)
            while not (found := await anext(follows)):
                pass
            assert found == [WatchedFile("one.json", "one", 3, fresh=True)]


async def test_a_folder_that_can_neither_be_read_nor_watched_for_a_while_is_watched_later(tmp_path: Path) -> None:
    folder = tmp_path / "flows"
    folder.mkdir()
    write(folder, 1)
    scheduler = Scheduler(f"sqlite:///{tmp_path}/work.db")
    # What watches is imported when it is used first, for which files are opened.
    async with aclosing(Folder(folder, scheduler).follow()) as first:
        assert [each.number for each in await anext(first)] == [0]
    watched = Folder(folder, scheduler)
    follows = watched.follow()
    async with aclosing(follows), asyncio.timeout(SOON):
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            (flaw,) = await anext(follows)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert "Too many open files" in flaw.flaw
        assert "Too many open files" in watched._watch.flaw  # noqa: SLF001  # it was not watched either
        async with scheduler:
            assert await anext(follows) == [WatchedFile("one.json", "one", 1, fresh=True)]
            write(folder, 2)
            assert await anext(follows) == [WatchedFile("one.json", "one", 2, fresh=True)]
            assert watched._watch.flaw == ""  # noqa: SLF001  # the same


def test_the_command_watches_until_it_is_interrupted(tmp_path: Path) -> None:
    folder = tmp_path / "flows"
    folder.mkdir()
    write(folder, 1)
    command = ("workflow", "watch", "flows", "--ledger", f"sqlite:///{tmp_path}/work.db", "--json")
    with subprocess.Popen(
        [sys.executable, "-m", "wsaios", *command], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            first = json.loads(process.stdout.readline())
            assert (first["file"], first["number"], first["fresh"]) == ("one.json", 1, True)
            write(folder, 2)
            assert json.loads(process.stdout.readline())["number"] == 2
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
        finally:
            process.kill()
