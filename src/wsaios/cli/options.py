"""Options that many commands have."""

from typing import Annotated

import typer

LedgerOption = Annotated[
    str | None, typer.Option("--ledger", help="Default: WSAIOS_LEDGER, else sqlite:///wsaios.db in this folder.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on one line, for programs.")]
MostOption = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")]
TaskArgument = Annotated[str, typer.Argument(metavar="ID", help="The id of a task, such as task_0s9vgx7540800.")]
BatchArgument = Annotated[str, typer.Argument(metavar="ID", help="The id of a batch, such as batch_0s9vgx7540800.")]
