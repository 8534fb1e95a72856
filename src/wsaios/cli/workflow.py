"""``wsaios workflow``: check a definition, print its schema, draw it or a run of it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsaios.cli.asking import asking
from wsaios.cli.errors import BAD_USAGE, told
from wsaios.cli.options import JsonOption, LedgerOption
from wsaios.cli.output import fields, print_json, print_lines, printable
from wsaios.cli.streams import complain

if TYPE_CHECKING:
    from wsaios.planning.workflow.plan import Plan

workflow = typer.Typer(name="workflow", help="Check, draw and run workflows; look at runs.", no_args_is_help=True)

FileArgument = Annotated[str, typer.Argument(metavar="FILE", help="A definition in a .yaml, .yml or .json file.")]


@workflow.command()
def check(
    file: FileArgument,
    handler: Annotated[
        list[str] | None,
        typer.Option(
            "--handler", metavar="NAME", help="A handler that there is; once for each, then others are flaws."
        ),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Say all that is wrong with a definition, each with its line and column, or what is in it; runs nothing.

    Exit status: 0, or 2 when something is wrong.
    """
    from wsaios.kernel.errors import InvalidDefinition
    from wsaios.sdk.workflows import read_plan

    with told(as_json=as_json):
        try:
            plan = read_plan(file, handlers=handler)
        except InvalidDefinition as error:
            if as_json:
                print_json({"valid": False, "flaws": [flaw._asdict() for flaw in error.flaws]})
            else:
                complain("\n".join(map(printable, str(error).splitlines())))
            raise typer.Exit(BAD_USAGE) from error
        if as_json:
            print_json({"valid": True, **_summary(plan)})
        else:
            print_lines(fields((name.replace("_", " "), value) for name, value in _summary(plan).items()))


@workflow.command()
def schema() -> None:
    """Print the JSON Schema of a definition, for editors."""
    import msgspec

    from wsaios.cli.streams import write
    from wsaios.planning.workflow.schema import SCHEMA

    write((msgspec.json.format(msgspec.json.encode(SCHEMA), indent=2).decode(), "\n"))


@workflow.command()
def graph(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A definition in a .yaml, .yml or .json file, or the id of a run.")
    ],
    ledger: LedgerOption = None,
    limit: Annotated[
        int,
        typer.Option("--limit", min=1, max=2000, help="How many steps at most; the drawing says what it leaves out."),
    ] = 200,
    *,
    as_json: JsonOption = False,
) -> None:
    """Draw a definition, or that of a run, as a flowchart in Mermaid, which GitHub and many editors show."""
    with told(as_json=as_json):
        from wsaios.planning.workflow.mermaid import mermaid
        from wsaios.planning.workflow.plan import plan_of
        from wsaios.sdk.workflows import read_plan

        if file.startswith("run_"):
            with asking(ledger, as_json=as_json) as client:
                plan = plan_of(client.run_definition(client.run_status(file).version))
        else:
            plan = read_plan(file)
        lines = list(mermaid(plan, limit))
        left = max(0, len(plan.order) - limit)
        if as_json:
            print_json({"name": plan.name, "version": plan.version, "left_out": left, "mermaid": "\n".join(lines)})
            return
        print_lines(lines)
        if left:
            complain(f"wsaios: {left:,} of {len(plan.order):,} steps are left out; --limit shows up to 2000")


def _summary(plan: "Plan") -> dict[str, Any]:
    """What is in a plan, in numbers."""
    steps = plan.steps
    return {
        "workflow": plan.name,
        "version": plan.version,
        "steps": len(steps),
        "dependencies": sum(map(len, plan.parents)),
        "longest_way": max(plan.depth) + 1,
        "fan_outs": sum(bool(step.foreach) for step in steps),
        "conditions": sum(bool(step.when) for step in steps),
        "events": sum(step.wait_for is not None for step in steps),
        "inputs": ", ".join(plan.definition.input),
    }
