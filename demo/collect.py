"""Write the public functions, classes and methods of this Python's standard library to a CSV file: name,text."""

from __future__ import annotations

import contextlib
import csv
import importlib
import inspect
import io
import os
import pkgutil
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tokenizers import Tokenizer

from wsaios.inference.weights import minilm_folder

MAX_TOKENS = 64  # of the model, the two that mark beginning and end included

SKIPPED = frozenset(
    # to import them opens a browser or a window, prints, touches the terminal or runs tests
    {"antigravity", "idlelib", "readline", "rlcompleter", "test", "this", "tkinter", "turtle", "turtledemo"}
    # replaced by installers, or carried for them
    | {"distutils", "ensurepip", "lib2to3"}
    # other names of what stands here under a better one
    | {"genericpath", "nt", "ntpath", "posix", "posixpath", "sre_compile", "sre_constants", "sre_parse"}
    # codecs, data, examples
    | {"encodings", "pydoc_data", "xxlimited", "xxlimited_35", "xxsubtype"}
)
SKIPPED_PARTS = frozenset(("test", "tests"))

SIGNATURE = re.compile(r"[\w.]+\s*\(.*\)(\s*[-=]+>\s*\S.{0,30})?\.?", re.DOTALL)
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


@dataclass(frozen=True, slots=True)
class Finding:
    """A thing under one of its names; of several names the smallest `rank` is the one that people write."""

    rank: tuple[bool, int, bool, str]
    name: str
    thing: object


def collect(clip: Callable[[str], str]) -> list[tuple[str, str]]:
    """List (name, text) of all that is public and has a docstring in prose, by name; every name and text once.

    The same on every run of one installation. `clip` shortens a text to what the model is to see of it.
    """
    named = _named(finding for place, module in _modules() for finding in _public(place, module))
    texts: dict[str, str] = {}
    for name, thing in sorted(named, key=lambda item: (item[0].count("."), item[0])):
        text = clip(first_prose(_docstring(thing)))
        if text:
            texts.setdefault(text, name)
    return sorted((name, text) for text, name in texts.items())


def first_prose(docstring: str) -> str:
    """Return the first paragraph on one line, bare signatures and single words passed over; empty if there is none."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(docstring)):
        text = ADDRESS.sub("", " ".join(paragraph.split()))
        if " " in text and not SIGNATURE.fullmatch(text):
            return text
    return ""


def model_clip(max_tokens: int) -> Callable[[str], str]:
    """Return a function that cuts a text, between tokens, to at most `max_tokens` tokens of the model."""
    tokenizer = Tokenizer.from_file(str(minilm_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()

    def clip(text: str) -> str:
        ends = [end for _, end in tokenizer.encode(text, add_special_tokens=False).offsets]
        n_room = max_tokens - tokenizer.num_special_tokens_to_add(is_pair=False)
        return text if len(ends) <= n_room else text[: ends[n_room - 1]]

    return clip


def write(path: Path, rows: list[tuple[str, str]]) -> None:
    """Write the rows under a header name,text; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    with aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("name", "text"))
        writer.writerows(rows)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def _modules() -> Iterator[tuple[str, ModuleType]]:
    yield "os.path", os.path
    for name in sorted(sys.stdlib_module_names - SKIPPED):
        yield from _walk(name)


def _walk(name: str) -> Iterator[tuple[str, ModuleType]]:
    last = name.rpartition(".")[2]
    if last.startswith("_") or last in SKIPPED_PARTS:
        return
    try:
        with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
            module = importlib.import_module(name)
    except (Exception, SystemExit):  # noqa: BLE001  # whatever keeps a module from loading here, it has no names to list
        return
    yield name, module
    for part in sorted(info.name for info in pkgutil.iter_modules(getattr(module, "__path__", ()))):
        yield from _walk(f"{name}.{part}")


def _public(place: str, module: ModuleType) -> Iterator[Finding]:
    listed = getattr(module, "__all__", None)
    for name in sorted(set(vars(module) if listed is None else listed)):
        thing = getattr(module, name, None)
        own = getattr(thing, "__module__", None) == module.__name__
        if name.startswith("_") or not (listed or own) or not (inspect.isclass(thing) or inspect.isroutine(thing)):
            continue
        rank = (listed is None and module.__name__ != "builtins", place.count("."), not own, f"{place}.{name}")
        yield Finding(rank, f"{place}.{name}", thing)


def _named(findings: Iterator[Finding]) -> Iterator[tuple[str, object]]:
    best: dict[int, Finding] = {}
    for finding in findings:
        known = best.get(id(finding.thing))
        if known is None or finding.rank < known.rank:
            best[id(finding.thing)] = finding
    for finding in best.values():
        yield finding.name, finding.thing
        if inspect.isclass(finding.thing):
            for name, member in vars(finding.thing).items():
                if not name.startswith("_") and inspect.isroutine(member):
                    yield f"{finding.name}.{name}", member


def _docstring(thing: object) -> str:
    text = getattr(thing, "__doc__", None)
    return text if isinstance(text, str) else ""


if __name__ == "__main__":
    write(Path(sys.argv[1]), collect(model_clip(MAX_TOKENS)))
