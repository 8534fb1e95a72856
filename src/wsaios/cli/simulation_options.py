"""The options of ``wsaios simulate``."""

from typing import Annotated

import msgspec
import typer


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The options of the command: a field each."""

    trace: Annotated[
        str | None,
        typer.Argument(
            metavar="TRACE",
            help="CSV with arrival and service, the Azure trace of requests to a model, or a workflow in WfFormat 1.5.",
        ),
    ] = None
    from_ledger: Annotated[
        str | None, typer.Option("--from-ledger", metavar="LEDGER", help="Replay what ended in a ledger instead.")
    ] = None
    policy: Annotated[
        str, typer.Option("--policy", metavar="P[,P…]", help="Policies to compare, by name; see `wsaios policy`.")
    ] = "fcfs,priority"
    slots: Annotated[int, typer.Option("--slots", min=1, max=1_000_000, help="How many calls run at a time.")] = 8
    speed: Annotated[float, typer.Option("--speed", min=0.001, max=1e6, help="Multiplies the rate of arrival.")] = 1.0
    slo_ms: Annotated[
        float | None, typer.Option("--slo-ms", min=0.0, help="Count completions within so many milliseconds.")
    ] = None
    fair_share: Annotated[bool, typer.Option("--fair-share", help="Tenants take turns.")] = False
    preempt: Annotated[
        bool, typer.Option("--preempt", help="Calls give their slots to work of a higher class that waits.")
    ] = False
    priority: Annotated[
        list[str] | None,
        typer.Option("--priority", metavar="CLASS=NUMBER", help="The priority of a class; may be repeated."),
    ] = None
    deadline: Annotated[
        list[str] | None,
        typer.Option("--deadline", metavar="CLASS=SECONDS", help="When a class is due after arrival; may be repeated."),
    ] = None
    by: Annotated[
        str,
        typer.Option(
            "--class-by",
            metavar="MEASURE",
            help="What parts requests to a model into short and long: context, or service, unknown beforehand.",
        ),
    ] = "context"
    model: Annotated[
        str,
        typer.Option(
            "--model-ms", metavar="A,B,C", help="Service time of a request: A + B × context + C × generated, in ms."
        ),
    ] = "10,0.15,30"
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes.")] = 0
    out: Annotated[str | None, typer.Option("--out", metavar="FILE", help="Write a report in HTML, with drawings.")] = (
        None
    )
    as_json: Annotated[bool, typer.Option("--json", help="JSON on one line, for programs.")] = False
