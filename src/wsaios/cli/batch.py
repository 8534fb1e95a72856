"""``wsaios batch``: run a file of inputs, and look at batches."""

from typing import Annotated

import typer

from wsaios.cli.asking import asking
from wsaios.cli.options import BatchArgument, JsonOption, LedgerOption, MostOption
from wsaios.cli.output import print_json, print_lines
from wsaios.kernel.views import amount

batch = typer.Typer(name="batch", help="Run a file of inputs through a handler or a model.", no_args_is_help=True)


@batch.command()
def run(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A .csv, .json (array), .jsonl or .ndjson file.")],
    *,
    out: Annotated[str, typer.Option("--out", help="Where results go; failed rows go to NAME.errors.jsonl beside it.")],
    handler: Annotated[
        str | None, typer.Option("--handler", metavar="MODULE:FUNCTION", help="What to call with each row.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="A model by name, instead of a handler.")] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="ARGUMENT=COLUMN", help="Which column an argument gets; once for each argument."),
    ] = None,
    id_column: Annotated[
        str | None, typer.Option("--id", metavar="COLUMN", help="The column that names a row in the results.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", help="Only so many rows, counted from the first.")] = None,
    ledger: LedgerOption = None,
    lane: Annotated[
        str | None,
        typer.Option(
            "--lane",
            help="Where it runs; unless given, coroutines in default, functions in thread; process is there too.",
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", help="Give the handler lists of up to so many rows.")
    ] = None,
    max_attempts: Annotated[
        int | None, typer.Option("--max-attempts", help="How many times a row is tried (default 3).")
    ] = None,
    grace_s: Annotated[
        float,
        typer.Option(
            "--grace", metavar="SECONDS", min=0.0, help="How long running rows may take to end after a signal."
        ),
    ] = 10.0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a batch that was stopped; that is the default.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run anew, and replace what stands under --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no summary.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object, and nothing else.")] = False,
) -> None:
    """Run every row of a file through a handler or a model, once, and write the results in order.

    Stopped or killed, the same command goes on where it was.
    Exit status: 0, 1 (some rows failed), 2 (bad usage or input), 130 or 143 (stopped by SIGINT or SIGTERM).
    """
    from wsaios.cli.running import run_batch
    from wsaios.sdk.batch_plan import Request

    request = Request(
        source=source,
        out=out,
        handler=handler,
        model=model,
        mapping=tuple(mapping or ()),
        id_column=id_column,
        limit=limit,
        lane=lane,
        batch_size=batch_size,
        max_attempts=max_attempts,
        resume=resume,
        fresh=fresh,
    )
    run_batch(request, ledger=ledger, grace_s=grace_s, quiet=quiet, as_json=as_json)


@batch.command("list")
def list_batches(ledger: LedgerOption = None, limit: MostOption = 50, *, as_json: JsonOption = False) -> None:
    """List batches, the latest first."""
    from wsaios.cli.views import batch_json, batch_lines

    with asking(ledger, as_json=as_json) as client:
        views = client.batches(limit=limit)
        if as_json:
            print_json([batch_json(view) for view in views])
        else:
            print_lines(batch_lines(views))
            if len(views) == limit:
                print_lines(["… perhaps more: --limit shows up to 1000"])


@batch.command()
def status(batch_id: BatchArgument, ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """Show where a batch stands."""
    from wsaios.cli.views import batch_fields, batch_json

    with asking(ledger, as_json=as_json) as client:
        view = client.batch_status(batch_id)
        if as_json:
            print_json(batch_json(view))
        else:
            print_lines(batch_fields(view))


@batch.command()
def cancel(batch_id: BatchArgument, ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """End all rows of a batch that have not ended; results that are there stay."""
    with asking(ledger, as_json=as_json) as client:
        client.batch_status(batch_id)
        met = int(client.cancel(batch_id, reason="cancelled from the command line"))
        if as_json:
            print_json({"id": batch_id, "cancelled": met})
        else:
            print_lines([f"{batch_id}: {amount(met, 'row')} cancelled"])


@batch.command()
def replay(batch_id: BatchArgument, ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """Let the rows of a batch that failed or were lost run again, with fresh attempts.

    A live scheduler runs them at once; those of a `batch run` wait until the same command is given again.
    """
    with asking(ledger, as_json=as_json) as client:
        client.batch_status(batch_id)
        met = int(client.replay(batch_id))
        if as_json:
            print_json({"id": batch_id, "replayed": met})
        else:
            print_lines([f"{batch_id}: {amount(met, 'row')} {'waits' if met == 1 else 'wait'} to run again"])


@batch.command()
def errors(
    batch_id: BatchArgument, ledger: LedgerOption = None, limit: MostOption = 50, *, as_json: JsonOption = False
) -> None:
    """List rows of a batch that ended without a result, and why, as the file of errors does."""
    from wsaios.cli.views import error_json, error_lines, unsuccessful
    from wsaios.kernel.errors import InputError
    from wsaios.sdk.batch_ids import ids_of
    from wsaios.sdk.result_files import RowId

    with asking(ledger, as_json=as_json) as client:
        view = client.batch_status(batch_id)
        found = unsuccessful(client, view, limit)
        ids: dict[int, RowId] = {}
        try:
            ids = ids_of(view.meta, {each.row for each in found if each.row})
        except InputError as error:
            typer.echo(f"wsaios: no ids, they stand in the input: {error}", err=True)
        if as_json:
            print_json([error_json(each, ids.get(each.row or 0)) for each in found])
        else:
            print_lines(error_lines(view, found, ids))
