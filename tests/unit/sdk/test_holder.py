"""Who holds a ledger, seen from outside."""

from pathlib import Path

import pytest

from wsaios.kernel.errors import LedgerOwned
from wsaios.ledger.sqlite import SqliteLedger
from wsaios.sdk.holder import holder_of, refuse_owned


def test_the_holder_is_the_process_that_owns_the_ledger_as_long_as_it_does(tmp_path: Path) -> None:
    lock = tmp_path / "work.db.lock"
    assert holder_of(lock) is None
    ledger = SqliteLedger(tmp_path / "work.db")
    ledger.open(1, "the night shift")
    holder = holder_of(lock)
    assert holder is not None
    assert holder.who == "the night shift"
    ledger.close()
    assert holder_of(lock) is None


def test_a_holder_that_died_is_none(tmp_path: Path) -> None:
    lock = tmp_path / "work.db.lock"
    ledger = SqliteLedger(tmp_path / "work.db")
    ledger.open(1, "the night shift")
    text = lock.read_text()
    ledger.close()
    lock.write_text(text.replace('"started":"', '"started":"9'))
    assert holder_of(lock) is None
    lock.write_text("no holder at all")
    assert holder_of(lock) is None


def test_a_live_owner_is_refused_by_name_and_a_client_is_not(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/work.db"
    refuse_owned(url)
    refuse_owned("sqlite:///:memory:")
    ledger = SqliteLedger(tmp_path / "work.db")
    ledger.open(1, "the night shift")
    with pytest.raises(LedgerOwned, match="the night shift"):
        refuse_owned(url)
    ledger.close()
    ledger.open_as_client(2, "a short visit")
    refuse_owned(url)
    ledger.close()
