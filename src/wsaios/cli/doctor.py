"""``wsaios doctor``: what is there, what is wrong with it, and what to do."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from wsaios.cli.errors import OK, SOME_FAILED, told
from wsaios.cli.options import JsonOption, LedgerOption
from wsaios.cli.output import fields, plain, print_json, print_lines

if TYPE_CHECKING:
    from wsaios.sdk.health import Health


def doctor(ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """Say what is there, what is wrong with it, and what to do; exit status 1 if something is wrong."""
    with told(as_json=as_json):
        from wsaios.sdk.health import examine

        health = examine(ledger)
        if as_json:
            print_json(plain(health))
        else:
            print_lines(health_lines(health))
        raise typer.Exit(SOME_FAILED if health.wrong else OK)


def health_lines(health: "Health") -> Iterator[str]:
    """The report for people."""
    counts = [f"{count:,} {word}" for word, count in (*health.live.items(), *health.ended.items())]
    sync_ms = None if health.fdatasync_ms is None else f"{health.fdatasync_ms:.2f} ms"
    yield from fields(
        [
            *health.versions.items(),
            ("ledger", health.ledger),
            ("size", None if health.size_bytes is None else f"{health.size_bytes / (1 << 20):,.1f} MiB"),
            ("scheduler", health.owner or "none runs"),
            ("tasks", ", ".join(counts) or "none"),
            ("fdatasync", sync_ms),
        ]
    )
    yield ""
    if not health.wrong:
        yield "nothing is wrong"
    for each in health.wrong:
        yield f"wrong: {each.what}"
        yield f"   do: {each.remedy}"
