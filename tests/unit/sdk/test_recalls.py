"""What runs call is made known once; what failed is told apart, and tried again with the next run."""

import asyncio
from typing import Any, cast

import pytest

from wsaios.kernel.errors import InvalidInput
from wsaios.planning.workflow.plan import Plan
from wsaios.scheduler.workflows import Workflows
from wsaios.sdk import runs
from wsaios.sdk.runs import Recalls, recall_handlers
from wsaios.sdk.workflows import Workflow


class Shelf:
    """Has handlers, the plans of versions and a log; what is not as it should be breaks in its own way."""

    def __init__(self) -> None:
        self.handlers: list[str] = []
        self.told: list[tuple[str, str, str]] = []

    async def plan(self, version: str) -> Plan:
        """The plan of a version."""
        if version == "absent":
            raise InvalidInput("version", "there is none")
        flow = Workflow("flow")
        flow.step("one", handler=f"json:{version}")
        return flow.check()

    def add_handler(self, name: str, function: Any, **options: Any) -> None:
        """Register one."""
        if name == "json:dump":
            raise OSError("no room")
        self.handlers.append(name)

    def warning(self, event: str, **fields: Any) -> None:
        """Something is odd."""
        self.told.append(("warning", fields["version"], fields["reason"]))

    def error(self, event: str, **fields: Any) -> None:
        """Something is wrong."""
        self.told.append(("error", fields["version"], fields["reason"]))


async def test_a_version_that_fails_is_named_and_keeps_no_other_from_being_known() -> None:
    shelf = Shelf()
    versions = ["absent", "dump", "loads", "nothing"]
    failed = await recall_handlers(shelf, (), cast("Workflows", shelf), shelf, versions)
    assert (failed, shelf.handlers) == ({"absent", "dump", "nothing"}, ["json:loads"])
    kinds = [(kind, version) for kind, version, _ in shelf.told]
    assert kinds == [("warning", "absent"), ("error", "dump"), ("warning", "nothing")]
    assert shelf.told[1][2] == "OSError: no room"


async def test_what_failed_is_tried_again_with_the_next_run_and_not_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "AGAIN_S", 0.05)
    tried: list[set[str]] = []
    good = {"fine"}

    async def recall(versions: set[str]) -> set[str]:
        tried.append(versions)
        return versions - good

    recalls = Recalls(recall)
    await recalls.now(["fine", "late"])
    for _ in range(9):
        recalls.begun(["fine", "late"])
    await asyncio.sleep(0)
    assert tried == [{"fine", "late"}]
    good.add("late")
    while len(tried) < 2:  # noqa: ASYNC110  # nobody is told of a try
        await asyncio.sleep(0.01)
    recalls.begun(["fine", "late"])
    await recalls.close()
    await asyncio.sleep(0.1)
    assert tried == [{"fine", "late"}, {"late"}]


async def test_what_no_run_asks_for_again_is_left_alone_and_so_is_all_behind_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs, "AGAIN_S", 0.01)
    tried: list[set[str]] = []

    async def recall(versions: set[str]) -> set[str]:
        tried.append(versions)
        return versions

    recalls = Recalls(recall)
    await recalls.now(["late"])
    await asyncio.sleep(0.05)
    assert len(tried) == 1
    recalls.begun(["late"])
    await asyncio.sleep(0)
    recalls.begun(["late"])
    await recalls.close()
    await asyncio.sleep(0.05)
    assert len(tried) == 2
