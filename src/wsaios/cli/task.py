"""``wsaios task``: look at tasks, and act on one."""

from typing import Annotated

import typer

from wsaios.cli.asking import asking
from wsaios.cli.options import JsonOption, LedgerOption, MostOption, TaskArgument
from wsaios.cli.output import plain, print_json, print_lines, printable

task = typer.Typer(name="task", help="Look at tasks, and act on one.", no_args_is_help=True)


@task.command("list")
def list_tasks(
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only those in this state, such as failed; may be given again.")
    ] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="ID", help="Only those that were accepted after this one.")
    ] = None,
    ledger: LedgerOption = None,
    limit: MostOption = 50,
    *,
    as_json: JsonOption = False,
) -> None:
    """List tasks in the order of their acceptance."""
    from wsaios.cli.views import task_lines

    with asking(ledger, as_json=as_json) as client:
        found = client.tasks(tuple(state or ()), after=after, limit=limit)
        if as_json:
            print_json([plain(each) for each in found])
            return
        print_lines(task_lines(found))
        if len(found) == limit:
            print_lines([f"… perhaps more: --after {found[-1].id}"])


@task.command()
def show(task_id: TaskArgument, ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """Show where a task stands, its result or why it has none."""
    from wsaios.cli.views import task_fields

    with asking(ledger, as_json=as_json) as client:
        status = client.status(task_id)
        succeeded = status.state == "succeeded"
        result = client.result(task_id) if succeeded else None
        if as_json:
            print_json(plain(status) | ({"result": result} if succeeded else {}))
            return
        print_lines(task_fields(status))
        if succeeded:
            print_json(result)


@task.command()
def history(task_id: TaskArgument, ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """Show every change of a task, oldest first."""
    from wsaios.cli.views import transition_lines

    with asking(ledger, as_json=as_json) as client:
        found = client.history(task_id)
        if as_json:
            print_json([plain(each) for each in found])
        else:
            print_lines(transition_lines(found))


@task.command()
def why(task_id: TaskArgument, ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """Say what a task waits for, since when, and how many stand before it."""
    with asking(ledger, as_json=as_json) as client:
        found = client.why(task_id)
        if as_json:
            print_json(plain(found))
        else:
            print_lines(map(printable, str(found).splitlines()))


@task.command()
def cancel(
    task_id: TaskArgument,
    reason: Annotated[str, typer.Option("--reason", help="What its history will say.")] = "",
    ledger: LedgerOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """End a task; what runs is told to stop and can no longer commit."""
    with asking(ledger, as_json=as_json) as client:
        client.status(task_id)
        _say(task_id, client.cancel(task_id, reason=reason), as_json=as_json)


@task.command()
def replay(task_id: TaskArgument, ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """Run a task again that failed or was lost."""
    with asking(ledger, as_json=as_json) as client:
        client.status(task_id)
        _say(task_id, client.replay(task_id), as_json=as_json)


def _say(task_id: str, state: str | int, *, as_json: bool) -> None:
    if as_json:
        print_json({"id": task_id, "state": state})
    else:
        print_lines([f"{task_id} is {state}"])
