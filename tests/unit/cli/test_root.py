"""The command as a whole: quick to import, and every command explains itself."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from wsaios import __version__
from wsaios.cli import app

COMMANDS = [
    (),
    ("batch",),
    ("task",),
    ("ledger",),
    ("doctor",),
    ("workflow",),
    *(("batch", verb) for verb in ("run", "list", "status", "cancel", "errors")),
    *(("task", verb) for verb in ("list", "show", "history", "why", "cancel", "replay")),
    *(
        ("workflow", verb)
        for verb in (
            "check",
            "schema",
            "graph",
            "run",
            "list",
            "show",
            "cancel",
            "signal",
            "publish",
            "versions",
            "diff",
        )
    ),
    *(("ledger", verb) for verb in ("check", "backup", "copy", "prune")),
]
HEAVY = ("apsw", "asyncio", "httpx", "numpy", "rich.progress", "wsaios.bootstrap", "wsaios.sdk.scheduler")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*command, "--help"])
    assert (done.exit_code, "Usage" in done.output) == (0, True)


def test_the_version_is_that_of_the_package() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"{__version__}\n")


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    code = f"import sys, wsaios.cli; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_an_unknown_command_is_bad_usage() -> None:
    assert CliRunner().invoke(app, ["nothing"]).exit_code == 2
