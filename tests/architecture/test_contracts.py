"""The contracts of .importlinter hold, and each of them turns red when it is broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.modules import ROOT, SOURCE

LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint(folder: Path, contract: str | None = None) -> subprocess.CompletedProcess[str]:
    """Check the package under `folder`/src against the committed contracts, or only against one of them."""
    chosen = ["--contract", contract] if contract else []
    command = [sys.executable, "-c", LINT, "--config", str(ROOT / ".importlinter"), "--no-cache", "--no-logo", *chosen]
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "COLUMNS": "200"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=100
    )


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contracts")
    shutil.copytree(SOURCE, folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_every_contract_is_kept(package: Path) -> None:
    done = lint(package)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    "contract, module, code",
    [
        ("layers", "kernel/states.py", "from wsaios.components import goals"),
        ("layers", "ledger/__init__.py", "from wsaios import engines"),
        ("layers", "scheduler/__init__.py", "def late():\n    from wsaios import bootstrap\n    return bootstrap"),
        ("layers", "planning/__init__.py", "import typing\nif typing.TYPE_CHECKING:\n    from wsaios import scheduler"),
        ("layers", "helpers.py", "VALUE = 1"),
        ("components-apart", "components/goals/__init__.py", "from wsaios.components import state"),
        ("components-named", "scheduler/core.py", "from wsaios.components import goals"),
        ("components-named", "door/__init__.py", "from wsaios.components import goals"),
        ("pure", "kernel/states.py", "import time"),
        ("pure", "kernel/states.py", "from random import random"),
        ("pure", "components/goals/__init__.py", "import asyncio"),
        ("pure", "planning/__init__.py", "import os.path"),
        ("pure", "scheduler/core.py", "import threading"),
        ("pure", "scheduler/cycle.py", "import apsw"),
        ("pure", "scheduler/assemble.py", "from datetime import time\nimport uuid"),
        ("no-test-kit", "sdk/__init__.py", "from wsaios import simulation"),
        ("no-test-kit", "engines/__init__.py", "import wsaios.simulation"),
        ("one-door", "cli/__init__.py", "from wsaios.scheduler import core"),
        ("no-rings", "kernel/states.py", "from wsaios.kernel import task"),
    ],
)
def test_a_broken_contract_is_named(package: Path, contract: str, module: str, code: str) -> None:
    path = package / "src" / "wsaios" / module
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(f"{before or ''}\n\n{code}\n", encoding="utf-8")
    try:
        done = lint(package, contract)
    finally:
        path.unlink() if before is None else path.write_text(before, encoding="utf-8")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 broken" in done.stdout, done.stdout + done.stderr
