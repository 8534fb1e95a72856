"""Index this Python's standard library with a sentence-embedding model, as a batch, and ask it three questions.

Run again, it finds the batch done and answers at once; killed and run again, it goes on where it was.
"""

from __future__ import annotations

import ctypes
import platform
import signal
import subprocess
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
HERE = Path(__file__).resolve().parent
# One folder for each version of Python: another version has another library, hence another batch.
WORK = HERE / "work" / platform.python_version()


def die_with_parent() -> None:
    """Let the kernel end this step when the demo is killed: an orphan would hold the ledger against the next start."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    """Return 0 if every row was embedded and the questions were answered, else what the step that failed returned."""
    functions, embeddings, ledger = WORK / "functions.csv", WORK / "embeddings.jsonl", WORK / "demo.db"
    collect: list[object] = [HERE / "collect.py", functions]
    embed: list[object] = ["-m", "wsaios", "batch", "run", functions, "--model", "all-MiniLM-L6-v2"]
    embed += ["--map", "text=text", "--id", "name", "--out", embeddings, "--ledger", f"sqlite:///{ledger}"]
    ask: list[object] = [HERE / "ask.py", functions, embeddings]
    steps = [embed, ask] if functions.exists() else [collect, embed, ask]
    # Ctrl-C reaches the step as well, which stops in its own good order; this process waits for that.
    signal.signal(signal.SIGINT, lambda *_: None)
    for step in steps:
        command = [sys.executable, *map(str, step)]
        status = subprocess.run(command, check=False, preexec_fn=die_with_parent).returncode
        if status:
            return status if status > 0 else 128 - status
    return 0


if __name__ == "__main__":
    sys.exit(main())
