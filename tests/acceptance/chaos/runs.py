"""One scenario from its beginning to its verdict."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tests.acceptance.chaos.client import now_us
from tests.acceptance.chaos.faults import RATE, Stage
from tests.acceptance.chaos.ledgers import Place, behind, in_a_file
from tests.acceptance.chaos.processes import Client, Workers
from tests.acceptance.chaos.scenarios import Scenario
from tests.acceptance.chaos.verdict import Figures, Times, judge
from tests.acceptance.crash.lines import read
from tests.servers.fault_proxy import FaultProxy
from tests.servers.postgres import PostgresServer

_BEGIN_S: Final = 60.0
_END_S: Final = 60.0
_LOOK_S: Final = 0.1


class Lengths(NamedTuple):
    """How long it runs before, during and after the fault; afterwards at most `patience_s` until it has recovered."""

    before_s: float
    fault_s: float
    after_s: float
    patience_s: float = 60.0


def run(scenario: Scenario, folder: Path, lengths: Lengths, server: PostgresServer | None) -> Figures:
    """Run a scenario in an empty folder: on a ledger behind that server, or else in a file."""
    with _stage(scenario, folder, server) as stage:
        stage.client.rate(RATE)
        _wait(folder, 0, _BEGIN_S)
        # What gathered while the processes started would count as rate.
        _drain(stage.place, int(RATE / 10))
        began_us = now_us()
        time.sleep(lengths.before_s)
        fault_us = now_us()
        scenario.cause(stage, lengths.fault_s)
        over_us = now_us()
        time.sleep(lengths.after_s)
        _wait(folder, over_us, lengths.patience_s)
        times = Times(began_us, fault_us, over_us, now_us())
        problems = [stage.client.end(_END_S), _drain(stage.place), stage.workers.stop()]
        figures = judge(stage.place, folder, times)
        figures.problems += [problem for problem in problems if problem]
        figures.ended_by_themselves = len(stage.workers.ended_by_themselves)
        return figures


@contextmanager
def _stage(scenario: Scenario, folder: Path, server: PostgresServer | None) -> Iterator[Stage]:
    with ExitStack() as stack:
        place: Place
        proxy: FaultProxy | None = None
        if server is None:
            place = stack.enter_context(in_a_file(folder))
        else:
            place, proxy = stack.enter_context(behind(server))
        others = place.direct if scenario.apart else place.url
        workers = Workers([place.url, *[others] * (scenario.workers - 1)], folder)
        stack.callback(workers.end)
        first = workers.begin()
        _until(lambda: server is None or place.owner() == first, _BEGIN_S)
        workers.start()
        client = Client(others, folder)
        stack.callback(client.kill)
        yield Stage(place, workers, client, server, proxy)


def _wait(folder: Path, after_us: int, within_s: float) -> None:
    """Until something that was submitted after that moment was acknowledged, and another had a result, or not."""

    def went_on() -> bool:
        lines = read(folder / "journal")
        told = any("id" in line and line["began_us"] >= after_us for line in lines)
        return told and any("result" in line and line["at_us"] >= after_us for line in lines)

    _until(went_on, within_s)


def _drain(place: Place, left: int = 0) -> str:
    if _until(lambda: place.left() <= left, _END_S):
        return ""
    return f"{_END_S:g} s after the last submission not everything had ended"


def _until(happened: Callable[[], bool], within_s: float) -> bool:
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        if happened():
            return True
        time.sleep(_LOOK_S)
    return False
