"""The engines that the suite runs over: `exact` without faults, `rig` with one that has them as well."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest

from tests.conformance.engine.local import LocalRig
from tests.conformance.engine.rig import LANES, Rig
from tests.conformance.engine.simulated import PIPE_FAULTS, SimulatedRig

EXACT: dict[str, Callable[[], Rig]] = {"local": LocalRig, "simulated": SimulatedRig}
FAULTY: dict[str, Callable[[], Rig]] = {f"faulty-{seed}": partial(SimulatedRig, PIPE_FAULTS, seed) for seed in range(3)}


@pytest.fixture(params=EXACT)
async def exact(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async for rig in _served(EXACT[request.param]()):
        yield rig


@pytest.fixture(params=EXACT | FAULTY)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async for rig in _served((EXACT | FAULTY)[request.param]()):
        yield rig


@pytest.fixture(params=sorted(LANES))
def lane(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


async def _served(rig: Rig) -> AsyncIterator[Rig]:
    await rig.engine.start(rig.sink)
    yield rig
    await rig.close()
