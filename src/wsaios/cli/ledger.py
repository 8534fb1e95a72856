"""``wsaios ledger``: look into the ledger itself."""

from typing import Annotated, Final

import typer

from wsaios.cli.errors import OK, SOME_FAILED, told
from wsaios.cli.options import JsonOption, LedgerOption
from wsaios.cli.output import print_json, print_lines

ledger_app = typer.Typer(name="ledger", help="Look into the ledger itself.", no_args_is_help=True)

RETENTION_DAYS: Final = 7.0


@ledger_app.command()
def check(ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """Read all of the ledger and say where it contradicts itself; exit status 1 if it does."""
    with told(as_json=as_json):
        from wsaios.sdk.health import contradictions

        found = contradictions(ledger)
        if as_json:
            print_json({"sound": not found, "contradictions": found})
        else:
            print_lines(found or ["the ledger is sound"])
        raise typer.Exit(SOME_FAILED if found else OK)


@ledger_app.command()
def backup(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where the copy goes; a file that is not there yet.")],
    ledger: LedgerOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Copy the ledger to a file, also while a scheduler runs; the copy is a ledger as of the moment this began."""
    with told(as_json=as_json):
        from wsaios.cli.progress import progress_for
        from wsaios.sdk.upkeep import backup as copied

        progress, begun = progress_for(quiet=as_json), False

        def advance(done: int, total: int) -> None:
            nonlocal begun
            if not begun:
                progress.phase("copy", total)
                begun = True
            progress.advance(done)

        try:
            size = copied(ledger, file, advance)
        finally:
            progress.close()
        if as_json:
            print_json({"file": file, "bytes": size})
        else:
            print_lines([f"{file}: {size:,} bytes; `wsaios ledger check --ledger {file}` looks whether it is sound"])
        raise typer.Exit(OK)


@ledger_app.command()
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The ledger that is copied: a path or a URL.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="Where to: not there yet, empty, or half a copy of it.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Move a project to another ledger, on either database, while no scheduler runs on either.

    After a crash or Ctrl-C the same command goes on where it was; at the end both sides are compared.
    """
    with told(as_json=as_json):
        from wsaios.cli.progress import progress_for
        from wsaios.kernel.views import amount
        from wsaios.sdk.copying import copy as copied

        progress = progress_for(quiet=as_json)
        try:
            done = copied(source, target, progress)
        finally:
            progress.close()
        if as_json:
            print_json({"rows": done.rows, "earlier": done.earlier, "tables": done.tables})
        else:
            earlier = f", {done.earlier:,} of them by an earlier run" if done.earlier else ""
            tables = ", ".join(f"{rows:,} in {name}" for name, rows in done.tables.items() if rows)
            print_lines(
                [
                    f"{amount(done.rows, 'row')} copied{earlier}{': ' if tables else ''}{tables}",
                    "every table is the same on both sides, and the copy is sound",
                    "start schedulers on the copy from now on, and none on the original: what waits would run in both",
                ]
            )
        raise typer.Exit(OK)


@ledger_app.command()
def prune(
    older_than_days: Annotated[
        float, typer.Option("--older-than-days", metavar="DAYS", help="How long ago it must have ended.")
    ] = RETENTION_DAYS,
    ledger: LedgerOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Remove what ended long ago, but no row of a kept batch; only while no scheduler runs, which does it by itself."""
    with told(as_json=as_json):
        from wsaios.kernel.views import amount
        from wsaios.sdk.upkeep import prune as pruned

        rows = pruned(ledger, older_than_days)
        if as_json:
            print_json({"rows": rows})
        else:
            print_lines([f"{amount(rows, 'row')} removed"])
        raise typer.Exit(OK)
