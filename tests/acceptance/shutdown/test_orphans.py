"""A process that is killed leaves none behind."""

import signal
import sys
import time
from pathlib import Path

from tests.acceptance.shutdown.running import LIMIT_S, Program, program, started

LEFT_S = 2.0
LOOK_S = 0.02


def gone(killed: Program) -> set[int]:
    """What still lives after the time that it may take."""
    until_s = time.monotonic() + LEFT_S
    while (left := killed.family()) and time.monotonic() < until_s:
        time.sleep(LOOK_S)
    return left


def test_a_killed_scheduler_leaves_no_process_behind(tmp_path: Path) -> None:
    with started(program(tmp_path, LIMIT_S, "coroutine", "thread"), tmp_path) as serving:
        serving.serving()
        assert serving.process.pid in serving.family()
        serving.tell(signal.SIGKILL)
        serving.process.wait()

        assert gone(serving) == set()


def test_a_killed_batch_leaves_no_process_behind(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text\na\nb\n", "utf-8")
    (tmp_path / "waiting.py").write_text(
        "import time\ndef wait(text):\n    print('serving', flush=True)\n    time.sleep(3600)\n", "utf-8"
    )
    command = [sys.executable, "-m", "wsaios", "batch", "run", str(tmp_path / "in.csv"), "--handler", "waiting:wait"]
    command += ["--out", str(tmp_path / "out.jsonl"), "--ledger", f"sqlite:///{tmp_path}/work.db", "--quiet"]
    with started(command, tmp_path, tmp_path) as running:
        running.serving()
        assert running.process.pid in running.family()
        running.tell(signal.SIGKILL)
        running.process.wait()

        assert gone(running) == set()
