"""Which models can be asked for by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from wsaios.inference.weights import MINILM, MINILM_EXTRA, MINILM_WEIGHTS, minilm_folder
from wsaios.kernel.errors import MissingExtra, UnknownModel

BatchedFunction = Callable[[list[dict[str, object]]], list[list[float]]]


class ModelHandler(msgspec.Struct, frozen=True):
    """A model as a batched handler.

    function: takes one dict of arguments a row, returns one result a row, in order; may be called from several threads.
    argument: the one argument that every row must have.
    batch_size: rows a call, unless someone says otherwise.
    lane: where its calls belong.
    """

    name: str
    function: BatchedFunction
    argument: str
    batch_size: int
    lane: str


class ModelCatalog:
    """Builds the model that is asked for, and only that one."""

    def __init__(self, builders: Mapping[str, Callable[[], ModelHandler]]) -> None:
        self._builders = dict(builders)

    def resolve(self, name: str) -> ModelHandler:
        """Return the model of this name, ready to be called; its weights are loaded at the first call.

        Raises:
            UnknownModel: none has this name; the message lists those there are.
            MissingExtra: what it needs is not installed; the message says how to install it.
        """
        builder = self._builders.get(name)
        if builder is None:
            raise UnknownModel(name, sorted(self._builders))
        return builder()


def resolve(name: str) -> ModelHandler:
    """Return one of the models that WSAIOS knows; what it raises is said at `ModelCatalog.resolve`."""
    return ModelCatalog({MINILM: _minilm}).resolve(name)


def _minilm() -> ModelHandler:
    try:
        from wsaios.inference.minilm import MiniLm  # noqa: PLC0415  # an extra, needed only by who asks for this model
    except ModuleNotFoundError as error:
        what = f"{error.name}, which the model {MINILM} needs,"
        raise MissingExtra(what, MINILM_EXTRA, MINILM_WEIGHTS) from error
    return ModelHandler(name=MINILM, function=MiniLm(minilm_folder()), argument="text", batch_size=32, lane="thread")
