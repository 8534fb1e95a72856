"""The tutorial's batch, killed in the middle and started again, with fewer rows."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.acceptance.docs.documents import DOCS, ROOT, blocks

ROWS = 160
COMMAND = (sys.executable, "-m", "wsaios", "batch", "run", "many.csv", "--handler", "judge:mood", "--id", "id", "--out")


def prepared(folder: Path) -> Path:
    for block in blocks(DOCS / "tutorials" / "first-batch.md"):
        if block.file:
            (folder / block.file).write_text(block.text.replace("1001", str(ROWS + 1)), encoding="utf-8")
    subprocess.run([sys.executable, "make_many.py"], cwd=folder, check=True, timeout=60)
    return folder


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WSAIOS_")}
    return kept | {"PYTHONPATH": str(ROOT / "src")}


def killed_on_its_way(folder: Path) -> str:
    """What it told before it was killed: a part of the rows was done by then."""
    process = subprocess.Popen(
        [*COMMAND, "many.jsonl"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        told = next(line for line in process.stderr if line.startswith("running: "))
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    return told


def run(folder: Path, out: str, *options: str) -> tuple[int, str]:
    command = [*COMMAND, out, *options]
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, check=False, text=True, timeout=90
    )
    return done.returncode, done.stderr + done.stdout


def test_the_tutorials_batch_goes_on_after_kill_9_and_ends_as_if_undisturbed(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    told = killed_on_its_way(folder)
    assert not (folder / "many.jsonl").exists(), told
    status, said = run(folder, "many.jsonl")
    assert status == 0, said
    assert "going on with batch_" in said
    assert " before\n" in said
    status, said = run(folder, "undisturbed.jsonl", "--ledger", "sqlite:///other.db")
    assert status == 0, said
    assert (folder / "many.jsonl").read_bytes() == (folder / "undisturbed.jsonl").read_bytes()
    assert len((folder / "many.jsonl").read_text(encoding="utf-8").splitlines()) == ROWS
