"""A process that is killed at each place around the commit of a firing: each time fires once, none twice, none not."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.door.owners import environment
from wsaios import Client
from wsaios.kernel.trigger import TriggerView

PROGRAM = Path(__file__).with_name("program.py")
PLACES = {
    "sqlite": ("ledger.accepted", "ledger.facts@3", "ledger.after_commit@3", "driver.before_dispatch"),
    "postgres": ("ledger.before_commit@3", "driver.after_commit@4"),
}
"""Those that are reached at the first second, or soon after the start."""
SECOND_US = 1_000_000


def begin(url: str, failpoint: str = "") -> subprocess.Popen[str]:
    given = {**environment(), **({"WSAIOS_FAILPOINT": failpoint} if failpoint else {})}
    return subprocess.Popen([sys.executable, str(PROGRAM), url], stdout=subprocess.PIPE, text=True, env=given)


def killed(url: str, failpoint: str) -> None:
    """A life that ends at that place."""
    process = begin(url, failpoint)
    try:
        assert process.wait(30) == -signal.SIGKILL
    finally:
        process.kill()
        process.communicate()


def lived(url: str, fired: int) -> TriggerView:
    """A life in good order, until the trigger has fired that often and all that it started has ended."""
    process = begin(url)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with Client(url) as client:
            view = client.triggers.get("tick")
            while view.fired < fired or view.waiting or view.running:
                client.flush()
                view = client.triggers.get("tick")
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    finally:
        process.kill()
        process.communicate()
    return view


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        fresh: str = request.getfixturevalue("postgres").fresh()
        return fresh
    return f"sqlite:///{tmp_path}/work.db"


def test_each_second_fires_once_whatever_its_owner_was_doing_when_it_was_killed(url: str) -> None:
    lived(url, 1)
    places = PLACES[url.partition(":")[0].replace("postgresql", "postgres")]
    for place in places:
        killed(url, place)
    lived(url, 2 + len(places))
    with Client(url) as client:
        view = client.triggers.get("tick")
        tasks = client.tasks(limit=1000)
        keys = [str(client.result(task.id)) for task in tasks]
    times = sorted(int(key.removeprefix("tick@")) for key in keys)
    assert len(times) == len(set(times)) == view.fired
    assert times == list(range(times[0], times[-1] + 1, SECOND_US))
    assert {task.state for task in tasks} == {"succeeded"}
    assert (view.skipped, view.missed) == (0, 0)
