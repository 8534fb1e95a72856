"""All commands under one name, and the one place where a failure of the program itself is told."""

import sys
import traceback
from typing import Annotated, NoReturn

import typer

from wsaios.cli.batch import batch
from wsaios.cli.doctor import doctor
from wsaios.cli.errors import UNEXPECTED
from wsaios.cli.ledger import ledger_app
from wsaios.cli.limit import limit
from wsaios.cli.policy import policy
from wsaios.cli.simulate import simulate
from wsaios.cli.streams import prepare
from wsaios.cli.task import task
from wsaios.cli.trigger import emit, trigger
from wsaios.cli.workflow import workflow
from wsaios.cli.workflow_runs import runs
from wsaios.cli.workflow_versions import published

app = typer.Typer(
    name="wsaios",
    help="One scheduler for AI work: it decides what runs next, and never loses it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(batch)
app.add_typer(task)
workflow.add_typer(runs)
workflow.add_typer(published)
app.add_typer(workflow)
app.add_typer(trigger)
app.add_typer(ledger_app)
app.command()(emit)
app.add_typer(limit)
app.command()(policy)
app.command()(simulate)
app.command()(doctor)


def main() -> NoReturn:
    """Run the command of this process and leave with its exit status."""
    prepare()
    try:
        app(prog_name="wsaios")
    except Exception:  # noqa: BLE001  # whatever nobody expected is told in full
        traceback.print_exc()
        sys.exit(UNEXPECTED)
    sys.exit(0)


def _version(asked: bool) -> None:
    if asked:
        from wsaios import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _common(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """One scheduler for AI work: it decides what runs next, and never loses it."""
    del version  # its callback has answered
