"""What stands between a definition and its run: it is read and checked, and whatever it calls is there."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
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


async def recall_handlers(
    scheduler: HasHandlers, known: Collection[str], workflows: Workflows, versions: Iterable[str], log: Log
) -> None:
    """Make known what runs of these versions call.

    Where that fails, their steps wait for the handler, and `why` says so.
    """
    for version in sorted(versions):
        try:
            make_ready(scheduler, known, await workflows.plan(version))
        except WsaiosError as error:
            log.warning("not all that an unfinished run calls is here", version=version, reason=str(error))
