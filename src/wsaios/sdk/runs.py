"""What stands between a definition and its run: it is read and checked, and whatever it calls is there."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from wsaios.inference.models import resolve
from wsaios.kernel.errors import CallerError, InvalidInput, UnknownHandler, WsaiosError
from wsaios.planning.workflow.plan import Plan
from wsaios.scheduler.loop import Log
from wsaios.scheduler.steps import handler_of
from wsaios.scheduler.workflows import Workflows
from wsaios.sdk.handler_import import import_function
from wsaios.sdk.workflows import Workflow, read_plan

Definition = str | Path | Workflow | Plan | Mapping[str, Any]
"""A file, a builder, what one of them became, the definition as a value of JSON, or a name that was published."""
AGAIN_S = 1.0
SUFFIXES = (".yaml", ".yml", ".json")


class HasHandlers(Protocol):
    """A scheduler as far as handlers go."""

    def add_handler(
        self,
        name: str,
        function: Callable[..., Any],
        *,
        lane: str | None = None,
        batch_size: int | None = None,
        max_wait_s: float = 0.01,
        **options: Any,
    ) -> None:
        """Register one."""


def name_in(definition: Definition) -> str:
    """The name of a published workflow, where that is what was given; else nothing."""
    is_name = isinstance(definition, str) and not definition.endswith(SUFFIXES) and "/" not in definition
    return str(definition) if is_name else ""


async def plan_from(definition: Definition) -> Plan:
    """The checked plan of a definition; what is large is read in a thread.

    Raises:
        InvalidDefinition: all that is wrong with it.
        InputError: a file that cannot be read.
        InvalidInput: it is none of these.
    """
    if isinstance(definition, Plan):
        return definition
    if isinstance(definition, Workflow):
        return definition.check()
    if isinstance(definition, Mapping):
        return await asyncio.to_thread(_of_mapping, definition)
    if not isinstance(definition, str | Path):
        raise InvalidInput("definition", f"must be a path, a Workflow or a dict, not {definition!r:.80}")
    if not str(definition).endswith(SUFFIXES):
        reason = f"{str(definition)!r} names no file of a definition, which ends in {', '.join(SUFFIXES)}"
        raise InvalidInput("definition", reason)
    return await asyncio.to_thread(read_plan, definition)


def _of_mapping(definition: Mapping[str, Any]) -> Plan:
    parts = dict(definition)
    steps = parts.pop("steps", [])
    made = Workflow(parts.pop("name", ""), **parts)
    for step in steps:
        made.step(**step)
    return made.check()


def make_ready(scheduler: HasHandlers, known: Collection[str], plan: Plan) -> None:
    """Make known whatever a plan calls: MODULE:FUNCTION is imported, a model is loaded when it is first called.

    Raises:
        UnknownHandler: names all that nobody has.
    """
    missing: dict[str, str] = {}
    for step in plan.steps:
        name = handler_of(step)
        if not name or name in known or name in missing:
            continue
        try:
            if step.model is not None:
                model = resolve(step.model)
                scheduler.add_handler(name, model.function, lane=model.lane, batch_size=model.batch_size)
            elif ":" in name:
                scheduler.add_handler(name, import_function(name, Path.cwd()))
            else:
                missing[name] = "no handler of this name is registered"
        except CallerError as error:
            missing[name] = str(error)
    if missing:
        raise UnknownHandler(", ".join(missing), "; ".join(dict.fromkeys(missing.values())))


class Recalls:
    """Makes known what runs of versions call, once for each.

    Where that fails it is tried again when another run of that version has begun; not more often than once in a while,
    for many may begin, and each try is logged.
    """

    def __init__(self, recall: Callable[[set[str]], Awaitable[set[str]]]) -> None:
        """`recall` returns the versions for which it failed."""
        self._recall = recall
        self._known: set[str] = set()
        self._failed: dict[str, bool] = {}
        self._tasks: set[asyncio.Future[None]] = set()
        self._closed = False

    async def now(self, versions: Iterable[str]) -> None:
        """Make known what is not yet."""
        failed = fresh = set(versions) - self._known
        self._known |= fresh
        try:
            failed = await self._recall(fresh)
        finally:
            if failed:
                self._failed.update(dict.fromkeys(failed, False))
                asyncio.get_running_loop().call_later(AGAIN_S, self._let_go, failed)

    def begun(self, versions: Iterable[str]) -> None:
        """Runs of these have begun."""
        self._failed.update((version, True) for version in versions if version in self._failed)
        if not self._closed and not self._known.issuperset(versions):
            task = asyncio.ensure_future(self.now(versions))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Begin nothing more, and wait for what was begun."""
        self._closed = True
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _let_go(self, failed: set[str]) -> None:
        self._known -= failed
        wanted = [version for version in failed if self._failed.pop(version)]
        if wanted:
            self.begun(wanted)


async def recall_handlers(
    scheduler: HasHandlers, known: Collection[str], workflows: Workflows, log: Log, versions: Iterable[str]
) -> set[str]:
    """Make known what runs of these versions call; returns those of which not everything is here.

    Their steps wait for the handler, and `why` says so.
    """
    failed: set[str] = set()
    for version in sorted(versions):
        try:
            make_ready(scheduler, known, await workflows.plan(version))
        except WsaiosError as error:
            failed.add(version)
            log.warning("not all that an unfinished run calls is here", version=version, reason=str(error))
        except Exception as error:  # noqa: BLE001  # what other versions call must be made known
            failed.add(version)
            reason = f"{type(error).__name__}: {error}"
            log.error("no handlers of an unfinished run", version=version, reason=reason)  # noqa: TRY400  # as elsewhere
    return failed
