"""The failpoint of crash tests."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.failpoints import FAILPOINTS, FAMILIES, nothing
from wsaios.kernel.ledger import Commit
from wsaios.ledger.failpoint_exit import TRACE, from_environment

ROOT = Path(__file__).parents[3]


def test_every_family_of_a_commit_has_a_place() -> None:
    fields = [name for name in Commit.__struct_fields__ if isinstance(getattr(Commit(1, 1), name), list)]
    assert [name for name in fields if name not in {"questions", "fetch"}] == list(FAMILIES)
    assert len(set(FAILPOINTS)) == len(FAILPOINTS)


def test_nothing_is_asked_for_and_nothing_happens() -> None:
    assert from_environment(None, {}) is nothing
    assert from_environment("", {}) is nothing
    nothing("ledger.begin")


@pytest.mark.parametrize("value", ["ledger.nowhere", "ledger.ended@0", "ledger.ended@x", "ledger.ended@", "@1"])
def test_a_place_that_does_not_exist_is_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match="failpoint"):
        from_environment(value, {})


def test_every_place_is_noted_once(tmp_path: Path) -> None:
    reached = from_environment("ledger.ended@99", {TRACE: str(tmp_path / "trace")})
    for place in ("ledger.begin", "ledger.ended", "ledger.begin", "driver.on_report"):
        reached(place)
    assert (tmp_path / "trace").read_text() == "ledger.begin\nledger.ended\ndriver.on_report\n"


@pytest.mark.parametrize("value, hits", [("ledger.begin", 1), ("ledger.begin@3", 3)])
def test_the_process_dies_at_the_hit_that_was_named(value: str, hits: int) -> None:
    code = (
        "import sys; from wsaios.ledger.failpoint_exit import from_environment\n"
        "reached = from_environment(sys.argv[1])\n"
        "for hit in range(1, 9):\n"
        "    print(hit, flush=True); reached('ledger.ended'); reached('ledger.begin')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, value],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == [str(hit) for hit in range(1, hits + 1)]
