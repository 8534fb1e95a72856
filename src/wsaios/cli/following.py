"""A run that is followed to its end: drawn again and again on a terminal, else told when it is over."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import nullcontext
from typing import Any, Final, NoReturn, Protocol, TypeVar

import typer

from wsaios.cli.errors import OK, SOME_FAILED, told
from wsaios.cli.output import only_json, print_json, print_lines
from wsaios.cli.run_views import path_lines, run_fields, run_json, step_json, step_lines
from wsaios.cli.streams import complain
from wsaios.kernel.views import RunView, StepView
from wsaios.sdk.client import AsyncClient
from wsaios.sdk.handles import Run
from wsaios.sdk.holder import live_owner
from wsaios.sdk.names import number_of
from wsaios.sdk.scheduler import Scheduler

T = TypeVar("T")
_FRAME_S: Final = 0.25
_SHARE: Final = 10
_LIVE_STEPS: Final = 30


class Verbs(Protocol):
    """What is asked of a scheduler or of a client."""

    async def run_status(self, run_id: str) -> RunView:
        """Where a run stands."""

    async def run_steps(self, run_id: str) -> list[StepView]:
        """Where its steps stand."""

    async def run_end(self, run_id: str, *, timeout_s: float | None = None) -> RunView:
        """Until it has ended."""

    async def run_result(self, run_id: str, *, timeout_s: float | None = None) -> Any:
        """What it gives back."""


Begin = Callable[[Any], Awaitable[Run]]
"""Begins a run, or goes on with one, through a scheduler or a client."""


def carried(ledger: str | None, begin: Begin, *, limit: int, as_json: bool, detach: bool = False) -> NoReturn:
    """Begin a run and follow it to its end; where no scheduler lives, this process is one for so long."""
    with told(as_json=as_json), only_json() if as_json else nullcontext():
        work = _carried(ledger, begin, limit, as_json=as_json, detach=detach)
        view, lines, shown = run_loop(work)
    if as_json:
        print_json(shown)
    else:
        print_lines(lines)
        if "result" in shown:
            print_json(shown["result"])
    raise typer.Exit(SOME_FAILED if view.ended and view.state != "succeeded" else OK)


def watched(ledger: str | None, run_id: str, *, limit: int, as_json: bool) -> NoReturn:
    """Follow a run that is there to its end."""
    with told(as_json=as_json):
        view, lines, shown = run_loop(_through(ledger, going_on(run_id), limit, as_json=as_json))
    if as_json:
        print_json(shown)
    else:
        print_lines(lines)
    raise typer.Exit(SOME_FAILED if view.state != "succeeded" else OK)


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the faster loop, where that is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def going_on(run_id: str) -> Begin:
    """With a run that is there."""

    async def begin(verbs: Any) -> Run:
        await verbs.run_status(run_id)
        return handle(verbs, run_id)

    return begin


def handle(verbs: Any, run_id: str) -> Run:
    """The handle of a run."""
    return Run(verbs, number_of(run_id, "run"))


Told = tuple[RunView, list[str], dict[str, Any]]


async def _carried(ledger: str | None, begin: Begin, limit: int, *, as_json: bool, detach: bool) -> Told:
    if detach or live_owner(ledger) is not None:
        return await _through(ledger, begin, limit, as_json=as_json, detach=detach)
    async with Scheduler(ledger) as scheduler:
        run = await begin(scheduler)
        try:
            return await _followed(scheduler, run.id, limit, quiet=as_json)
        except asyncio.CancelledError:
            complain(f"stopped; nothing is lost, this goes on with it: wsaios workflow run {run.id}")
            raise


async def _through(ledger: str | None, begin: Begin, limit: int, *, as_json: bool, detach: bool = False) -> Told:
    async with AsyncClient(ledger) as client:
        run = await begin(client)
        if detach:
            view = await client.run_status(run.id)
            return view, [f"{run.id} {view.state}"], {"run": run_json(view)}
        try:
            return await _followed(client, run.id, limit, quiet=as_json)
        except asyncio.CancelledError:
            complain(f"no longer watched; it goes on: wsaios workflow show {run.id}")
            raise


async def _followed(verbs: Verbs, run_id: str, limit: int, *, quiet: bool) -> Told:
    end = asyncio.ensure_future(verbs.run_end(run_id))
    try:
        if not quiet and sys.stderr.isatty():
            await _drawn(verbs, run_id, end)
        view = await end
    finally:
        end.cancel()
    steps = await verbs.run_steps(run_id)
    lines = [*run_fields(view, steps), "", *step_lines(view, steps, limit), *path_lines(steps)]
    shown: dict[str, Any] = {"run": run_json(view), "steps": [step_json(step) for step in steps]}
    if view.state == "succeeded":
        shown["result"] = await verbs.run_result(run_id)
    return view, lines, shown


async def _drawn(verbs: Verbs, run_id: str, end: "asyncio.Future[RunView]") -> None:
    """Draw it until it has ended; large ones less often, so that looking takes a tenth of the time at most."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not end.done():
            began = time.monotonic()
            view, steps = await verbs.run_status(run_id), await verbs.run_steps(run_id)
            room = max(5, min(_LIVE_STEPS, console.height - 12))
            lines = [*run_fields(view, steps), "", *step_lines(view, _telling(steps, room), room)]
            live.update(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)
            pause_s = max(_FRAME_S, _SHARE * (time.monotonic() - began))
            await asyncio.wait((end,), timeout=pause_s)


def _telling(steps: list[StepView], room: int) -> list[StepView]:
    """As many steps as there is room for: those at work, and what stands around them."""
    at = next((place for place, step in enumerate(steps) if step.state not in {"succeeded", "skipped"}), 0)
    first = max(0, min(at - room // 4, len(steps) - room))
    return steps[first : first + room]
