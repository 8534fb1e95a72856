"""``wsaios batch run`` over a CSV file with an empty handler: rows a second, the start of the process included."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.figures import Values
from benchmarks.processes import Given

_HANDLERS: Final = """
async def coroutine(text: str) -> str:
    return text


def thread(text: str) -> str:
    return text
"""


def measure(given: Given) -> Values:
    """`n` rows through the `handler` of that kind; its results are counted afterwards."""
    folder, n = Path(given.folder), given.number("n")
    (folder / "work.py").write_text(_HANDLERS, encoding="utf-8")
    with (folder / "rows.csv").open("w", encoding="utf-8") as file:
        file.write("text\n")
        file.writelines(f"row {number}\n" for number in range(n))
    command = [sys.executable, "-m", "wsaios", "batch", "run", "rows.csv", "--handler", f"work:{given.word('handler')}"]
    command += ["--map", "text=text", "--out", "results.jsonl", "--ledger", given.ledger(), "--quiet"]
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    wall_s = time.perf_counter() - begun
    if done.returncode:
        raise AssertionError(f"wsaios batch run ended with {done.returncode}: {(done.stdout + done.stderr)[-1000:]}")
    with (folder / "results.jsonl").open("rb") as file:
        found = sum(1 for _ in file)
    if found != n:
        raise AssertionError(f"{found} results of {n} rows")
    return {"per_s": [n / wall_s]}
