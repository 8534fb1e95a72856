"""Write docs/reference from docstrings, or say where it no longer agrees with them.

The pages: the public names of ``wsaios`` with their signatures, the errors, and the commands of the command line.

Usage: ``python -m tools.reference [--check]``
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer

PAGES = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTE = "<!-- Written by `make docs` from docstrings; change those. -->\n"


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check print those that differ; 0 when all agree."""
    if arguments not in ([], ["--check"]):
        sys.exit(f"unknown arguments {' '.join(arguments)}; usage: python -m tools.reference [--check]")
    pages = {"api.md": api_page(), "errors.md": errors_page(), "cli.md": cli_page()}
    stale = [name for name, text in pages.items() if _read(PAGES / name) != text]
    if arguments:
        for name in stale:
            print(f"docs/reference/{name} no longer agrees with the docstrings; run `make docs`")
        return 1 if stale else 0
    PAGES.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (PAGES / name).write_text(pages[name], encoding="utf-8")
    print(f"docs/reference: {len(stale)} of {len(pages)} pages written")
    return 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def api_page() -> str:
    """Describe every public name, classes with their public methods."""
    package = importlib.import_module("wsaios")
    parts = ["# The public names of `wsaios`\n"]
    for name in sorted(package.__all__):
        value = getattr(package, name)
        if inspect.isclass(value) and issubclass(value, BaseException):
            continue
        parts += [f"## {name}\n", *_described(name, value)]
        if inspect.isclass(value):
            for method_name, method in _public_methods(value):
                parts += [f"### {name}.{method_name}\n", *_described(method_name, method)]
    return _page(parts)


def _described(name: str, value: object) -> Iterator[str]:
    if isinstance(value, property):
        value = value.fget
    elif callable(value):
        yield f"```python\n{_signature(name, value)}\n```\n"
    yield (inspect.getdoc(value) or "") + "\n"


def _signature(name: str, value: Callable[..., object]) -> str:
    prefix = "class " if inspect.isclass(value) else "async def " if _is_async(value) else "def "
    signature = inspect.signature(value)
    parameters = [one for one in signature.parameters.values() if one.name != "self"]
    text = str(signature.replace(parameters=parameters))
    return f"{prefix}{name}{text.removesuffix(' -> None') if inspect.isclass(value) else text}".replace("'", "")


def _is_async(value: object) -> bool:
    return inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value)


def _public_methods(kind: type) -> Iterator[tuple[str, Callable[..., object] | property]]:
    for name, value in inspect.getmembers(kind):
        ours = any(name in vars(base) for base in kind.__mro__ if base.__module__.startswith("wsaios"))
        if ours and not name.startswith("_") and (callable(value) or isinstance(value, property)):
            yield name, value


def errors_page() -> str:
    """Draw the tree of errors and say what each of them means."""
    errors = importlib.import_module("wsaios.kernel.errors")
    kinds = [value for value in vars(errors).values() if inspect.isclass(value) and value.__module__ == errors.__name__]
    parts = ["# Errors\n", f"```text\n{inspect.getdoc(errors)}\n```\n"]
    for kind in kinds:
        parts += [f"## {kind.__name__}\n", f"{inspect.getdoc(kind)}\n"]
        source = "".join(inspect.getsource(base) for base in kind.__mro__ if base.__module__ == errors.__name__)
        attributes = sorted(set(re.findall(r"self\.(\w+) =", source)))
        if attributes:
            parts.append("Attributes: " + ", ".join(f"`{name}`" for name in attributes) + "\n")
    return _page(parts)


def cli_page() -> str:
    """List every command with its arguments and options."""
    application = importlib.import_module("wsaios.cli").app
    parts = ["# The command line\n"]
    for path, command in _commands("wsaios", typer.main.get_command(application)):
        arguments = [one for one in command.params if one.param_type_name == "argument"]
        options = [one for one in command.params if one.param_type_name == "option" and one.name != "help"]
        usage = " ".join([path, *(one.name.upper() for one in arguments), *(["[OPTIONS]"] if options else [])])
        parts += [f"## {path}\n", f"```console\n$ {usage}\n```\n", f"{inspect.cleandoc(command.help or '')}\n"]
        if options:
            rows = [
                f"| `{' '.join([', '.join(one.opts), one.metavar or '']).strip()}` | {_option_text(one)} |"
                for one in options
            ]
            parts.append("\n".join(["| option | what it does |", "|---|---|", *rows]) + "\n")
    meanings = importlib.import_module("wsaios.cli.errors").MEANINGS
    rows = [f"| {status} | {meaning} |" for status, meaning in meanings]
    parts += ["## Exit statuses\n", "\n".join(["| status | what it says |", "|---|---|", *rows]) + "\n"]
    return _page(parts)


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name in sorted(inner):
        yield from _commands(f"{path} {name}", inner[name])


def _option_text(option: Any) -> str:
    default = option.default
    shown = "" if default in (None, False, "", ()) or callable(default) else f" (default {default})"
    return f"{(option.help or '').replace('|', chr(92) + '|')}{shown}"


def _page(parts: list[str]) -> str:
    return NOTE + "\n" + "\n".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
