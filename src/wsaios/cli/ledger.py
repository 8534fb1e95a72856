"""``wsaios ledger``: look into the ledger itself."""

import typer

from wsaios.cli.errors import OK, SOME_FAILED, told
from wsaios.cli.options import JsonOption, LedgerOption
from wsaios.cli.output import print_json, print_lines

ledger_app = typer.Typer(name="ledger", help="Look into the ledger itself.", no_args_is_help=True)


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
