"""Commands with more options than a function should have parameters: the options are fields of a Struct."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


def command_of(run: Callable[[T], None], kind: type[T], name: str) -> Callable[..., None]:
    """A function with a parameter for each field, as typer wants it."""

    def command(**given: Any) -> None:
        run(kind(**given))

    by_name = inspect.Parameter.KEYWORD_ONLY
    # The fields of a Struct forget what stands beside their types.
    hints = inspect.get_annotations(kind)
    found = [
        inspect.Parameter(
            field.name,
            by_name,
            default=inspect.Parameter.empty if field.required else field.default,
            annotation=hints[field.name],
        )
        for field in msgspec.structs.fields(kind)
    ]
    command.__signature__ = inspect.Signature(found)  # type: ignore[attr-defined]  # inspect asks for it
    command.__annotations__ = hints
    command.__doc__ = run.__doc__
    command.__name__ = name
    return command
