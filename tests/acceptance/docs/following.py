"""Does what a document says, in an empty folder: what was printed, beside what the document says is printed."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Final, NamedTuple

from tests.acceptance.docs.documents import ROOT, Block

TIMEOUT_S: Final = 90
_MARK: Final = "\x1e"
_PROMPT: Final = "$ "

_ID: Final = re.compile(r"\b(?:task|batch)_[0-9a-z]{13}\b")

# What differs from run to run, and what stands for it in a comparison.
_VARYING: Final = (
    (re.compile(r"^bash: line \d+: +\d+ Killed .*$", re.MULTILINE), "Killed"),
    (_ID, "ID"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?"), "TIME"),
    (re.compile(r"\bpid \d+ on [\w.-]+"), "pid N on HOST"),
    (re.compile(r"[\d,.]+ rows/s"), "N rows/s"),
    (re.compile(r"\bin \d+\.\d+ s\b"), "in N s"),
    (re.compile(r"(?<![\w.])/(?:[\w.-]+/)+(?=[\w.-]+)"), ""),
)
_PROGRESS: Final = re.compile(r"^(checking|accepting|running|writing)\b")


class Outcome(NamedTuple):
    """What one block printed, beside what the document says."""

    place: str
    said: str
    found: str
    status: int


def follow(blocks: Sequence[Block], folder: Path) -> Iterator[Outcome]:
    """Write the files and run what is runnable, in order; every block begins in `folder`.

    An id that a block printed is known from then on, so that later commands of the document can name it.
    """
    environment = _environment(folder)
    work = folder / "work"
    work.mkdir()
    ids: dict[str, str] = {}
    for block, after in zip_longest(blocks, blocks[1:]):
        assert block is not None
        if block.file:
            (work / block.file).write_text(block.text, encoding="utf-8")
        if "runnable" not in block.marks:
            continue
        if block.language == "python":
            said = after.text if after is not None and "output" in after.marks else ""
            outcome = _outcome(block, [sys.executable, "-c", block.text], work, environment, said)
        else:
            assert block.language == "console", f"{block.place}: {block.language} cannot be run"
            outcome = _console(block._replace(text=_with_known(block.text, ids)), work, environment)
        # Ids of the document that are known already were replaced, so both sides have them.
        ids |= zip(_ID.findall(outcome.said), _ID.findall(outcome.found), strict=False)
        yield outcome


def _with_known(text: str, ids: Mapping[str, str]) -> str:
    return _ID.sub(lambda found: ids.get(found[0], found[0]), text)


def normalised(text: str) -> list[str]:
    """The lines, without what differs from run to run."""
    for pattern, stand_in in _VARYING:
        text = pattern.sub(stand_in, text)
    return [line.rstrip() for line in text.strip().splitlines() if not _PROGRESS.match(line)]


def commands(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what it prints."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith(_PROMPT):
            found.append((line.removeprefix(_PROMPT), ""))
            continue
        assert found, f"a console block begins with {_PROMPT!r}, not with {line!r}"
        command, printed = found[-1]
        found[-1] = (f"{command}\n{line}", printed) if command.endswith("\\") else (command, f"{printed}{line}\n")
    return found


def _console(block: Block, folder: Path, environment: dict[str, str]) -> Outcome:
    script = "\n".join(f"printf '{_MARK}'\n{command}" for command, _ in commands(block.text))
    outcome = _outcome(block, ["bash", "-c", script], folder, environment, "")
    printed = outcome.found.split(_MARK)[1:]
    said = "".join(f"{_PROMPT}{command}\n{out}" for command, out in commands(block.text))
    pairs = zip(commands(block.text), printed, strict=True)
    found = "".join(f"{_PROMPT}{command}\n{_ended(out)}" for (command, _), out in pairs)
    return Outcome(block.place, said, found, 0)


def _ended(text: str) -> str:
    return text if text.endswith("\n") or not text else f"{text}\n"


def _outcome(block: Block, command: list[str], folder: Path, environment: dict[str, str], said: str) -> Outcome:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT_S,
        check=False,
        text=True,
    )
    return Outcome(block.place, said, done.stdout, done.returncode)


def _environment(folder: Path) -> dict[str, str]:
    """That of a person who has just installed it: `wsaios` and `python` are those of this environment."""
    programs = folder / "programs"
    programs.mkdir()
    for program, call in (("wsaios", f"{sys.executable} -m wsaios"), ("python", sys.executable)):
        path = programs / program
        path.write_text(f'#!/bin/sh\nexec {call} "$@"\n', encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WSAIOS_")}
    paths = f"{programs}{os.pathsep}{kept.get('PATH', '')}"
    return kept | {"PATH": paths, "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1", "COLUMNS": "100"}
