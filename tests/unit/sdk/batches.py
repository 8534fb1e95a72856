"""Batches run inside the test: a folder with handlers and inputs, and a listener that can act at any moment."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wsaios.sdk.batch_plan import Plan, Request, prepare
from wsaios.sdk.batch_run import BatchRun
from wsaios.sdk.batch_summary import Summary

HANDLERS = """
CALLS = []

async def shout(text):
    CALLS.append(text)
    return text.upper()

async def picky(text):
    if text == "b":
        raise ValueError(text)
    return text
"""


class Listener:
    """Keeps what it is told; `at` is called at the beginning of a part."""

    def __init__(self, **at: Callable[[], object]) -> None:
        self.at = at
        self.phases: list[tuple[str, int]] = []
        self.last = (0, 0)
        self.notes: list[str] = []

    def phase(self, phase: str, total: int) -> None:
        self.phases.append((phase, total))
        self.at.get(phase, lambda: None)()

    def advance(self, done: int, failed: int = 0) -> None:
        self.last = (done, failed)

    def note(self, text: str) -> None:
        self.notes.append(text)


class Bench:
    """A folder with a module `rows_of_test` and a CSV file of the texts a, b, c."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "in.csv"
        self.out = folder / "r.jsonl"
        self.ledger = f"sqlite:///{folder}/work.db"
        (folder / "rows_of_test.py").write_text(HANDLERS)
        self.texts("a", "b", "c")

    def texts(self, *texts: str) -> None:
        self.source.write_text("name,text\n" + "".join(f"n-{text},{text}\n" for text in texts))

    def request(self, handler: str = "shout", **changed: Any) -> Request:
        base: dict[str, Any] = {"mapping": ("text=text",), "id_column": "name", "max_attempts": 1}
        return Request(source=str(self.source), out=str(self.out), handler=f"rows_of_test:{handler}", **base | changed)

    def plan(self, handler: str = "shout", **changed: Any) -> Plan:
        return prepare(self.request(handler, **changed), self.folder, lambda size: None, lambda done: None)

    async def run(self, plan: Plan, listener: Listener | None = None) -> Summary:
        return await BatchRun(plan, listener or Listener(), ledger=self.ledger, grace_s=1.0).go()

    @property
    def calls(self) -> list[str]:
        found: list[str] = sys.modules["rows_of_test"].CALLS
        return found


@contextmanager
def imports_as_before() -> Iterator[None]:
    """Take back what importing handlers did to the process."""
    path = list(sys.path)
    yield
    sys.path[:] = path
    sys.modules.pop("rows_of_test", None)
