"""What holds for every test: no ledger named from outside, and property tests without a time limit of their own."""

import hypothesis
import pytest

# Timing on a shared machine says nothing about behaviour; pytest's own timeout catches what hangs.
hypothesis.settings.register_profile("wsaios", deadline=None, print_blob=True)
hypothesis.settings.load_profile("wsaios")


@pytest.fixture(autouse=True)
def _no_ledger_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WSAIOS_LEDGER", raising=False)
