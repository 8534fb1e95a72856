"""Killed at any moment and run again: nothing runs twice, and the files are those of an undisturbed run."""

import random
import signal
from pathlib import Path

import pytest

from tests.acceptance.batch.folder import Folder, batch_arguments, traced

ROWS = 1500
PLACES = (
    "ledger.begin@1",
    "ledger.accepted@1",
    "ledger.batches@2",
    "ledger.before_commit@3",
    "ledger.after_commit@3",
    "ledger.ended@2",
    "driver.after_commit@4",
    "driver.before_dispatch@2",
    "driver.after_dispatch@1",
    "driver.on_report@3",
    "batch.before_rename@1",
    "batch.after_rename@1",
    "batch.before_rename@2",
    "batch.after_rename@2",
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    folder = Folder(tmp_path_factory.mktemp("undisturbed") / "work")
    folder.texts("in.csv", ROWS)
    assert folder.run(*arguments()).status == 1
    return folder.read("r.jsonl"), folder.read("r.errors.jsonl")


def arguments() -> list[str]:
    return batch_arguments("in.csv", "work:picky", "--id", "name", "--max-attempts", "1")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_random_moments_it_goes_on_where_it_was(
    folder: Folder, undisturbed: tuple[bytes, bytes], seed: int
) -> None:
    rng = random.Random(seed)
    folder.texts("in.csv", ROWS)
    calls = 0
    for _ in range(4):
        over = finished(folder)
        with traced(folder, arguments()) as run:
            alive = run.wait_for(rng.randrange(1, ROWS // 3))
            run.send(signal.SIGKILL)
            run.end()
        assert over.isdisjoint(run.calls)
        calls += len(run.calls)
        if alive:
            assert "r.jsonl" not in folder.names() or folder.read("r.jsonl") == undisturbed[0]
    over = finished(folder)
    with traced(folder, arguments()) as run:
        done = run.end()
    assert done.status == 1
    assert over.isdisjoint(run.calls)
    assert calls + len(run.calls) >= ROWS
    assert (folder.read("r.jsonl"), folder.read("r.errors.jsonl")) == undisturbed
    assert not leftovers(folder)


@pytest.mark.parametrize("place", PLACES)
def test_killed_between_two_writes_it_goes_on_where_it_was(
    folder: Folder, undisturbed: tuple[bytes, bytes], place: str
) -> None:
    folder.texts("in.csv", ROWS)
    assert folder.run(*arguments(), WSAIOS_FAILPOINT=place).status == -signal.SIGKILL
    over = finished(folder)
    with traced(folder, [*arguments(), "--resume"]) as run:
        done = run.end()
    assert done.status == 1
    assert over.isdisjoint(run.calls)
    assert (folder.read("r.jsonl"), folder.read("r.errors.jsonl")) == undisturbed
    assert not leftovers(folder)


def finished(folder: Folder) -> set[str]:
    """The texts of the rows whose result is committed; a row that fails is not among them."""
    return set(folder.ended()) if (folder.path / "wsaios.db").exists() else set()


def leftovers(folder: Folder) -> list[Path]:
    return [path for path in folder.path.iterdir() if path.name.endswith((".tmp", "-wal", "-shm"))]
