"""Where another process finds a function: by module and name, or in the program that was started."""

import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from wsaios.engines.local.process.wire import Place
from wsaios.kernel.errors import InvalidInput, NotPossible

MAIN: Final = "__mp_main__"
"""What a started program is called when a worker imports it: the name that `multiprocessing` uses, so that programs and
libraries that know one know both."""

_LOADING: Final[list[str]] = []


def place_of(name: str, function: Callable[..., Any]) -> Place:
    """Where a worker finds this function.

    Raises:
        InvalidInput: nowhere: it is no function, stands inside another one, or its module cannot be imported.
    """
    where = f"handler {name!r}"
    module, path = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(path, str):
        kind = type(function).__name__
        raise InvalidInput(where, f"a {kind} has no name that a worker process could import; pass a function")
    if "<" in path:
        what = "a lambda has no name" if path.endswith("<lambda>") else f"{path} stands inside another function"
        raise InvalidInput(where, f"{what}, so a worker process cannot import it; define it at the top of a module")
    loaded = sys.modules.get(module)
    if loaded is None:
        raise InvalidInput(where, f"a worker process cannot import it: there is no module {module!r}")
    found: Any = loaded
    for part in path.split("."):
        found = getattr(found, part, None)
    # While a module is being imported, its decorators run before the name of their function is there.
    early = found is None and (module in {"__main__", MAIN} or _is_loading(loaded))
    if not early and found != function:
        other = "something else" if found is not None else "nothing"
        raise InvalidInput(
            where, f"a worker process would find {other} under {module}:{path}; register what stands there"
        )
    return Place(module, path) if module not in {"__main__", MAIN} else _in_program(where, loaded, path)


def refuse_while_loading() -> None:
    """A program without a guard would start itself again in every worker that imports it.

    Raises:
        NotPossible: this is such an import.
    """
    if _LOADING:
        hint = 'put what starts it under `if __name__ == "__main__":`'
        raise NotPossible("start", f"a scheduler in {_LOADING[-1]}", "being imported by a worker process", hint)


def loading(what: str) -> None:
    """A worker imports this now; an empty word ends it."""
    if what:
        _LOADING.append(what)
    else:
        _LOADING.clear()


def _is_loading(module: ModuleType) -> bool:
    return bool(getattr(module.__spec__, "_initializing", False))


def _in_program(where: str, main: ModuleType, path: str) -> Place:
    if main.__spec__ is not None:
        return Place(main.__spec__.name, path, b"")
    file = getattr(main, "__file__", None)
    if file is None or not os.path.exists(file):  # noqa: PTH110  # a string from the interpreter, only looked at
        raise InvalidInput(
            where,
            f"{path} was typed in and stands in no file, so a worker process cannot import it; put it in a module",
        )
    return Place(MAIN, path, os.fsencode(os.path.abspath(file)))  # noqa: PTH100  # as above
