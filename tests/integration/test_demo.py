"""The scripts of the demo, as processes of their own, on this very standard library."""

import csv
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from demo.ask import QUESTIONS
from demo.collect import MAX_TOKENS
from tests.integration.weights import required_weights
from wsaios.inference.minilm import MiniLm
from wsaios.inference.models import resolve

DEMO = Path(__file__).resolve().parents[2] / "demo"


def script(name: str, *arguments: object, hash_seed: int = 0) -> str:
    command = [sys.executable, str(DEMO / name), *map(str, arguments)]
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    required_weights()
    path = tmp_path_factory.mktemp("demo") / "functions.csv"
    assert not script("collect.py", path, hash_seed=1)
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_collecting_twice_gives_the_same_bytes(functions: Path, tmp_path: Path) -> None:
    script("collect.py", tmp_path / "again.csv", hash_seed=2)
    assert (tmp_path / "again.csv").read_bytes() == functions.read_bytes()


def test_some_four_thousand_are_found_each_name_and_text_once(functions: Path) -> None:
    rows = rows_of(functions)
    assert 3_000 <= len(rows) <= 6_000
    names, texts = [row["name"] for row in rows], [row["text"] for row in rows]
    assert names == sorted(set(names))
    assert len(set(texts)) == len(texts)
    assert all(text.strip() == text != "" and "\n" not in text for text in texts)


def test_things_stand_under_the_names_that_people_write(functions: Path) -> None:
    names = {row["name"] for row in rows_of(functions)}
    assert {"gzip.compress", "os.getcwd", "os.path.join", "asyncio.run", "subprocess.run", "time.strptime"} <= names
    assert not {"posix.getcwd", "posixpath.join", "asyncio.runners.run"} & names
    assert not [name for name in names if any(part.startswith("_") for part in name.split("."))]


def test_no_text_is_longer_than_the_model_is_to_see(functions: Path) -> None:
    model = MiniLm(required_weights())
    lengths = [len(model.token_ids(row["text"])) for row in rows_of(functions)]
    assert max(lengths) == MAX_TOKENS


def test_questions_are_answered_with_the_functions_nearest_in_meaning(tmp_path: Path) -> None:
    required_weights()
    texts = {
        "bz2.compress": "Compress a block of data.",
        "email.utils.parsedate": "Convert a date string to a time tuple.",
        "subprocess.Popen": "Execute a child program in a new process.",
        "math.sqrt": "Return the square root of x.",
    }
    functions, embeddings = tmp_path / "functions.csv", tmp_path / "embeddings.jsonl"
    functions.write_text("name,text\n" + "".join(f"{name},{text}\n" for name, text in texts.items()), encoding="utf-8")
    results = resolve("all-MiniLM-L6-v2").function([{"text": text} for text in texts.values()])
    lines = [json.dumps({"id": name, "result": result}) for name, result in zip(texts, results, strict=True)]
    embeddings.write_text("\n".join(lines) + "\n", encoding="utf-8")

    answers = script("ask.py", functions, embeddings).split("“")[1:]

    assert [answer.partition("”")[0] for answer in answers] == list(QUESTIONS)
    nearest = [answer.splitlines()[2].split()[1] for answer in answers]
    assert nearest == ["bz2.compress", "email.utils.parsedate", "subprocess.Popen"]


def test_a_demo_that_is_killed_takes_its_batch_with_it(functions: Path, tmp_path: Path) -> None:
    shutil.copytree(DEMO, tmp_path / "demo", ignore=shutil.ignore_patterns("work", "__pycache__"))
    work = tmp_path / "demo" / "work" / platform.python_version()
    work.mkdir(parents=True)
    shutil.copy(functions, work)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "demo" / "run.py")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert next(line for line in process.stderr if line.startswith("running: "))
    process.kill()
    # The batch holds the other end of this pipe for as long as it lives.
    process.communicate(timeout=2)
