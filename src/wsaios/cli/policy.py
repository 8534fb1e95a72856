"""``wsaios policy``: what starts next, and by which measure."""

from typing import Annotated, Any

import typer

from wsaios.cli.asking import asking
from wsaios.cli.options import JsonOption, LedgerOption
from wsaios.cli.output import print_json, print_lines


def policy(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="POLICY",
            help="fcfs, priority, balanced, response, resource, deadline or mlfq; without it, what holds is shown.",
        ),
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A value of the policy, such as point_s=60; may be repeated."),
    ] = None,
    fair_share: Annotated[
        bool | None, typer.Option("--fair-share/--no-fair-share", help="Whether tenants take turns.")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weight", metavar="TENANT=NUMBER", help="How much a tenant gets beside others; may be repeated."
        ),
    ] = None,
    ledger: LedgerOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show by which policy work is ordered, or order it by another one from now on.

    What waits gets its new place step by step. The choice is kept in the ledger.
    """
    import msgspec

    from wsaios.cli.views import policy_lines
    from wsaios.planning.ordering import given, shares

    with asking(ledger, as_json=as_json) as client:
        wanted: Any = given(name, values or [])
        found = client.order_by(wanted, fair_share=shares(weights or [], fair_share=fair_share))
        if as_json:
            print_json(msgspec.to_builtins(found))
        else:
            print_lines(policy_lines(found))
