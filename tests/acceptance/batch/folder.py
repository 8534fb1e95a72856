"""A working folder with handlers in it, and the real command in processes of their own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

TIMEOUT_S = 60
HANDLERS = '''
import os, time

def said(text):
    """Every call leaves a line in a pipe to the test."""
    if "TRACE" in os.environ:
        os.write(int(os.environ["TRACE"]), (text + "\\n").encode())

def shout(text):
    said(text)
    return text.upper()

async def ashout(text, mark="!"):
    said(text)
    return text.upper() + mark

def both(left, right):
    return left + right

def measure(rows):
    return [{"rows": len(row), "of": row["text"]} for row in rows]

def picky(text):
    said(text)
    if text.endswith("3"):
        raise ValueError(f"no threes: {text}")
    return text

def slow(text):
    said(text)
    time.sleep(0.3)
    return text

def endless(text):
    said(text)
    time.sleep(600)

def loud(text):
    print("the handler says", text)
    os.system("echo a child says so too")
    return text
'''


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one line on standard output."""
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def summary(self) -> dict[str, Any]:
        """The same, of a batch run."""
        found: dict[str, Any] = self.json
        return found


class Folder:
    """Where the command runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(exist_ok=True)
        self.write("work.py", HANDLERS)

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def texts(self, name: str, count: int) -> None:
        """A CSV file with the columns name and text."""
        self.write(name, "name,text\n" + "".join(f"n{row},text {row}\n" for row in range(1, count + 1)))

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.read(name).splitlines()]

    def names(self) -> set[str]:
        return {path.name for path in self.path.iterdir()} - {"__pycache__"}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "wsaios", *arguments]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WSAIOS_")}
        return kept | {"PYTHONDONTWRITEBYTECODE": "1"} | dict(extra or {})

    def run(self, *arguments: str, **extra: str) -> Done:
        """Run to the end."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.path,
            env=self.environment(extra),
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def batch(self, source: str, handler: str, *options: str, out: str = "r.jsonl", **extra: str) -> Done:
        """``batch run`` with the columns name and text."""
        return self.run(*batch_arguments(source, handler, *options, out=out), **extra)

    def ended(self, ledger: str = "wsaios.db") -> list[Any]:
        """The results that the ledger holds, read with plain SQL."""
        connection = apsw.Connection(str(self.path / ledger), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return [json.loads(data) for (data,) in connection.execute("SELECT result FROM outcome WHERE state = 6")]
        finally:
            connection.close()


def batch_arguments(source: str, handler: str, *options: str, out: str = "r.jsonl") -> list[str]:
    return ["batch", "run", source, "--handler", handler, "--map", "text=text", "--out", out, *options]


class Traced:
    """A running command whose handlers tell each call through a pipe."""

    def __init__(self, process: "subprocess.Popen[str]", pipe: int) -> None:
        self.process = process
        self._pipe = os.fdopen(pipe, "r", encoding="utf-8")
        self.calls: list[str] = []

    def wait_for(self, count: int) -> bool:
        """Return once so many calls were told; False when the process ended before."""
        while len(self.calls) < count:
            line = self._pipe.readline()
            if not line:
                return False
            self.calls.append(line.rstrip("\n"))
        return True

    def wait_for_note(self, part: str) -> None:
        """Return once a line with this part came on standard error."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if part in line:
                return
        raise AssertionError(f"{part!r} was never said")

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> Done:
        """Take the rest of the calls and how it ended."""
        self.calls += [line.rstrip("\n") for line in self._pipe]
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        return Done(self.process.returncode, out, err)


@contextmanager
def traced(folder: Folder, arguments: Sequence[str], **extra: str) -> Iterator[Traced]:
    """Start a command; it is killed when the block is left and it still runs."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        folder.command(*arguments),
        cwd=folder.path,
        env=folder.environment({"TRACE": str(writing), **extra}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=(writing,),
    )
    os.close(writing)
    one = Traced(process, reading)
    try:
        yield one
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        one._pipe.close()  # noqa: SLF001  # its own
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()
