"""What one ``batch run`` is to do, checked from the first byte of its input to the last, before anything is created."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from wsaios.bootstrap import Settings, check_lane, lanes_of, spec_of
from wsaios.engines.local.handlers import Handler, Handlers
from wsaios.inference.models import resolve
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.task import HandlerSpec
from wsaios.planning.batch_key import batch_key
from wsaios.planning.calls import retries, whole
from wsaios.planning.inputs import Checked, Intake, check, entries, kind_of, read_rows
from wsaios.planning.mapping import Mapping as Columns
from wsaios.planning.mapping import row_id
from wsaios.sdk.handler_import import import_function
from wsaios.sdk.input_file import InputFile, OnBytes
from wsaios.sdk.result_files import Paths, RowId

MAX_BATCH_SIZE = 100_000
MAX_WAIT_S = 0.01


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asks for; exactly one of `handler` and `model`."""

    source: str
    out: str
    handler: str | None = None
    model: str | None = None
    mapping: tuple[str, ...] = ()
    id_column: str | None = None
    limit: int | None = None
    lane: str | None = None
    batch_size: int | None = None
    max_attempts: int | None = None
    resume: bool = False
    fresh: bool = False

    @property
    def callee(self) -> str:
        """The name that the handler has in the ledger."""
        return self.handler if self.handler is not None else f"model/{self.model}"


class Plan(msgspec.Struct, frozen=True):
    """A batch that can run. `key` is equal for equal input, mapping, handler and options."""

    request: Request
    file: InputFile
    intake: Intake
    checked: Checked
    paths: Paths
    handlers: Handlers
    spec: HandlerSpec
    key: str

    def meta(self) -> dict[str, Any]:
        """What the ledger keeps beside the batch, so that people can tell it from others."""
        request = self.request
        return {
            "name": self.file.path.name,
            "key": self.key,
            "input": str(self.file.path),
            "out": str(self.paths.results),
            "digest": self.checked.digest,
            "map": dict(self.intake.mapping.pairs),
            "id": request.id_column,
            "limit": request.limit,
            "handler": request.callee,
            "lane": request.lane,
            "batch_size": request.batch_size,
            "max_attempts": request.max_attempts,
        }

    def arguments(self) -> Iterator[Mapping[str, object]]:
        """The arguments of every row, in order.

        Raises:
            InputError: the file is no longer what was checked.
        """
        chunks = self.file.unchanged(self.checked.digest)
        for entry in entries(chunks, self.intake):
            yield entry.arguments
        chunks.prove()

    def row_ids(self) -> Iterator[RowId]:
        """The id of every row, in order.

        Raises:
            InputError: the file is no longer what was checked.
        """
        column = self.request.id_column
        if column is None:
            yield from range(1, self.checked.rows + 1)
            return
        chunks = self.file.unchanged(self.checked.digest)
        rows = read_rows(chunks, source=self.file.source, kind=self.intake.kind)
        for _, row in zip(range(self.checked.rows), rows, strict=False):
            yield row_id(row, column, source=self.file.source)
        chunks.prove()


def prepare(request: Request, folder: Path, on_size: Callable[[int], None], on_bytes: OnBytes) -> Plan:
    """Check all of it; creates nothing.

    `folder` is where modules of handlers are looked for first. `on_size` is told before how many bytes are to be read,
    `on_bytes` how many were read so far.

    Raises:
        InvalidInput, InputError: names the option, or the place in the input.
        UnknownHandler, UnknownModel, MissingExtra: as they say.
    """
    if (request.handler is None) == (request.model is None):
        raise InvalidInput("--handler", "give either --handler module:function or --model NAME")
    if request.resume and request.fresh:
        raise InvalidInput("--fresh", "it runs anew, and --resume goes on; give one of them")
    columns = Columns.parse(request.mapping)
    file = InputFile(request.source)
    kind = kind_of(request.source)
    paths = Paths.of(request.out)
    if file.path.resolve() in {paths.results, paths.errors}:
        raise InvalidInput("--out", f"{request.out} would write over the input; name another file")
    handlers = Handlers()
    handler, size, required, accepted = _callee(request, handlers, folder)
    tries = retries({"max_attempts": request.max_attempts} if request.max_attempts is not None else {})
    spec = spec_of(handler, check_lane(handler, lanes_of(Settings())), size, MAX_WAIT_S, tries)
    intake = Intake(file.source, kind, columns, request.id_column, request.limit, required, accepted)
    on_size(file.size_bytes)
    checked = check(lambda: file.chunks(on_bytes), intake)
    return Plan(request, file, intake, checked, paths, handlers, spec, _key(request, columns, checked))


def _callee(
    request: Request, handlers: Handlers, folder: Path
) -> tuple[Handler, int, frozenset[str], frozenset[str] | None]:
    """The handler with its batch size, and the arguments that a row must and may give."""
    size = request.batch_size
    if size is not None:
        whole("--batch-size", size, 1, MAX_BATCH_SIZE)
    if request.model is not None:
        model = resolve(request.model)
        handler = handlers.add(request.callee, model.function, lane=request.lane or model.lane, batched=True)
        names = frozenset({model.argument})
        return handler, size or model.batch_size, names, names
    function = import_function(request.callee, folder)
    handler = handlers.add(request.callee, function, lane=request.lane, batched=size is not None)
    return handler, size or 1, frozenset(handler.required if not handler.batched else ()), handler.accepts


def _key(request: Request, columns: Columns, checked: Checked) -> str:
    return batch_key(
        content_digest=checked.digest,
        mapping=columns,
        id_column=request.id_column,
        handler=request.callee,
        options={"lane": request.lane, "batch_size": request.batch_size, "max_attempts": request.max_attempts},
        limit=request.limit,
    )
