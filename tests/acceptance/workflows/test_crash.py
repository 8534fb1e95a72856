"""A scheduler that is killed in the middle of a run: the next one goes on there, and does nothing again that ended."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.acceptance.workflows.program import ITEMS, flow
from wsaios.bootstrap import Settings, ledger_of
from wsaios.kernel.errors import LedgerUnavailable
from wsaios.kernel.ledger import RunsBefore, StepsOf
from wsaios.kernel.run import WHOLE

WHOLE_RUN = [sum(range(ITEMS)) + ITEMS + 7, "gone"]
PLACES = (
    "ledger.runs@1",
    "ledger.steps@5",
    "ledger.before_commit@4",
    "driver.before_dispatch@3",
    "driver.on_report@7",
)


class Site:
    """A ledger and a journal, and processes that die on them."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.journal = folder / "journal"
        self.plan = flow().check()

    def start(self, failpoint: str = "") -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.workflows.program", self.url, str(self.journal)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "WSAIOS_FAILPOINT": failpoint},
        )

    def calls(self) -> list[str]:
        return self.journal.read_text(encoding="utf-8").splitlines() if self.journal.exists() else []

    def ended(self) -> set[str]:
        """The calls whose end is in the ledger."""
        try:
            reads = ledger_of(self.url, Settings()).reads()
        except LedgerUnavailable:
            return set()
        found = set()
        for run in reads.asked(RunsBefore(1 << 62, (), 9)).runs:
            for row in reads.asked(StepsOf(run.id, -1, -1, 9_999)).steps:
                name = self.plan.steps[row.number].id
                if row.ended:
                    found.add(name if row.item == WHOLE else f"{name} {row.item}")
        reads.close()  # type: ignore[attr-defined]  # every reader has it
        return found

    def finish(self) -> str:
        """Let it run to its end; what it gave back."""
        process = self.start()
        told, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        return told.splitlines()[-1]


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> Site:
    postgres = kind == "postgres"
    url = request.getfixturevalue("postgres").fresh() if postgres else f"sqlite:///{tmp_path}/work.db"
    return Site(url, tmp_path)


def check(site: Site, deaths: int) -> None:
    """Everything ran, and again only what was in flight at a death."""
    counted = Counter(site.calls())
    chain = [f"chain{number}" for number in range(6)]
    assert set(counted) == {"first", "sum", *chain, *(f"each {item}" for item in range(ITEMS))}
    assert sum(counted.values()) - len(counted) <= deaths * 8


@pytest.mark.parametrize("kind, seed", [("sqlite", 1), ("sqlite", 2), ("postgres", 1)])
def test_killed_at_random_moments_it_goes_on_in_the_middle(site: Site, seed: int) -> None:
    rng = random.Random(seed)
    deaths = 0
    for _ in range(3):
        over, before = site.ended(), len(site.calls())
        process = site.start()
        wanted = before + rng.randrange(1, 16)
        while len(site.calls()) < wanted and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        deaths += 1
        assert over.isdisjoint(site.calls()[before:])
    over, before = site.ended(), len(site.calls())
    assert site.finish() == str(WHOLE_RUN)
    assert over.isdisjoint(site.calls()[before:])
    check(site, deaths)


@pytest.mark.parametrize("place", PLACES)
def test_killed_between_two_writes_it_goes_on_in_the_middle(tmp_path: Path, place: str) -> None:
    site = Site(f"sqlite:///{tmp_path}/work.db", tmp_path)
    process = site.start(place)
    process.communicate(timeout=60)
    assert process.returncode != 0
    over, before = site.ended(), len(site.calls())
    assert site.finish() == str(WHOLE_RUN)
    assert over.isdisjoint(site.calls()[before:])
    check(site, 1)
