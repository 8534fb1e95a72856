"""Modules that are a trouble to import, made as a test needs them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = "import os as _os\nif _os.getpid() != {pid}:\n"


class Modules:
    """Writes modules that do something only where a worker imports them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, pid: int) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch
        self._pid = pid
        monkeypatch.syspath_prepend(str(folder))

    def function(self, name: str, there: str) -> Callable[..., Any]:
        """`work` of a new module, which runs the lines `there` while a worker imports it."""
        body = "".join(f"    {line}\n" for line in there.splitlines())
        text = f"{HERE.format(pid=self._pid)}{body}\ndef work():\n    return 'worked'\n"
        (self._folder / f"{name}.py").write_text(text, "utf-8")
        self._monkeypatch.delitem(sys.modules, name, raising=False)
        module = __import__(name)
        self._monkeypatch.setitem(sys.modules, name, module)
        found: Callable[..., Any] = module.work
        return found

    def broken(self, name: str, text: str) -> None:
        """Another text for a module that is loaded here."""
        (self._folder / f"{name}.py").write_text(text, "utf-8")
