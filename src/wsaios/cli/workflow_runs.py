"""``wsaios workflow``: run a definition, and look at and act on its runs."""

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from wsaios.cli.asking import asking
from wsaios.cli.errors import told
from wsaios.cli.options import JsonOption, LedgerOption, MostOption
from wsaios.cli.output import print_json, print_lines

if TYPE_CHECKING:
    from wsaios.planning.workflow.plan import Plan
    from wsaios.sdk.handles import Run

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The id of a run, such as run_0s9vgx7540800.")]
StepsOption = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many steps are shown at most.")]
RUN_ID: Final = "run_"
_SHOWN: Final = 50

runs = typer.Typer()
"""Commands that stand beside those of `wsaios.cli.workflow`."""


@runs.command()
def run(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A definition, the name of a published one, or the id of a run that has not ended."
        ),
    ],
    given: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="NAME=VALUE", help="An input; once for each. What is JSON is taken as that."),
    ] = None,
    priority: Annotated[int, typer.Option("--priority", help="Larger first; added to that of each step.")] = 0,
    tenant: Annotated[str | None, typer.Option("--tenant", help="On whose account it runs.")] = None,
    ledger: LedgerOption = None,
    *,
    detach: Annotated[bool, typer.Option("--detach", help="Begin it and leave; a scheduler carries it on.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a workflow to its end and show its steps and what it gives back.

    A scheduler that lives on the ledger runs it; where there is none, this command is one for so long.
    Exit status: 0, 1 (it failed or was cancelled), 2 (bad usage or input), 130 (stopped by SIGINT).
    """
    from wsaios.cli.following import carried, going_on

    with told(as_json=as_json):
        begin = going_on(file) if file.startswith(RUN_ID) else _beginning(file, given or [], priority, tenant)
    carried(ledger, begin, limit=_SHOWN, as_json=as_json, detach=detach)


@runs.command("list")
def list_runs(
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only those in this state, such as failed; may be given again.")
    ] = None,
    before: Annotated[str | None, typer.Option("--before", metavar="RUN", help="Only those begun before it.")] = None,
    ledger: LedgerOption = None,
    limit: MostOption = 50,
    *,
    as_json: JsonOption = False,
) -> None:
    """List runs, the latest first."""
    from wsaios.cli.run_views import run_json, run_lines

    with asking(ledger, as_json=as_json) as client:
        views = client.runs(tuple(state or ()), before=before, limit=limit)
        if as_json:
            print_json([run_json(view) for view in views])
            return
        print_lines(run_lines(views))
        if len(views) == limit:
            print_lines([f"… perhaps more: --before {views[-1].id}"])


@runs.command()
def show(
    run_id: RunArgument,
    ledger: LedgerOption = None,
    limit: StepsOption = 200,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show where a run stands: a bar for each step, and the way through it that took longest."""
    if watch:
        from wsaios.cli.following import watched

        watched(ledger, run_id, limit=limit, as_json=as_json)
    from wsaios.cli.run_views import path_lines, run_fields, run_json, step_json, step_lines

    with asking(ledger, as_json=as_json) as client:
        view, steps = client.run_status(run_id), client.run_steps(run_id)
        if as_json:
            print_json({"run": run_json(view), "steps": [step_json(step) for step in steps]})
            return
        print_lines([*run_fields(view, steps), "", *step_lines(view, steps, limit)])
        print_lines(path_lines(steps) if view.ended else ())


@runs.command()
def cancel(
    run_id: RunArgument,
    reason: Annotated[str, typer.Option("--reason", help="What the history of its tasks will say.")] = "",
    ledger: LedgerOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """End a run, with all that runs for it."""
    with asking(ledger, as_json=as_json) as client:
        client.run_status(run_id)
        _say(run_id, client.cancel(run_id, reason=reason), as_json=as_json)


@runs.command()
def pause(run_id: RunArgument, ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """Begin nothing more of a run until it is resumed; what runs goes on."""
    with asking(ledger, as_json=as_json) as client:
        client.run_status(run_id)
        _say(run_id, client.pause(run_id), as_json=as_json)


@runs.command()
def resume(run_id: RunArgument, ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """Go on with a run that was paused."""
    with asking(ledger, as_json=as_json) as client:
        client.run_status(run_id)
        _say(run_id, client.resume(run_id), as_json=as_json)


@runs.command()
def retry(
    run_id: RunArgument,
    start: Annotated[
        str | None, typer.Option("--from", metavar="STEP", help="Also run this step again, and all behind it.")
    ] = None,
    ledger: LedgerOption = None,
    limit: StepsOption = 50,
    *,
    detach: Annotated[bool, typer.Option("--detach", help="Leave at once; a scheduler carries it on.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run again what failed of a run that has ended, with all that depends on it; what succeeded before stays."""
    from wsaios.cli.following import carried, handle

    async def begin(verbs: Any) -> "Run":
        await verbs.retry(run_id, from_step=start)
        return handle(verbs, run_id)

    carried(ledger, begin, limit=limit, as_json=as_json, detach=detach)


@runs.command()
def signal(
    run_id: RunArgument,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="The event that a step of it waits for.")],
    data: Annotated[str, typer.Option("--data", metavar="JSON", help="What the event carries.")] = "null",
    step: Annotated[str, typer.Option("--step", help="Only this step.")] = "",
    ledger: LedgerOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Tell a run that something happened which it waits for, such as an approval."""
    from wsaios.kernel.errors import InvalidInput

    with asking(ledger, as_json=as_json) as client:
        try:
            value = json.loads(data)
        except ValueError as error:
            raise InvalidInput("--data", f"this is not JSON: {error}") from error
        took = client.signal(event, value, run=run_id, step=step)
        if as_json:
            print_json({"id": run_id, "took": took})
        else:
            print_lines([f"{run_id}: {took} step{'' if took == 1 else 's'} went on"])


def _beginning(file: str, given: list[str], priority: int, tenant: str | None) -> Any:
    from wsaios.sdk.runs import name_in
    from wsaios.sdk.workflows import read_plan

    plan = None if name_in(file) else read_plan(file)
    values = dict(_input(plan, each) for each in given)

    async def begin(verbs: Any) -> "Run":
        made: Run = await verbs.run_workflow(plan or file, input=values, priority=priority, tenant=tenant)
        return made

    return begin


def _input(plan: "Plan | None", text: str) -> tuple[str, Any]:
    """One input: text where its declaration takes nothing else, otherwise JSON where it is some."""
    from wsaios.kernel.errors import InvalidInput

    name, mark, value = text.partition("=")
    if not mark:
        raise InvalidInput("--input", f"{text!r} is not of the form NAME=VALUE")
    if plan is not None and plan.definition.input.get(name, {}).get("type") == "string":
        return name, value
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _say(run_id: str, state: str | int, *, as_json: bool) -> None:
    if as_json:
        print_json({"id": run_id, "state": state})
    else:
        print_lines([f"{run_id} is {state}"])
