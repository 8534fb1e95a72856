"""The options of ``wsaios trigger add``."""

from typing import Annotated

import msgspec
import typer

from wsaios.cli.options import JsonOption, LedgerOption


class Addition(msgspec.Struct, frozen=True, kw_only=True):
    """The options of the command: a field each."""

    handler: Annotated[str | None, typer.Argument(metavar="HANDLER", help="What is started; or give --workflow.")] = (
        None
    )
    cron: Annotated[
        str | None, typer.Option("--cron", metavar="EXPRESSION", help="At these times, such as '0 3 * * *'.")
    ] = None
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="Once, at a time with its zone, such as 2026-12-24T18:00+01:00."),
    ] = None
    on_event: Annotated[str | None, typer.Option("--on-event", metavar="NAME", help="At each event of that name.")] = (
        None
    )
    on_change: Annotated[
        str | None,
        typer.Option("--on-change", metavar="KEY", help="When a value of the state changes; prefix* for all below it."),
    ] = None
    where: Annotated[
        str, typer.Option("--where", metavar="CEL", help="Only events or changes for which this is true.")
    ] = ""
    tz: Annotated[str, typer.Option("--tz", metavar="ZONE", help="The time zone of --cron.")] = "UTC"
    args: Annotated[
        str | None, typer.Option("--args", metavar="JSON", help="The arguments, an object; ${ … } holds CEL.")
    ] = None
    rows: Annotated[
        str | None,
        typer.Option("--rows", metavar="JSON", help="A batch: a list of objects, or an expression that gives one."),
    ] = None
    workflow: Annotated[
        str | None, typer.Option("--workflow", metavar="NAME", help="A run of this published workflow.")
    ] = None
    input: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="NAME=VALUE", help="An input of the workflow; repeatable; ${ … } holds CEL."),
    ] = None
    name: Annotated[str | None, typer.Option("--name", help="Default: that of the handler or workflow.")] = None
    overlap: Annotated[
        str | None,
        typer.Option(
            "--overlap",
            metavar="POLICY",
            help="While what it started last has not ended: skip (default for --cron), queue, cancel_running, allow.",
        ),
    ] = None
    catch_up: Annotated[
        str | None,
        typer.Option("--catch-up", metavar="WHICH", help="Of times that nobody ran at: none, one (default), all."),
    ] = None
    catch_up_limit: Annotated[int | None, typer.Option("--catch-up-limit", help="So many of `all` at most.")] = None
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="OPTION=VALUE", help="An option of what is started, such as priority=5; repeatable."
        ),
    ] = None
    ledger: LedgerOption = None
    as_json: JsonOption = False
