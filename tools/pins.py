"""Compare constraints/versions.txt with what the environment holds.

Everything that pyproject.toml reaches must be pinned, at the version that is installed, and nothing else; ``--write``
rewrites the file from the environment (to raise a version: ``.venv/bin/python -m pip install -U NAME``, then this).

Usage: ``python -m tools.pins [--write]``
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ROOT / "constraints" / "versions.txt"
PROJECT = "wsaios"
UNWANTED = ("torch", "nvidia-", "triton")
HEADER = """\
# Every version that is installed, exact. Rewritten by `python -m tools.pins --write`, compared by `make pins`.
"""


def main(arguments: list[str]) -> int:
    """Print where pins and environment differ, or write the pins; 0 when they agree."""
    installed, reachable = resolve(ROOT / "pyproject.toml")
    if arguments == ["--write"]:
        lines = [f"{name}=={version}\n" for name, version in sorted(installed.items())]
        VERSIONS.write_text(HEADER + "".join(lines), encoding="utf-8")
    elif arguments:
        sys.exit(f"unknown arguments {' '.join(arguments)}; usage: python -m tools.pins [--write]")
    pinned, problems = read_pins(VERSIONS.read_text(encoding="utf-8"))
    problems += compare(pinned, installed, reachable)
    for problem in problems:
        print(problem)
    print(f"pins: {len(pinned)} versions, {len(problems)} problems")
    return 1 if problems else 0


def resolve(pyproject: Path) -> tuple[dict[str, str], set[str]]:
    """Return versions of what the project needs on this machine, and the names that it may need on any."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    extras: dict[str, list[str]] = project["project"]["optional-dependencies"]
    listed = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    waiting = [Requirement(text) for text in (*listed, *(text for group in extras.values() for text in group))]
    installed: dict[str, str] = {}
    reachable: set[str] = set()
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name == PROJECT:
            continue
        reachable.add(name)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        for extra in ("", *requirement.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                distribution = metadata.distribution(name)
                installed[name] = distribution.version
                waiting += _needs(distribution, extra)
    return installed, reachable


def _needs(distribution: metadata.Distribution, extra: str) -> list[Requirement]:
    """Return the requirements under `extra`, those of other machines with a marker that does not hold here."""
    needs = []
    for text in distribution.requires or []:
        requirement = Requirement(text)
        guard = str(requirement.marker or "")
        if requirement.marker and "extra" in guard:
            if not extra or not requirement.marker.evaluate({"extra": extra}):
                continue
            requirement.marker = None
        elif extra:
            continue
        needs.append(requirement)
    return needs


def read_pins(text: str) -> tuple[dict[str, str], list[str]]:
    """Return name → version, and what in the file is no exact pin or not wanted."""
    pins: dict[str, str] = {}
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"([a-z0-9-]+)==([A-Za-z0-9.+!]+)", line)
        if match is None:
            problems.append(f"{VERSIONS.name}, line {number}: {line!r} is no exact pin of the form name==version")
        elif match[1].startswith(UNWANTED):
            problems.append(f"{VERSIONS.name}, line {number}: {match[1]} must not be needed")
        else:
            pins[match[1]] = match[2]
    return pins, problems


def compare(pinned: dict[str, str], installed: dict[str, str], reachable: set[str]) -> list[str]:
    """Return one line for each pin that is missing, different or needed by nobody."""
    remedy = "run `python -m tools.pins --write`"
    problems = [
        f"{name}: {version} is installed, {pinned.get(name, 'no version')} is pinned; {remedy}"
        for name, version in sorted(installed.items())
        if pinned.get(name) != version
    ]
    return problems + [f"{name}: pinned, but nothing needs it; {remedy}" for name in sorted(pinned.keys() - reachable)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
