"""Finds the function that ``module:function`` names, and which arguments it takes."""

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from wsaios.kernel.errors import InvalidInput, UnknownHandler

_FORM: Final = "is not of the form module:function, such as work:embed for the function embed in work.py"
_NAMED_AT_MOST: Final = 20
_OWN: Final = (__file__, "<frozen importlib", importlib.__file__)


def import_function(text: str, folder: Path) -> Callable[..., Any]:
    """The function that `text` names as ``module:function``; modules in `folder` come first.

    Raises:
        InvalidInput: `text` has another form.
        UnknownHandler: there is no such module or function, or importing it raised: then the message ends with the
            user's own part of the traceback.
    """
    name, colon, attribute = text.partition(":")
    parts = [*name.split("."), *attribute.split(".")]
    if not colon or not all(part.isidentifier() for part in parts):
        raise InvalidInput("--handler", f"{text!r} {_FORM}")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    found: Any = _module(name, text, folder)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UnknownHandler(text, _missing(found, name, attribute, folder))
        found = getattr(found, part)
    if not callable(found):
        raise UnknownHandler(text, f"{attribute} in {name} is {type(found).__name__}, which cannot be called")
    function: Callable[..., Any] = found
    return function


def _module(name: str, text: str, folder: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            hint = (
                f"; name the module, not its file, as in {name.removesuffix('.py')}:function"
                if name.endswith(".py")
                else ""
            )
            reason = f"there is no module {error.name!r} in {folder} nor among installed ones{hint}"
            raise UnknownHandler(text, reason) from error
        raise UnknownHandler(text, _told(name, error)) from error
    except (Exception, SystemExit) as error:
        raise UnknownHandler(text, _told(name, error)) from error


def _missing(module: object, name: str, attribute: str, folder: Path) -> str:
    functions = sorted(
        each for each, value in vars(module).items() if not each.startswith("_") and inspect.isroutine(value)
    )
    more = f" and {len(functions) - _NAMED_AT_MOST} more" if len(functions) > _NAMED_AT_MOST else ""
    there = f"; its functions are {', '.join(functions[:_NAMED_AT_MOST])}{more}" if functions else ""
    place = getattr(module, "__file__", None) or "built into Python"
    elsewhere = "" if place.startswith(f"{folder}/") else f" ({place})"
    return f"module {name!r}{elsewhere} has no {attribute!r}{there}"


def _told(name: str, error: BaseException) -> str:
    """Why the import failed, with the frames of the user alone."""
    frames = list(_frames(error))
    lines = traceback.format_list(frames) + traceback.format_exception_only(error)
    return f"importing {name!r} failed:\n{''.join(lines).rstrip()}"


def _frames(error: BaseException) -> Iterator[traceback.FrameSummary]:
    for frame in traceback.extract_tb(error.__traceback__):
        if not frame.filename.startswith(_OWN):
            yield frame
