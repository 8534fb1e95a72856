"""Setting up says what is missing on a bare machine, and adds it where it may."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.modules import ROOT

VENV_PACKAGE = f"python3.{sys.version_info[1]}-venv"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a folder with the script and a PATH that holds nothing but what the script itself needs."""
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "setup.sh", tmp_path / "tools" / "setup.sh")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("cat", "dirname", "sh", "touch"):
        (programs / name).symlink_to(shutil.which(name) or name)
    return tmp_path


def program(machine: Path, name: str, body: str) -> None:
    path = machine / "programs" / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)


def set_up(machine: Path) -> subprocess.CompletedProcess[str]:
    programs = machine / "programs"
    environment = {**os.environ, "PATH": str(programs), "PYTHON": str(programs / "python")}
    command = [str(programs / "sh"), "tools/setup.sh", ".venv", "dev"]
    return subprocess.run(
        command, cwd=machine, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def python_without_ensurepip(machine: Path) -> None:
    """An interpreter that can make environments once its package is there; what it makes stays empty."""
    cases = 'case "$*" in *ensurepip*) [ -e added ]; exit;; *"-m venv"*) exit 0;; esac'
    program(machine, "python", f'{cases}\nexec "{sys.executable}" "$@"')


def test_without_a_new_enough_interpreter_it_says_what_to_install(machine: Path) -> None:
    program(machine, "python", "exit 1")
    done = set_up(machine)
    assert done.returncode == 1
    assert "no Python 3.11 or newer found" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr
    assert not (machine / ".venv").exists()


@pytest.mark.parametrize("apt_get", [True, False])
def test_without_ensurepip_and_without_rights_it_says_what_to_install(machine: Path, apt_get: bool) -> None:
    python_without_ensurepip(machine)
    program(machine, "id", "echo 1000" if apt_get else "echo 0")
    if apt_get:
        program(machine, "apt-get", "touch called")
    done = set_up(machine)
    assert done.returncode == 1
    assert "cannot make environments" in done.stderr
    assert f"sudo apt-get install {VENV_PACKAGE}" in done.stderr
    assert not (machine / "called").exists()
    assert not (machine / ".venv").exists()


def test_without_ensurepip_but_with_rights_it_adds_the_package_and_goes_on(machine: Path) -> None:
    python_without_ensurepip(machine)
    program(machine, "id", "echo 0")
    program(machine, "apt-get", 'echo "$@" >>calls\n[ "$1" = update ] || touch added')
    done = set_up(machine)
    assert (machine / "calls").read_text(encoding="utf-8").splitlines() == [
        "update -qq",
        f"install -y -qq {VENV_PACKAGE}",
    ]
    assert "making .venv with Python 3" in done.stderr


def test_when_the_package_cannot_be_added_it_says_so(machine: Path) -> None:
    python_without_ensurepip(machine)
    program(machine, "id", "echo 0")
    program(machine, "apt-get", "exit 100")
    done = set_up(machine)
    assert done.returncode == 1
    assert f"sudo apt-get install {VENV_PACKAGE}" in done.stderr
