"""The power goes out at a random instant: what was acknowledged is there afterwards, and the ledger is whole."""

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tests.acceptance.power.disk import PowerVfs
from wsaios.kernel.errors import LedgerUnavailable, WsaiosError
from wsaios.kernel.ledger import Commit, Payload
from wsaios.kernel.states import State
from wsaios.kernel.task import Body, Outcome, Shard, Task
from wsaios.ledger.sqlite import SqliteLedger, connection
from wsaios.ledger.sqlite.connection import Synchronous

NOW_US = 1_767_225_600_000_000
CUTS = 150
COMMITS = 60
PLACES = [("", 1_500), ("sync log", 50), ("write file", 300), ("sync file", 12)]


class Work:
    """Random commits, and what the ledger acknowledged of them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.live: dict[int, Task] = {}
        self.ended: dict[int, bytes] = {}
        self.unknown: tuple[list[int], list[int]] = ([], [])
        self._next = 1

    def commit(self, ledger: SqliteLedger, epoch: int) -> None:
        rng = self.rng
        new = [self._task() for _ in range(rng.randrange(1, 12))]
        over = rng.sample(sorted(self.live), min(len(self.live), rng.randrange(8)))
        results = {number: rng.randbytes(rng.choice([0, 10, 300, 9000])) for number in over}
        self.unknown = [task.id for task in new], over
        ledger.commit(
            Commit(
                epoch,
                NOW_US,
                id_high=self._next,
                accepted=new,
                payloads=[Payload(task.id, 2, b"%d" % task.id * rng.randrange(1, 400)) for task in new],
                ended=[_outcome(self.live[number]) for number in over],
                results=[Payload(number, 2, data) for number, data in results.items()],
                facts=[("state", "last", self._next)],
            )
        )
        self.unknown = [], []
        for number in over:
            del self.live[number]
        self.live.update((task.id, task) for task in new)
        self.ended.update(results)

    def _task(self) -> Task:
        self._next += 1
        return Task(self._next, 1, State.READY, 1, self._next, None, None, Body(NOW_US))


def _outcome(task: Task) -> Outcome:
    return Outcome(task.id, 1, 1, State.SUCCEEDED, 1, NOW_US, task.key, None, 2, 0, None, task.body)


@contextlib.contextmanager
def _disk(name: str, cut_at: str, cut_after: int, *, deaf: bool) -> Iterator[PowerVfs]:
    """The default disk of every connection that is opened meanwhile."""
    before = apsw.vfs_names()[0]
    disk = PowerVfs(name, cut_at, cut_after, deaf=deaf)
    apsw.set_default_vfs(name)
    try:
        yield disk
    finally:
        apsw.set_default_vfs(before)


def _until_the_cut(folder: Path, work: Work, synchronous: Synchronous, *, deaf: bool) -> PowerVfs:
    (folder / "before").mkdir()
    ledger = SqliteLedger(folder / "before" / "work.db", synchronous=synchronous)
    cut_at, last = work.rng.choice(PLACES)
    with _disk(f"power-{folder.name}", cut_at, work.rng.randrange(last), deaf=deaf) as disk:
        with contextlib.suppress(LedgerUnavailable):
            epoch = ledger.open(NOW_US, "before the cut").epoch
            ledger.commit(Commit(epoch, NOW_US, shards=[Shard(1, "", "default", "h", 0, "")]))
            for _ in range(COMMITS):
                work.commit(ledger, epoch)
        disk.cut()
        ledger.close()
    return disk


def _faults_after(folder: Path, work: Work) -> list[str]:
    """What is wrong with the ledger that the cut left."""
    ledger = SqliteLedger(folder / "after" / "work.db")
    try:
        opening = ledger.open(NOW_US, "after the cut")
        faults = ledger.check()
        reads = ledger.reads()
        live = {view.live.id for view in reads.task_list([State.READY], 0, 100_000) if view.live is not None}
        ended = {row.id: data for row, data in reads.outcomes(0, 1 << 62, 100_000)}
    except WsaiosError as error:
        return [f"it cannot be opened: {error}"]
    finally:
        ledger.close()
    new, over = work.unknown
    kept = bool(new) and new[0] in live
    expected = (set(work.live) | set(new)) - set(over) if kept else set(work.live)
    if live != expected:
        faults.append(f"{len(expected - live)} acknowledged tasks are lost, {len(live - expected)} are too many")
    for number, data in work.ended.items():
        if ended.pop(number, None) != data:
            faults.append(f"the result of {number} is lost or another one")
    if set(ended) != (set(over) if kept else set()):
        faults.append("a commit without acknowledgement was written in part")
    if work.ended and not opening.facts:
        faults.append("facts are lost")
    return faults


def _cuts(
    folder: Path, cuts: int, synchronous: Synchronous = "FULL", *, deaf: bool = False
) -> tuple[list[str], set[str]]:
    """The faults that many cuts left, each with its seed, and what the disk was doing when they came."""
    faults, places = [], set()
    for seed in range(cuts):
        here = folder / str(seed)
        (here / "after").mkdir(parents=True)
        work = Work(random.Random(seed))
        disk = _until_the_cut(here, work, synchronous, deaf=deaf)
        disk.leave(here / "after", work.rng)
        places.add(disk.cut_at)
        faults += [f"seed {seed}: {fault}" for fault in _faults_after(here, work)]
    return faults, places


@pytest.fixture(autouse=True)
def _many_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CHECKPOINT_PAGES", 60)


def test_nothing_acknowledged_is_lost_and_the_ledger_is_whole(tmp_path: Path) -> None:
    faults, places = _cuts(tmp_path, CUTS)
    assert faults == []
    assert places >= {"write log", "sync log", "write file", "sync file"}


@pytest.mark.parametrize("synchronous, deaf", [("OFF", False), ("NORMAL", False), ("FULL", True)])
def test_the_same_check_finds_the_loss_when_the_sync_is_skipped(
    tmp_path: Path, synchronous: Synchronous, deaf: bool
) -> None:
    faults, _ = _cuts(tmp_path, CUTS // 6, synchronous, deaf=deaf)
    assert any("lost" in fault or "cannot be opened" in fault for fault in faults)
