"""Say which files, functions and classes have grown too large.

Limits: 600 lines a file; 95 % of functions under 45 lines; 7 parameters a function; 12 public methods a class (only in
``src``, the faces in ``wsaios.sdk`` aside). What may be larger stands in pyproject.toml under ``tool.size-gate`` with
its reason; an entry that is no longer needed fails too, so that the list stays true.

Usage: ``python -m tools.size_gate [ROOT]``
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("src", "tests", "tools", "demo", "benchmarks")
MAX_FILE_LINES = 600
FUNCTION_LINES = 45
MIN_SHARE_SHORT = 0.95
MAX_PARAMETERS = 7
MAX_PUBLIC_METHODS = 12

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Finding:
    """One thing that is larger than its limit; `at` is a file, or file::qualified name."""

    at: str
    rule: str
    size: int
    limit: int

    def __str__(self) -> str:
        return f"{self.at}: {self.size} {self.rule}, {self.limit} at most"


@dataclass(frozen=True)
class Length:
    """How many lines one function has, its decorators aside."""

    at: str
    lines: int


def main(root: Path) -> int:
    """Print what is too large; 0 when nothing is."""
    findings, lengths = measure(root)
    allowed = _exceptions(root)
    known = {(finding.at, finding.rule): str(finding) for finding in findings}
    problems = [text for key, text in known.items() if key not in allowed]
    problems += [
        f"{at}: stands in the list of exceptions for its {rule} and no longer needs to"
        for at, rule in allowed
        if (at, rule) not in known
    ]
    for part in ("src", "the rest"):
        problems += _long_functions(part, [one for one in lengths if (part == "src") == one.at.startswith("src/")])
    for problem in problems:
        print(problem)
    print(f"size: {len(lengths)} functions, {len(problems)} problems, {len(allowed)} exceptions")
    return 1 if problems else 0


def measure(root: Path) -> tuple[list[Finding], list[Length]]:
    """Return what breaks a hard limit under `root`, and how long every function is."""
    findings: list[Finding] = []
    lengths: list[Length] = []
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            at = path.relative_to(root).as_posix()
            n_lines = len(text.splitlines())
            if n_lines > MAX_FILE_LINES:
                findings.append(Finding(at, "lines", n_lines, MAX_FILE_LINES))
            for name, node in _definitions(ast.parse(text, str(path))):
                place = f"{at}::{name}"
                if isinstance(node, ast.ClassDef):
                    findings += _class_findings(place, node)
                else:
                    findings += _function_findings(place, node)
                    lengths.append(Length(place, (node.end_lineno or node.lineno) - node.lineno + 1))
    return findings, lengths


def _definitions(node: ast.AST, outer: str = "") -> Iterator[tuple[str, Function | ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{outer}{child.name}"
            yield name, child
            yield from _definitions(child, f"{name}.")
        else:
            yield from _definitions(child, outer)


def _function_findings(place: str, node: Function) -> list[Finding]:
    arguments = node.args
    names = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    names += [one.arg for one in (arguments.vararg, arguments.kwarg) if one]
    count = len(names) - (names[:1] in (["self"], ["cls"]))
    return [Finding(place, "parameters", count, MAX_PARAMETERS)] if count > MAX_PARAMETERS else []


def _class_findings(place: str, node: ast.ClassDef) -> list[Finding]:
    if not place.startswith("src/") or place.startswith("src/wsaios/sdk"):
        return []
    functions = [child for child in node.body if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)]
    methods = {one.name for one in functions if not one.name.startswith("_") and not _is_property(one)}
    too_many = len(methods) > MAX_PUBLIC_METHODS
    return [Finding(place, "public methods", len(methods), MAX_PUBLIC_METHODS)] if too_many else []


def _is_property(node: Function) -> bool:
    names = [ast.unparse(decorator) for decorator in node.decorator_list]
    return any(name.endswith(("property", ".setter", ".deleter")) for name in names)


def _long_functions(part: str, lengths: list[Length]) -> list[str]:
    longest = sorted((one for one in lengths if one.lines >= FUNCTION_LINES), key=lambda one: -one.lines)
    share_short = 1 - len(longest) / len(lengths) if lengths else 1.0
    if share_short >= MIN_SHARE_SHORT:
        return []
    head = f"{part}: {share_short:.1%} of functions under {FUNCTION_LINES} lines, {MIN_SHARE_SHORT:.0%} at least"
    return [head, *(f"  {one.at}: {one.lines} lines" for one in longest)]


def _exceptions(root: Path) -> set[tuple[str, str]]:
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    entries = settings.get("tool", {}).get("size-gate", {}).get("exceptions", [])
    for entry in entries:
        if not entry.get("why"):
            sys.exit(f"pyproject.toml, tool.size-gate: {entry.get('at')} has no reason; add why")
    return {(entry["at"], entry["rule"]) for entry in entries}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
