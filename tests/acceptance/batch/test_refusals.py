"""Bad usage and bad input: exit status 2, what and where, and nothing created."""

import os
import sys
from dataclasses import dataclass, field
from functools import partial

import pytest
from typer.testing import CliRunner

from tests.acceptance.batch.folder import Done, Folder, batch_arguments
from wsaios.cli import app

GOOD = "name,text\na,b\n"
SHOUT = ("--handler", "work:shout", "--out", "r.jsonl")
MAPPED = (*SHOUT, "--map", "text=text")


@dataclass(frozen=True)
class Case:
    """A command in a folder with these files, and the parts of what it says."""

    said: tuple[str, ...]
    arguments: tuple[str, ...] = ("in.csv", *MAPPED)
    files: dict[str, str | bytes] = field(default_factory=lambda: {"in.csv": GOOD})


CASES = {
    "broken JSON": Case(
        ("in.jsonl", "line 2", "broken JSON"), ("in.jsonl", *MAPPED), {"in.jsonl": '{"text": "a"}\n{"text": \n'}
    ),
    "not an array": Case(("in.json", "array"), ("in.json", *MAPPED), {"in.json": '{"text": "a"}'}),
    "a missing column": Case(("in.csv", "'body'", "'name', 'text'"), ("in.csv", *SHOUT, "--map", "text=body")),
    "a missing id column": Case(("in.csv", "'key'", "'name', 'text'"), ("in.csv", *MAPPED, "--id", "key")),
    "a duplicate id": Case(
        ("in.csv", "row 3", "'a'", "row 1"), ("in.csv", *MAPPED, "--id", "name"), {"in.csv": GOOD + "c,d\na,f\n"}
    ),
    "an empty file": Case(("in.csv", "empty"), files={"in.csv": ""}),
    "a header alone": Case(("in.csv", "no data row"), files={"in.csv": "name,text\n"}),
    "an empty array": Case(("in.json", "no data row"), ("in.json", *MAPPED), {"in.json": "[]"}),
    "a wrong encoding": Case(("in.csv", "byte 14", "UTF-8"), files={"in.csv": GOOD.encode() + b"\xff,x\n"}),
    "no such file": Case(("nowhere.csv", "no such file"), ("nowhere.csv", *MAPPED)),
    "a folder": Case((".csv", "folder"), ("some.csv", *MAPPED), {"some.csv/x": ""}),
    "an unknown suffix": Case(("in.txt", ".csv"), ("in.txt", *MAPPED), {"in.txt": GOOD}),
    "a row that is too short": Case(("in.csv", "row 2", "line 3"), files={"in.csv": GOOD + "x\n"}),
    "no such module": Case(
        ("nothere:f", "no module 'nothere'"), ("in.csv", "--handler", "nothere:f", "--out", "r.jsonl")
    ),
    "a file instead of a module": Case(
        ("no module 'work.py'", "work:"), ("in.csv", "--handler", "work.py:shout", "--out", "r.jsonl")
    ),
    "a function in a module of Python's own": Case(
        ("queue.py", "no 'mine'"),
        ("in.csv", "--handler", "queue:mine", "--out", "r.jsonl"),
        {"in.csv": GOOD, "queue.py": "def mine(text): return text"},
    ),
    "other separators": Case(
        ("'name;text'", "commas"),
        ("in.csv", "--handler", "work:shout", "--out", "r.jsonl"),
        {"in.csv": "name;text\na;b\n"},
    ),
    "an argument under another name": Case(
        ("no column 'text'", "'body'", "--map text=COLUMN"),
        ("in.csv", "--handler", "work:shout", "--out", "r.jsonl"),
        {"in.csv": "body\nb\n"},
    ),
    "an id with a fraction": Case(
        ("row 1", "whole number", "fraction"),
        ("in.jsonl", *MAPPED, "--id", "id"),
        {"in.jsonl": '{"id": 1.0, "text": "a"}\n'},
    ),
    "no such function": Case(("work:nothing", "shout"), ("in.csv", "--handler", "work:nothing", "--out", "r.jsonl")),
    "a handler without a colon": Case(
        ("work.shout", "module:function"), ("in.csv", "--handler", "work.shout", "--out", "r")
    ),
    "a module that breaks": Case(
        ("broken:f", 'broken.py", line 2', "ZeroDivisionError"),
        ("in.csv", "--handler", "broken:f", "--out", "r.jsonl"),
        {"in.csv": GOOD, "broken.py": "x = 1\nx / 0\n"},
    ),
    "a module that lacks a module": Case(
        ("lacking:f", "lacking.py", "nowhere"),
        ("in.csv", "--handler", "lacking:f", "--out", "r.jsonl"),
        {"in.csv": GOOD, "lacking.py": "import nowhere\n"},
    ),
    "what is not callable": Case(
        ("TRIES", "int"),
        ("in.csv", "--handler", "const:TRIES", "--out", "r.jsonl"),
        {"in.csv": GOOD, "const.py": "TRIES = 3\n"},
    ),
    "an unknown model": Case(("no model 'gpt'", "all-MiniLM-L6-v2"), ("in.csv", "--model", "gpt", "--out", "r.jsonl")),
    "handler and model": Case(("--handler", "--model"), ("in.csv", *SHOUT, "--model", "all-MiniLM-L6-v2")),
    "neither handler nor model": Case(("--handler", "--model"), ("in.csv", "--out", "r.jsonl")),
    "an argument that no column gives": Case(
        ("'left'", "'name', 'text'"), ("in.csv", "--handler", "work:both", "--out", "r.jsonl")
    ),
    "an argument that is not mapped": Case(
        ("--map", "'right'"), ("in.csv", "--handler", "work:both", "--map", "left=text", "--out", "r.jsonl")
    ),
    "an argument that is not there": Case(("--map", "'loud'", "'text'"), ("in.csv", *MAPPED, "--map", "loud=name")),
    "a mapping without an equals sign": Case(
        ("--map", "'text'", "argument=column"), ("in.csv", *SHOUT, "--map", "text")
    ),
    "a mapping that is said twice": Case(("--map", "'text'", "twice"), ("in.csv", *MAPPED, "--map", "text=name")),
    "a limit of nothing": Case(("--limit", "0"), ("in.csv", *MAPPED, "--limit", "0")),
    "a limit beyond all files": Case(("--limit", "row"), ("in.csv", *MAPPED, "--limit", "9" * 30)),
    "a limit in words": Case(("--limit", "integer"), ("in.csv", *MAPPED, "--limit", "many")),
    "a batch size of nothing": Case(("--batch-size", "0"), ("in.csv", *MAPPED, "--batch-size", "0")),
    "no attempts": Case(("max_attempts", "0"), ("in.csv", *MAPPED, "--max-attempts", "0")),
    "an unknown lane": Case(("no lane 'gpu'", "default, process, thread"), ("in.csv", *MAPPED, "--lane", "gpu")),
    "a lane of another kind": Case(("lane 'default' runs coroutines",), ("in.csv", *MAPPED, "--lane", "default")),
    "resume and fresh": Case(("--fresh", "--resume"), ("in.csv", *MAPPED, "--resume", "--fresh")),
    "no out": Case(("--out",), ("in.csv", "--handler", "work:shout")),
    "an out in no folder": Case(("--out", "no folder"), ("in.csv", "--handler", "work:shout", "--out", "no/r.jsonl")),
    "an out that is a folder": Case(("--out", "folder"), ("in.csv", "--handler", "work:shout", "--out", ".")),
    "an out over the input": Case(("--out", "in.csv"), ("in.csv", "--handler", "work:shout", "--out", "in.csv")),
    "a file that is not ours": Case(
        ("--out", "r.jsonl exists", "--fresh"), files={"in.csv": GOOD, "r.jsonl": "precious"}
    ),
    "an errors file that is not ours": Case(
        ("--out", "r.errors.jsonl exists", "--fresh"), files={"in.csv": GOOD, "r.errors.jsonl": "precious"}
    ),
    "a ledger in no folder": Case(("no folder",), ("in.csv", *MAPPED, "--ledger", "sqlite:///no/work.db")),
    "a ledger of another kind": Case(("ledger", "mysql://"), ("in.csv", *MAPPED, "--ledger", "mysql://x")),
    "a ledger that is none": Case(
        ("other.db", "not a SQLite database"),
        ("in.csv", *MAPPED, "--ledger", "other.db"),
        {"in.csv": GOOD, "other.db": "text" * 1000},
    ),
    "too large arguments": Case(
        ("in.csv", "row 1", "1,048,576"), files={"in.csv": f"name,text\na,{'x' * (1 << 20)}\n"}
    ),
}

IN_A_PROCESS = (
    "broken JSON",
    "not an array",
    "a missing column",
    "a duplicate id",
    "an empty file",
    "a wrong encoding",
    "no such file",
    "no such module",
    "no such function",
    "no out",
)


@pytest.mark.parametrize("name", sorted(CASES))
def test_it_is_refused_with_what_and_where_and_nothing_is_created(
    folder: Folder, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    for path, content in case.files.items():
        (folder.path / path).parent.mkdir(exist_ok=True)
        folder.write(path, content)
    before = held(folder)
    run = folder.run if name in IN_A_PROCESS else partial(inside, folder, monkeypatch)
    done = run("batch", "run", *case.arguments)
    assert (done.status, done.out) == (2, "")
    assert [part for part in case.said if part not in done.err] == []
    assert "Traceback" not in done.err
    assert held(folder) == before


def test_a_refusal_is_an_object_for_those_that_asked_for_one(folder: Folder) -> None:
    done = folder.run("batch", "run", "nowhere.csv", *MAPPED, "--json")
    assert done.status == 2
    assert done.summary["error"] == {"type": "InputError", "message": "nowhere.csv: no such file"}


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_name_that_is_not_text_is_refused(folder: Folder, options: tuple[str, ...]) -> None:
    folder.write("in.csv", GOOD)
    (folder.path / os.fsdecode(b"in\xff.csv")).write_text(GOOD)
    before = held(folder)
    for source, out in ((b"in\xff.csv", b"r.jsonl"), (b"in.csv", b"r\xff.jsonl")):
        arguments = ("--handler", "work:shout", "--map", "text=text", "--out", os.fsdecode(out))
        done = folder.run("batch", "run", os.fsdecode(source), *arguments, *options)
        assert done.status == 2
        assert "not UTF-8" in done.err
        assert "Traceback" not in done.err
        assert held(folder) == before


def test_what_nobody_expected_shows_its_traceback_and_leaves_with_70(folder: Folder) -> None:
    folder.write("sitecustomize.py", "import wsaios.sdk.batch_plan as plan\nplan.kind_of = None\n")
    folder.write("in.csv", GOOD)
    path = ":".join([".", folder.environment().get("PYTHONPATH", "")])
    done = folder.run(*batch_arguments("in.csv", "work:shout"), PYTHONPATH=path)
    assert done.status == 70
    assert "TypeError" in done.err


def held(folder: Folder) -> dict[str, bytes]:
    """What stands in the folder; of a ledger, its lock file may stay."""
    return {path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file() and path.suffix != ".lock"}


def inside(folder: Folder, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Done:
    """The command without a process of its own, which takes a tenth of the time."""
    monkeypatch.chdir(folder.path)
    monkeypatch.syspath_prepend(folder.path)
    for name in ("work", "const", "broken", "lacking"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    done = CliRunner().invoke(app, arguments)
    for name in ("work", "const"):
        sys.modules.pop(name, None)
    return Done(done.exit_code, done.stdout, done.stderr)
