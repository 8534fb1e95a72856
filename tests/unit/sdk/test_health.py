"""What is seen of a ledger and its machine without owning it."""

from pathlib import Path

import pytest

from wsaios.kernel.errors import InvalidInput, LedgerUnavailable
from wsaios.sdk.health import contradictions, examine


def test_a_ledger_that_is_not_there_cannot_be_checked_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="no such ledger"):
        contradictions(f"sqlite:///{tmp_path}/work.db")
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_in_memory_cannot_be_looked_at_from_outside() -> None:
    for look in (examine, contradictions):
        with pytest.raises((InvalidInput, LedgerUnavailable)):
            look("sqlite:///:memory:")


def test_a_folder_that_is_not_there_is_wrong(tmp_path: Path) -> None:
    health = examine(f"sqlite:///{tmp_path}/none/work.db")
    assert (health.fdatasync_ms, health.size_bytes) == (None, None)
    assert [each.remedy for each in health.wrong] == ["check that the folder exists and its permissions"]


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    health = examine(f"sqlite:///{tmp_path}/work.db")
    assert (health.wrong, list(tmp_path.iterdir())) == ([], [])
    assert health.fdatasync_ms is not None
    assert health.fdatasync_ms > 0
