"""Exceptions of handlers as values: kind, message and the part of the traceback that concerns the user."""

import traceback
from pathlib import Path
from types import TracebackType
from typing import Final

from wsaios.kernel.task import Failure
from wsaios.kernel.text import storable

MAX_MESSAGE_CHARS: Final = 2_000
MAX_TRACEBACK_CHARS: Final = 4_000
MAX_FRAMES: Final = 20

_OWN: Final = str(Path(__file__).parent)


def failure_of(error: BaseException) -> Failure:
    """What to keep of an exception: never raises, whatever the exception does when it is asked."""
    return Failure(type(error).__name__, message_of(error), _traceback(error))


def message_of(error: BaseException) -> str:
    """What an exception says."""
    return shortened(_message(error), MAX_MESSAGE_CHARS)


def shortened(text: str, chars: int) -> str:
    """The text with at most `chars` characters; an ellipsis says that some are gone."""
    text = storable(text)
    return text if len(text) <= chars else text[: chars - 1] + "…"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as trouble:  # noqa: BLE001  # __str__ is code of the user, SystemExit included
        return f"(its __str__ raised {type(trouble).__name__})"


def _traceback(error: BaseException) -> str:
    frames = _of_the_user(error.__traceback__)
    if frames is None:
        return ""
    try:
        told = traceback.TracebackException(type(error), error, frames, limit=-MAX_FRAMES, compact=True)
        text = storable("".join(told.format()))
    except BaseException:  # noqa: BLE001  # an exception that cannot be told is still a failure with kind and message
        return ""
    if len(text) <= MAX_TRACEBACK_CHARS:
        return text
    return "…" + text[1 - MAX_TRACEBACK_CHARS :]


def _of_the_user(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_OWN):
        frames = frames.tb_next
    return frames
