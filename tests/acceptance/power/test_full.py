"""A disk that is full: a clear error, nothing half written, and on it goes when there is room."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.conformance.ledger.desk import Desk, shard, task
from wsaios.kernel.errors import LedgerUnavailable
from wsaios.kernel.ledger import LiveAfter
from wsaios.ledger.sqlite import SqliteLedger


class FullVfs(apsw.VFS):
    """Real files on a disk that has no room as long as `full` is set."""

    full = False

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  # the name that apsw calls
        return _FullFile(self, name, flags)


class _FullFile(apsw.VFSFile):
    def __init__(self, disk: FullVfs, name: Any, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._disk = disk

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  # the name that apsw calls
        if self._disk.full:
            raise apsw.FullError
        super().xWrite(data, offset)


@pytest.fixture
def disk() -> Iterator[FullVfs]:
    before = apsw.vfs_names()[0]
    made = FullVfs("full", base="unix")
    apsw.set_default_vfs("full")
    yield made
    apsw.set_default_vfs(before)


def test_a_full_disk_is_said_and_nothing_is_half_written(tmp_path: Path, disk: FullVfs) -> None:
    desk = Desk(SqliteLedger(tmp_path / "work.db"))
    desk.write(shards=[shard(1)])
    desk.add(task(1))
    disk.full = True
    with pytest.raises(LedgerUnavailable, match="disk is full; make room"):
        desk.add(*(task(number) for number in range(2, 500)))
    with pytest.raises(LedgerUnavailable, match="disk is full"):
        desk.reopen()
    disk.full = False
    desk.reopen()
    assert [row.id for row in desk.ask(LiveAfter(0, 999, 9)).tasks] == [1]
    desk.add(task(2))
    assert desk.ledger.reads().totals().live == {2: 2}
    desk.ledger.close()


def test_an_owner_stops_on_a_full_disk_and_lets_go(tmp_path: Path, disk: FullVfs) -> None:
    first = SqliteLedger(tmp_path / "work.db")
    first.open(1, "first")
    disk.full = True
    first.close()
    disk.full = False
    second = SqliteLedger(tmp_path / "work.db", lock_wait_s=0)
    assert second.open(1, "second").epoch == 2
    second.close()
