"""``wsaios limit``: how many run at a time, and how much starts in a time."""

from typing import Annotated

import typer

from wsaios.cli.asking import asking
from wsaios.cli.options import JsonOption, LedgerOption
from wsaios.cli.output import plain, print_json, print_lines
from wsaios.kernel.limit import LimitView

limit = typer.Typer(name="limit", help="Bound what runs at a time, and what starts in a time.", no_args_is_help=True)
OnArgument = Annotated[
    str,
    typer.Argument(
        metavar="ON", help="lane:NAME, handler:NAME, tenant:NAME or key:NAME; with * for NAME, for each by itself."
    ),
]


@limit.command("list")
def list_limits(ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """List all limits, with what is taken of each now."""
    from wsaios.cli.views import limit_lines

    with asking(ledger, as_json=as_json) as client:
        found = client.limit()
        if as_json:
            print_json([plain(each) for each in found])
        else:
            print_lines(limit_lines(found))


@limit.command()
def show(on: OnArgument, ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """Show one limit, and what is taken of it now."""
    from wsaios.cli.views import limit_fields
    from wsaios.kernel.errors import InvalidInput

    with asking(ledger, as_json=as_json) as client:
        views = client.limit()
        found = [each for each in views if each.limit.on == on]
        if not found:
            there = ", ".join(each.limit.on for each in views) or "none"
            raise InvalidInput("on", f"there is no limit for {on!r}; there are {there}")
        if as_json:
            print_json(plain(found[0]))
        else:
            print_lines(limit_fields(found[0]))


@limit.command("set")
def set_limit(
    on: OnArgument,
    running: Annotated[
        list[str] | None,
        typer.Option(
            "--running",
            metavar="[UNIT=]NUMBER",
            help="How many tasks run at a time, or how much of a resource there is.",
        ),
    ] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option(
            "--rate", metavar="[UNIT=]AMOUNT/TIME", help="How much starts in a time: 60/m, tokens=100000/30s, usd=5/d."
        ),
    ] = None,
    learn: Annotated[
        list[str] | None,
        typer.Option(
            "--learn", metavar="NAME=NUMBER", help="Find out how many may run: start=10, least=1, most=1000, cut=0.5."
        ),
    ] = None,
    ledger: LedgerOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Have this limit from now on, in place of the one for the same. It is kept in the ledger."""
    from wsaios.kernel.errors import InvalidInput
    from wsaios.planning.limits import given

    with asking(ledger, as_json=as_json) as client:
        wanted = given(on, running or [], rate or [], learn)
        if not wanted.bounds:
            raise InvalidInput("limit", "say --running, --rate or --learn; `wsaios limit remove` takes one away")
        _tell(client.limit(wanted), on, as_json=as_json)


@limit.command()
def remove(on: OnArgument, ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """Take a limit away; what a lane or handler says of itself in code holds again."""
    from wsaios.planning.limits import given

    with asking(ledger, as_json=as_json) as client:
        _tell(client.limit(given(on, [], [], None)), on, as_json=as_json)


def _tell(views: list[LimitView], on: str, *, as_json: bool) -> None:
    from wsaios.cli.views import limit_fields

    found = [each for each in views if each.limit.on == on]
    if as_json:
        print_json(plain(found[0]) if found else None)
    else:
        print_lines(limit_fields(found[0]) if found else [f"no limit for {on}"])
