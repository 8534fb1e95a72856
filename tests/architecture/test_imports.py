"""Importing does nothing but define; the package itself loads its public names on first use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.modules import SOURCE, module_names

PROBE = Path(__file__).with_name("import_probe.py")


def probe(source: Path, names: list[str], folder: Path) -> list[list[str]]:
    command = [sys.executable, str(PROBE), str(source), *names]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    findings: list[list[str]] = json.loads(done.stdout)
    return findings


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_any_module_connects_registers_and_reads_nothing(tmp_path: Path) -> None:
    names = module_names()
    assert "wsaios.kernel.errors" in names
    findings = probe(SOURCE, names, tmp_path)
    assert not findings, "\n".join(f"{module}: {what}" for module, what in findings)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "code, told",
    [
        ("open('left_behind', 'w').close()", "for writing"),
        ("from pathlib import Path\nPath('/etc/hostname').read_bytes()", "read '/etc/hostname'"),
        ("from pathlib import Path\nPath(__file__).with_name('queries.sql').read_text()", "queries.sql"),
        ("import socket\nsocket.socket()", "socket.__new__"),
        ("import subprocess\nsubprocess.run(['true'])", "subprocess.Popen"),
        ("import sqlite3\nsqlite3.connect(':memory:')", "sqlite3.connect"),
        ("import apsw\napsw.Connection(':memory:')", "connected to"),
        ("import os\nos.environ['MARK'] = '1'", "changed the environment: MARK=1"),
        ("import signal\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)", "the signal handler"),
        ("import logging\nlogging.basicConfig()", "changed the root logger"),
        ("import wsaios.second", "cannot be imported by itself"),
    ],
)
def test_the_probe_tells_what_a_module_does_on_import(tmp_path: Path, code: str, told: str) -> None:
    package = tmp_path / "src" / "wsaios"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "queries.sql").touch()
    (package / "first.py").write_text(f"{code}\nVALUE = 1\n", encoding="utf-8")
    (package / "second.py").write_text("from wsaios.first import VALUE\n", encoding="utf-8")
    findings = probe(tmp_path / "src", ["wsaios", "wsaios.first"], tmp_path)
    assert [module for module, _ in findings][:1] == ["wsaios.first"]
    assert any(told in what for _, what in findings), findings


def test_importing_the_package_loads_none_of_its_modules() -> None:
    loaded = python("import sys, wsaios; print(*[name for name in sys.modules if name.startswith('wsaios.')])")
    assert not loaded


def test_importing_the_package_loads_no_other_distribution() -> None:
    names = "('msgspec', 'apsw', 'structlog', 'typer', 'rich', 'httpx', 'numpy', 'tokenizers', 'safetensors', 'uvloop')"
    loaded = python(f"import sys, wsaios; print(*[name for name in {names} if name in sys.modules])")
    assert not loaded


def test_every_public_name_resolves_on_first_use() -> None:
    code = "import wsaios\nfor name in wsaios.__all__: print(name, getattr(wsaios, name) is not None)"
    lines = python(code).splitlines()
    names = [line.split()[0] for line in lines]
    assert {"Scheduler", "Client", "GoalQueue", "StateStore", "RelationStore", "RuleEngine"} <= set(names)
    assert {"ParamOptimizer", "TaskExecutor"} <= set(names)
    assert all(line.endswith(" True") for line in lines), lines
    assert len(names) == len(set(names))


def test_dir_shows_the_public_names_before_they_are_loaded() -> None:
    assert python("import wsaios; print(set(wsaios.__all__) <= set(dir(wsaios)))") == "True"


def test_a_star_import_brings_exactly_the_public_names() -> None:
    code = "import wsaios\nspace = {}\nexec('from wsaios import *', space)\nspace.pop('__builtins__')\n"
    assert python(code + "print(sorted(space) == sorted(wsaios.__all__))") == "True"


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    code = "import wsaios\ntry: wsaios.Sheduler\nexcept AttributeError as error: print(error)"
    message = python(code)
    assert "wsaios" in message
    assert "Sheduler" in message
