"""``wsaios batch``: run a file of inputs, and look at batches."""

from typing import Annotated

import typer

batch = typer.Typer(name="batch", help="Run a file of inputs through a handler or a model.", no_args_is_help=True)


@batch.command()
def run(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A .csv, .json (array), .jsonl or .ndjson file.")],
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
    limit: Annotated[int | None, typer.Option("--limit", help="Only so many rows, from the first.")] = None,
    ledger: Annotated[
        str | None, typer.Option("--ledger", help="Default: WSAIOS_LEDGER, else sqlite:///wsaios.db in this folder.")
    ] = None,
    lane: Annotated[str | None, typer.Option("--lane", help="Default: default for coroutines, thread for functions.")] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", help="Call the handler with a list of so many rows at most.")
    ] = None,
    max_attempts: Annotated[int | None, typer.Option("--max-attempts", help="How often a row is tried (default 3).")] = None,
    grace_s: Annotated[
        float, typer.Option("--grace", metavar="SECONDS", min=0.0, help="How long running rows may take to end after a signal.")
    ] = 10.0,
    *,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a batch that was stopped; that is the default.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run anew, and replace what stands under --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no summary.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object, and nothing else.")] = False,
) -> None:
    """Run every row of a file through a handler or a model, once, and write the results in order.

    Stopped or killed, the same command goes on where it was. Exit status: 0, 1 (some rows failed), 2 (bad usage or input).
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
