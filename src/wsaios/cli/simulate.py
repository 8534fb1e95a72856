"""``wsaios simulate``: what a policy would have done to a recorded trace."""

import inspect
from collections.abc import Callable
from typing import Any, Final

import msgspec

from wsaios.cli.simulation_options import Request


def _simulate(request: Request) -> None:
    """Run the scheduler itself in virtual time over a recorded trace, and say what each policy does to it."""
    from wsaios.cli.simulated import simulate as run

    run(request)


def _command(run: Callable[[Request], None]) -> Callable[..., None]:
    """A function with a parameter for each field, as typer wants it."""

    def command(**given: Any) -> None:
        run(Request(**given))

    kind = inspect.Parameter.KEYWORD_ONLY
    # The fields of a Struct forget what stands beside their types.
    hints = inspect.get_annotations(Request)
    found = [
        inspect.Parameter(field.name, kind, default=field.default, annotation=hints[field.name])
        for field in msgspec.structs.fields(Request)
    ]
    command.__signature__ = inspect.Signature(found)  # type: ignore[attr-defined]  # inspect asks for it
    command.__annotations__ = hints
    command.__doc__ = run.__doc__
    command.__name__ = "simulate"
    return command


simulate: Final = _command(_simulate)
