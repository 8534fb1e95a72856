"""The verbs by which a program runs workflows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wsaios.engines.local.aside import standing_aside
from wsaios.kernel.events import Scope
from wsaios.kernel.run import Published
from wsaios.kernel.views import RunView, StepView
from wsaios.planning.calls import whole
from wsaios.scheduler.service import Service
from wsaios.sdk.folder import Folders, WatchedFile
from wsaios.sdk.handles import Run
from wsaios.sdk.marshal import Home, at_home
from wsaios.sdk.names import number_of
from wsaios.sdk.runs import Definition, plan_from
from wsaios.sdk.standby import Standby, or_handed_in


class Flows:
    """Runs of workflows. Mixed into `Scheduler`."""

    home: Home
    standby: Standby | None
    _service: Service
    _folders: Folders

    @at_home
    @or_handed_in
    async def publish(self, definition: Definition, /, *, note: str = "", who: str = "") -> int:
        """Have new runs by the name of a workflow get this definition; runs that began stay with theirs.

        Returns which version of that name it is, from 1; the same content published again keeps its number.
        """
        return await self._service.workflows.versions.publish(await plan_from(definition), note, who)

    @at_home
    @or_handed_in
    async def published(self, name: str) -> Published:
        """The versions of a workflow that was published, and which of them new runs get.

        Raises:
            UnknownWorkflow: none was published under this name.
        """
        return await self._service.workflows.versions.published(name)

    @at_home
    @or_handed_in
    async def route(self, name: str, shares: Mapping[int, int]) -> Published:
        """Give so many of a hundred new runs these versions, by number: ``{1: 90, 2: 10}``; ``{1: 100}`` goes back.

        Raises:
            UnknownWorkflow: no such name, or no such version of it.
            InvalidInput: the shares do not add up to a hundred.
        """
        return await self._service.workflows.versions.route(name, shares)

    @at_home
    async def watch_workflows(self, folder: str | Path) -> list[WatchedFile]:
        """Publish the definitions in a folder, each again when it changes, until `stop`; what became of each file now.

        A file that is broken, or gone, changes nothing: the last good version stays, and the log says so. What was
        published before is left as it stands, with its route.

        Raises:
            InputError: there is no such folder.
            MissingExtra: nothing that watches folders is installed.
        """
        return await self._folders.watch(folder)

    @at_home
    @or_handed_in
    async def run_result(self, run_id: str | Run, *, timeout_s: float | None = None) -> Any:
        """What a run gives back, waiting for it; as `Run.result`."""
        with standing_aside():
            return await self._service.workflows.result(number_of(run_id, "run"), timeout_s)

    @at_home
    @or_handed_in
    async def run_end(self, run_id: str | Run, *, timeout_s: float | None = None) -> RunView:
        """Until a run has ended, however."""
        with standing_aside():
            return await self._service.workflows.ended(number_of(run_id, "run"), timeout_s)

    @at_home
    @or_handed_in
    async def run_status(self, run_id: str | Run) -> RunView:
        """Where a run stands."""
        return await self._service.workflows.view(number_of(run_id, "run"))

    @at_home
    @or_handed_in
    async def run_steps(self, run_id: str | Run) -> list[StepView]:
        """Where the steps of a run stand, each after those that it depends on."""
        return await self._service.workflows.steps(number_of(run_id, "run"))

    @at_home
    @or_handed_in
    async def runs(
        self, states: Sequence[str] = (), *, before: str | Run | None = None, limit: int = 100
    ) -> list[RunView]:
        """Runs in one of the states (none: any), latest first, those before the given one."""
        place = number_of(before, "run") if before else 0
        return await self._service.workflows.runs(states, place, whole("limit", limit, 1, 1000))

    @at_home
    @or_handed_in
    async def signal(self, event: str = "", data: Any = None, *, run: str | Run | None = None, step: str = "") -> int:
        """Tell an event to the steps that wait for it: of one run, or of all; or to one step of a run.

        Returns how many took it.

        Raises:
            NotPossible: nothing of that run waits for it.
        """
        number = 0 if run is None else number_of(run, "run")
        return await self._service.workflows.signal(event, data, run=number, step=step)

    @at_home
    @or_handed_in
    async def retry(self, run_id: str | Run, *, from_step: str | None = None) -> str:
        """Run again what failed of a run that has ended; as `Run.retry`."""
        scope = Scope("run", number_of(run_id, "run"), from_step or "")
        return str(await self._service.act("replay", scope))
