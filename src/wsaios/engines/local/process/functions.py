"""In a worker: finds the functions that handlers stand for, each module imported once."""

import importlib
import os
import runpy
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from wsaios.engines.local.process.place import MAIN, loading
from wsaios.engines.local.process.wire import Place


class Functions:
    """The functions of places."""

    def __init__(self) -> None:
        self._program: ModuleType | None = None

    def find(self, place: Place) -> Callable[..., Any]:
        """The function at this place; raises whatever importing it raises."""
        loading(os.fsdecode(place.path) if place.path else place.module)
        try:
            found: Any = self._imported(place)
        finally:
            loading("")
        for part in place.name.split("."):
            found = getattr(found, part)
        function: Callable[..., Any] = found
        return function

    def _imported(self, place: Place) -> ModuleType:
        if place.path is None:
            return importlib.import_module(place.module)
        if self._program is None:
            program = ModuleType(MAIN)
            if place.path:
                content = runpy.run_path(os.fsdecode(place.path), run_name=MAIN)
            else:
                content = runpy.run_module(place.module, run_name=MAIN, alter_sys=True)
            program.__dict__.update(content)
            self._program = sys.modules["__main__"] = sys.modules[MAIN] = program
        return self._program
