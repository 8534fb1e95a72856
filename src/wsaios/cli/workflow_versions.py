"""``wsaios workflow``: publish definitions by name, compare versions, and say which of them new runs get."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsaios.cli.asking import asking
from wsaios.cli.errors import told
from wsaios.cli.options import JsonOption, LedgerOption
from wsaios.cli.output import plain, print_json, print_lines, printable, table

if TYPE_CHECKING:
    from wsaios.kernel.run import Published
    from wsaios.sdk.client import Client

published = typer.Typer()
"""Commands that stand beside those of `wsaios.cli.workflow`."""

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The name of a workflow that was published.")]
OneArgument = Annotated[str, typer.Argument(metavar="A", help="A file, a name, or NAME@NUMBER.")]
OtherArgument = Annotated[str, typer.Argument(metavar="B", help="The same.")]


@published.command()
def publish(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A definition in a .yaml, .yml or .json file.")],
    note: Annotated[str, typer.Option("--note", help="What is new in it.")] = "",
    ledger: LedgerOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Have all new runs by the name of a workflow get this definition; runs that began stay with theirs."""
    with told(as_json=as_json):
        import getpass

        from wsaios.sdk.workflows import read_plan

        plan = read_plan(file)
        with asking(ledger, as_json=as_json) as client:
            number = client.publish(plan, note=note, who=getpass.getuser())
        if as_json:
            print_json({"name": plan.name, "number": number, "version": plan.version})
        else:
            print_lines([f"{plan.name} v{number} is {plan.version[:12]}, and all new runs get it"])


@published.command()
def watch(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Where .yaml, .yml and .json files are.")],
    ledger: LedgerOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Publish the definitions in a folder, and each again when it changes, until it is interrupted.

    A file that is broken, or gone, changes nothing: the last good version stays. What was published before is left as
    it stands, with its route.
    """
    from wsaios.cli.following import run_loop

    with told(as_json=as_json):
        run_loop(_watch(folder, ledger, as_json=as_json))


@published.command()
def versions(name: NameArgument, ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """List the versions of a workflow, the latest first: who published them, when, and how many new runs get each."""
    with asking(ledger, as_json=as_json) as client:
        _show(client.published(name), as_json=as_json)


@published.command()
def diff(one: OneArgument, other: OtherArgument, ledger: LedgerOption = None, *, as_json: JsonOption = False) -> None:
    """Show in what two definitions differ, each in its canonical form."""
    with asking(ledger, as_json=as_json) as client:
        from difflib import unified_diff

        first, second = (_text(client, each) for each in (one, other))
        lines = [printable(line) for line in unified_diff(first, second, one, other, lineterm="")]
        if as_json:
            print_json({"same": not lines, "diff": lines})
        else:
            print_lines(lines or ["they are the same"])


@published.command()
def rollback(
    name: NameArgument,
    number: Annotated[str, typer.Argument(metavar="VERSION", help="Its number, such as 3 or v3.")],
    ledger: LedgerOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Have all new runs get an earlier version again."""
    with asking(ledger, as_json=as_json) as client:
        _show(client.route(name, {_number(number): 100}), as_json=as_json)


@published.command()
def route(
    name: NameArgument,
    shares: Annotated[
        list[str], typer.Argument(metavar="VERSION=SHARE…", help="Of a hundred new runs, such as v1=90 v2=10.")
    ],
    ledger: LedgerOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Share new runs between versions."""
    with asking(ledger, as_json=as_json) as client:
        _show(client.route(name, dict(_share(each) for each in shares)), as_json=as_json)


def _show(found: "Published", *, as_json: bool) -> None:
    from wsaios.kernel.views import moment

    rows = [
        {**plain(each), "at": moment(each.at_us), "share": found.route.get(each.number, 0)}
        for each in reversed(found.versions)
    ]
    if as_json:
        print_json({"name": found.name, "versions": rows})
        return
    header = ("version", "", "gets", "published (UTC)", "by", "note")
    lines = [
        (f"v{row['number']}", row["version"][:12], f"{row['share']}%", row["at"], row["who"], row["note"])
        for row in rows
    ]
    print_lines(table(header, lines))


def _text(client: "Client", what: str) -> list[str]:
    """A definition as lines of JSON."""
    import msgspec

    from wsaios.kernel.errors import UnknownWorkflow
    from wsaios.sdk.workflows import read_plan

    if what.endswith((".yaml", ".yml", ".json")):
        content = read_plan(what).content
    else:
        name, mark, number = what.partition("@")
        found = client.published(name)
        wanted = _number(number) if mark else max(found.route, key=lambda each: found.route[each])
        version = found.numbered(wanted)
        if version is None:
            raise UnknownWorkflow(name, f"it has no version {wanted}")
        content = client.run_definition(version.version)
    value: Any = msgspec.json.decode(content)
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2).decode().splitlines()


async def _watch(folder: str, ledger: str | None, *, as_json: bool) -> None:
    from wsaios.sdk.client import AsyncClient
    from wsaios.sdk.folder import Folder

    async with AsyncClient(ledger) as client:
        async for found in Folder(folder, client).follow():
            for each in found:
                if as_json:
                    print_json(each._asdict())
                else:
                    print_lines(map(printable, str(each).splitlines()))


def _number(text: str) -> int:
    from wsaios.kernel.errors import InvalidInput

    digits = text.removeprefix("v")
    if not digits.isascii() or not digits.isdecimal():
        raise InvalidInput("version", f"{text!r} is no number of a version, such as 3 or v3")
    return int(digits)


def _share(text: str) -> tuple[int, int]:
    from wsaios.kernel.errors import InvalidInput

    version, mark, share = text.partition("=")
    if not mark or not share.isdecimal():
        raise InvalidInput("route", f"{text!r} is not of the form VERSION=SHARE, such as v1=90")
    return _number(version), int(share)
