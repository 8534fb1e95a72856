"""Random workflows on a real scheduler, held against networkx."""

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wsaios import Scheduler
from wsaios.sdk.workflows import Workflow


class Part(NamedTuple):
    """One step: what it depends on, and what it does."""

    parents: list[int]
    items: int | None
    parallel: int | None
    runs: bool
    fails: bool
    goes_on: bool


class Stage:
    """A scheduler in memory, and what its handlers did."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.scheduler = Scheduler("sqlite:///:memory:", grace_s=1)
        self.events: list[tuple[str, int, int]] = []
        self.scheduler.add_handler("work", self._work, max_attempts=1)
        self.runner.run(self.scheduler.start())

    async def _work(self, step: int, item: int, fails: bool) -> int:
        self.events.append(("begin", step, item))
        await asyncio.sleep(0)
        self.events.append(("end", step, item))
        if fails:
            raise ValueError("as it was told")
        return step

    def play(self, parts: list[Part]) -> tuple[str, dict[int, str]]:
        """Run them; how the run and its steps ended."""
        self.events.clear()
        return self.runner.run(self._play(parts))

    async def _play(self, parts: list[Part]) -> tuple[str, dict[int, str]]:
        flow = Workflow("random")
        for number, part in enumerate(parts):
            fails: Any = part.fails if part.items is None else "${item == 0 && " + str(part.fails).lower() + "}"
            flow.step(
                f"s{number}",
                handler="work",
                args={"step": number, "item": 0 if part.items is None else "${item}", "fails": fails},
                depends_on=[f"s{parent}" for parent in part.parents],
                when=None if part.runs else "1 > 2",
                foreach=None if part.items is None else str(list(range(part.items))),
                max_parallel=part.parallel if part.items is not None else None,
                on_failure="continue" if part.goes_on else None,
            )
        run = await self.scheduler.run_workflow(flow)
        view = await run.wait(30)
        core = self.scheduler._parts.loop.core  # noqa: SLF001  # nothing else says what is left over in memory
        assert core is not None
        assert not core.runs._courses  # noqa: SLF001  # the same
        assert not core.book.tasks
        return view.state, {int(step.id[1:]): step.state for step in await run.steps()}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.runner.run(made.scheduler.stop())
    made.runner.close()


@st.composite
def workflows(draw: st.DrawFn) -> list[Part]:
    """Steps in any order: who depends on whom need not come after it."""
    n = draw(st.integers(1, 14))
    names = draw(st.permutations(range(n)))
    parts: dict[int, Part] = {}
    for place in range(n):
        before = draw(st.sets(st.integers(0, place - 1), max_size=3)) if place else set()
        parts[names[place]] = Part(
            sorted(names[each] for each in before),
            draw(st.none() | st.integers(0, 4)),
            draw(st.none() | st.integers(1, 2)),
            draw(st.integers(0, 5)) > 0,
            draw(st.integers(0, 6)) == 0,
            draw(st.booleans()),
        )
    return [parts[number] for number in range(n)]


def ends_badly(part: Part) -> bool:
    return part.runs and part.fails and part.items != 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=workflows())
def test_every_step_runs_once_and_after_all_that_it_depends_on(stage: Stage, parts: list[Part]) -> None:
    state, steps = stage.play(parts)
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(parts)))
    graph.add_edges_from((parent, number) for number, part in enumerate(parts) for parent in part.parents)
    begun = [(step, item) for what, step, item in stage.events if what == "begin"]
    assert len(begun) == len(set(begun))
    for number in {step for step, _ in begun}:
        first = stage.events.index(next(each for each in stage.events if each[:2] == ("begin", number)))
        for above in nx.ancestors(graph, number):
            assert all(stage.events.index(each) < first for each in stage.events if each[:2] == ("end", above))
            assert steps[above] in {"succeeded", "skipped", "failed"}
    fatal = {number for number, part in enumerate(parts) if ends_badly(part) and not part.goes_on}
    behind = set().union(*(nx.descendants(graph, number) for number in fatal)) if fatal else set()
    assert not behind & {step for step, _ in begun}
    if fatal - behind:
        assert state == "failed"
        assert any(steps[number] == "failed" for number in fatal - behind)
        return
    assert state == "succeeded"
    for number, part in enumerate(parts):
        expected = "skipped" if not part.runs else "failed" if ends_badly(part) else "succeeded"
        assert steps[number] == expected
        times = 0 if not part.runs else 1 if part.items is None else part.items
        assert sum(step == number for step, _ in begun) == times
