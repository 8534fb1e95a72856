"""``wsaios trigger`` and ``wsaios emit``: what starts by itself."""

from typing import TYPE_CHECKING, Annotated

import typer

from wsaios.cli.asking import asking
from wsaios.cli.errors import told
from wsaios.cli.options import JsonOption, LedgerOption
from wsaios.cli.output import print_json, print_lines
from wsaios.cli.request import command_of
from wsaios.cli.trigger_options import Addition

if TYPE_CHECKING:
    from wsaios.kernel.trigger import TriggerView

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The name of a trigger.")]

trigger = typer.Typer(
    name="trigger",
    help="What starts by itself: by the clock, at events, at changes of the state.",
    no_args_is_help=True,
)


def _add(given: Addition) -> None:
    """Declare a trigger; one of the same name is changed, and goes on from where it stood.

    Give one of --cron, --at, --on-event and --on-change.
    """
    from wsaios.cli.trigger_views import spec_of

    with asking(given.ledger, as_json=given.as_json) as client:
        _show(client.triggers.add(spec_of(given)), as_json=given.as_json)


trigger.command("add")(command_of(_add, Addition, "add"))


@trigger.command("list")
def list_triggers(ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """List all triggers."""
    from wsaios.cli.trigger_views import trigger_json, trigger_lines

    with asking(ledger, as_json=as_json) as client:
        found = client.triggers.list()
        if as_json:
            print_json([trigger_json(view) for view in found])
        else:
            print_lines(trigger_lines(found))


@trigger.command()
def show(name: NameArgument, ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """Show a trigger, and what has become of it."""
    with asking(ledger, as_json=as_json) as client:
        _show(client.triggers.get(name), as_json=as_json)


@trigger.command()
def pause(name: NameArgument, ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """Have it fire no more until it is resumed; what passes meanwhile is over."""
    with asking(ledger, as_json=as_json) as client:
        _show(client.triggers.pause(name), as_json=as_json)


@trigger.command()
def resume(name: NameArgument, ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """Let it fire again."""
    with asking(ledger, as_json=as_json) as client:
        _show(client.triggers.resume(name), as_json=as_json)


@trigger.command()
def fire(name: NameArgument, ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """Have it fire now, as well as at its times."""
    with asking(ledger, as_json=as_json) as client:
        _show(client.triggers.fire(name), as_json=as_json)


@trigger.command()
def remove(name: NameArgument, ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """Forget a trigger; what it has started goes on. A program that declares it brings it back when it starts."""
    with asking(ledger, as_json=as_json) as client:
        removed = client.triggers.remove(name)
        if as_json:
            print_json({"name": removed.name, "removed": True})
        else:
            print_lines([f"removed {removed.name}"])


@trigger.command("next")
def next_times(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The name of a trigger.")] = None,
    cron: Annotated[
        str | None, typer.Option("--cron", metavar="EXPRESSION", help="Those of an expression; needs no ledger.")
    ] = None,
    tz: Annotated[str, typer.Option("--tz", metavar="ZONE", help="The time zone of --cron.")] = "UTC",
    count: Annotated[int, typer.Option("--count", min=1, max=1000, help="How many.")] = 5,
    ledger: LedgerOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show the next times of a trigger, or of an expression that is to become one."""
    from wsaios.bootstrap import LANGUAGES
    from wsaios.cli.trigger_views import time_lines
    from wsaios.kernel.errors import InvalidInput
    from wsaios.kernel.trigger import OnCron
    from wsaios.planning.cron import zone_of
    from wsaios.sdk.triggering import next_of, next_times

    with told(as_json=as_json):
        if (name is None) == (cron is None):
            raise InvalidInput("trigger", "give the name of one, or --cron")
        if cron is not None:
            found = next_of(OnCron(cron, tz), count)
        else:
            with asking(ledger, as_json=as_json) as client:
                view = client.triggers.get(name or "")
            found = next_times(view, count)
            tz = view.spec.when.tz if isinstance(view.spec.when, OnCron) else "UTC"
        if as_json:
            print_json(found)
        else:
            print_lines(time_lines(found, zone_of(tz, LANGUAGES.zones)))


def emit(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the event.")],
    data: Annotated[str, typer.Option("--data", metavar="JSON", help="What it tells, as JSON.")] = "null",
    ledger: LedgerOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Tell an event to every trigger and every step that waits for it; the next scheduler does where none lives."""
    from wsaios.cli.trigger_views import json_of

    with asking(ledger, as_json=as_json) as client:
        number = client.emit(name, json_of("--data", data))
        if as_json:
            print_json({"id": number})
        else:
            print_lines([number])


def _show(view: "TriggerView", *, as_json: bool) -> None:
    from wsaios.cli.trigger_views import trigger_fields, trigger_json

    if as_json:
        print_json(trigger_json(view))
    else:
        print_lines(trigger_fields(view))
