"""From payloads to the arguments of a call."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from wsaios.engines.local.context import Context
from wsaios.engines.local.mailbox import Mailbox
from wsaios.engines.local.run import Run
from wsaios.kernel.engine import Attempt
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.json_text import JsonWriter
from wsaios.kernel.task import Codec

_from_json: Final = msgspec.json.Decoder(dict[str, Any]).decode
_from_msgpack: Final = msgspec.msgpack.Decoder(dict[str, Any]).decode


def arguments_of(attempt: Attempt) -> dict[str, Any]:
    """The arguments by name, a new dict at every call.

    Raises:
        InvalidInput: the payload is not one object in JSON or msgpack.
    """
    try:
        if attempt.codec == Codec.JSON:
            return _from_json(attempt.payload)
        if attempt.codec == Codec.MSGPACK:
            return _from_msgpack(attempt.payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput("arguments", f"the payload is not one object of arguments by name: {error}") from None
    raise InvalidInput("arguments", f"codec {attempt.codec} carries no names to bind; use JSON or msgpack")


class Arguments:
    """Makes what handlers are called with: the arguments of the payload, and a Context where one is asked for."""

    def __init__(self, contexts: Mailbox[Context], writer: JsonWriter) -> None:
        self._contexts = contexts
        self._writer = writer

    def of(self, run: Run) -> dict[str, Any]:
        """The arguments by name for a work with one attempt.

        Raises:
            InvalidInput: the payload cannot be read, or it names the parameter that takes the Context.
        """
        found = arguments_of(run.attempts[0])
        name = run.handler.context
        if name is not None:
            if name in found:
                raise InvalidInput("arguments", f"{name!r} is filled with the Context of the call; leave it out")
            found |= self.context(run, run.attempts)
        return found

    def context(self, run: Run, attempts: Sequence[Attempt]) -> dict[str, Context]:
        """The Context for a call of these attempts, under the name of its parameter; empty when none is asked for."""
        name = run.handler.context
        if name is None:
            return {}
        return {name: Context(run, attempts, run.handler.name, self._contexts.post, self._writer)}
