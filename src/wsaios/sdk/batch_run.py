"""Runs one batch to its end under a ledger of its own, and writes its files; killed and run again, it goes on."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Final, Literal, Protocol

from wsaios.bootstrap import GRACE_S, Parts, Settings, ledger_url
from wsaios.kernel.errors import LedgerBroken, LedgerUnavailable, NotPossible, Unacknowledged
from wsaios.kernel.events import Hold, Only, Scope
from wsaios.kernel.ids import IdRange, decode, encode, walk
from wsaios.kernel.states import State
from wsaios.kernel.task import Batch, BatchState
from wsaios.ledger.location import locate
from wsaios.sdk.batch_claim import given_up, owns_out, refuse_foreign, refuse_ledger, refuse_unknown
from wsaios.sdk.batch_plan import Plan
from wsaios.sdk.batch_summary import Summary, summary_of
from wsaios.sdk.result_files import result_files

Phase = Literal["check", "accept", "run", "write"]
TICK_S: Final = 0.1
_TOLD_EVERY: Final = 1000
_BATCHES_KNOWN: Final = 10_000
_NEVER_S: Final = 1e10
_GIVEN_UP: Final = "replaced by a fresh run"


class Listener(Protocol):
    """Who wants to know how far a batch has come."""

    def phase(self, phase: Phase, total: int) -> None:
        """A part of the work begins: bytes for "check", else rows."""

    def advance(self, done: int, failed: int = 0) -> None:
        """How much of this part is done by now, and how many of these rows failed."""

    def note(self, text: str) -> None:
        """Something that a person should know."""


class BatchRun:
    """One run of one plan; `go` once."""

    def __init__(self, plan: Plan, listener: Listener, *, ledger: str | None = None, grace_s: float = GRACE_S) -> None:
        self._plan = plan
        self._listener = listener
        self._url = ledger_url(ledger)
        self._began_s = time.monotonic()
        self._work: asyncio.Task[None] | None = None
        self._stopping = False
        self._batch: Batch | None = None
        self._before = 0
        self._parts: Parts
        self._grace_s = grace_s

    async def go(self) -> Summary:
        """Own the ledger, run what is left of the batch, write its files; after `stop`, what came of it so far.

        Raises:
            InvalidInput, InputError: ``--out`` belongs to another batch or the ledger, or the input was changed.
            LedgerOwned, LedgerTooNew, LedgerBroken, LedgerUnavailable: as they say.
        """
        plan = self._plan
        location = locate(self._url)
        refuse_ledger(plan, location.path)
        if not location.remote and (location.path is None or not location.path.exists()):
            refuse_unknown(plan, plan.paths.existing())
        settings = Settings(grace_s=self._grace_s, retention_s=_NEVER_S, serves=False)
        self._parts = Parts(self._url, settings, plan.handlers, {plan.spec.name: plan.spec})
        # Nothing of what the ledger holds may start before this batch is known.
        self._parts.loop.post(Hold(held=True))
        await self._parts.start(f"batch run of {plan.file.path.name}")
        try:
            self._work = asyncio.get_running_loop().create_task(self._all())
            if self._stopping:
                self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        finally:
            await self._parts.stop()
        if not self._work.cancelled():
            self._work.result()
        return self._summary()

    def stop(self) -> None:
        """Have `go` end soon: what runs gets its grace time, the rest stays in the ledger for the next run."""
        self._stopping = True
        if self._work is not None:
            self._work.cancel()

    async def _all(self) -> None:
        batch = self._batch = await self._found_or_accepted()
        self._before = sum(batch.ended.values())
        if not _over(batch):
            await self._run(batch)
        await self._write(self._batch)

    async def _found_or_accepted(self) -> Batch:
        plan, parts = self._plan, self._parts
        await parts.service.flush()  # from here on, what an interrupted submission left is discarded
        known = await parts.service.inspector.batches(_BATCHES_KNOWN)
        refuse_foreign(plan, known)
        found = await parts.service.batch_by_key(plan.key)
        if plan.request.fresh or found is None or found.state != BatchState.SEALED:
            if not owns_out(plan, found):
                refuse_unknown(plan, plan.paths.existing())
            if plan.request.resume:
                self._listener.note("there is nothing to resume: the batch starts")
            found = await self._accept()
        elif not _over(found):
            if not owns_out(plan, found):
                refuse_unknown(plan, plan.paths.existing())
            self._listener.note(f"going on with {encode(found.id, 'batch')}")
        for earlier in given_up(plan, known, encode(found.id, "batch")):
            await parts.service.act("cancel", Scope("batch", decode(earlier, "batch")), _GIVEN_UP)
        return found

    async def _accept(self) -> Batch:
        plan = self._plan
        self._listener.phase("accept", plan.checked.rows)
        rows = self._counted(plan.arguments())
        try:
            return await self._parts.service.submit_many(
                plan.spec.name, rows, {}, keep=True, key=plan.key, meta=plan.meta()
            )
        except Unacknowledged as error:
            # Whether it was accepted or not: the key of the batch leads the next run to what is there.
            reason = f"{error.reason}; nothing is lost, run the same command again"
            raise LedgerUnavailable("--ledger", reason) from error

    def _counted(self, rows: Iterator[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
        for count, row in enumerate(rows, 1):
            yield row
            if count % _TOLD_EVERY == 0:
                self._listener.advance(count)

    async def _run(self, batch: Batch) -> None:
        parts, listener = self._parts, self._listener
        self._refuse_paused(batch)
        finished = asyncio.ensure_future(parts.service.batch_end(batch.id))
        listener.phase("run", batch.rows)
        parts.loop.post(Only(batch.id))
        parts.loop.post(Hold(held=False))
        try:
            while not finished.done():
                view = await parts.service.inspector.batch(batch.id)
                listener.advance(view.done, view.done - view.ended.get(State.SUCCEEDED.word, 0))
                await asyncio.wait([finished], timeout=TICK_S)
            await finished
        finally:
            finished.cancel()
        self._batch = over = await parts.service.batch(batch.id)
        listener.advance(over.rows, over.rows - over.ended.get(State.SUCCEEDED, 0))

    def _refuse_paused(self, batch: Batch) -> None:
        """Nobody could resume it: a run lets no clients in."""
        core = self._parts.loop.core
        places = {"all:*": "all", f"lane:{self._plan.spec.lane}": f"lane:{self._plan.spec.lane}"}
        places[f"batch:{batch.id}"] = name = encode(batch.id, "batch")
        for key in places.keys() & (core.book.paused if core is not None else set()):
            hint = f"end that first with `Client({self._url!r}).resume({places[key]!r})`, or use another --ledger"
            raise NotPossible("run", name, "paused", hint)

    async def _write(self, batch: Batch) -> None:
        plan, parts = self._plan, self._parts
        self._listener.phase("write", batch.rows)
        ranges = [IdRange(*part) for part in batch.ranges]
        places = zip(walk(ranges), plan.row_ids(), strict=True)
        with result_files(plan.paths) as files:
            number = 0
            async for outcome, result in parts.service.outcomes(batch.ranges):
                task, row_id = next(places)
                if outcome.id != task:
                    raise LedgerBroken(self._url, f"row {number + 1} of {encode(batch.id, 'batch')} has no outcome")
                number += 1
                files.add(number, row_id, outcome, result)
                if number % _TOLD_EVERY == 0:
                    self._listener.advance(number)
            if next(places, None) is not None:
                raise LedgerBroken(self._url, f"row {number + 1} of {encode(batch.id, 'batch')} has no outcome")
            files.sync()
            if files.differ():
                if not owns_out(plan, batch):
                    refuse_unknown(plan, plan.paths.existing())
                files.place(parts.failpoint)

    def _summary(self) -> Summary:
        batch, core = self._batch, self._parts.loop.core
        if batch is not None and core is not None:
            batch = core.book.batches.get(batch.id, batch)
        whole = self._work is not None and not self._work.cancelled()
        seconds = time.monotonic() - self._began_s
        return summary_of(self._plan, batch, self._before, whole=whole, seconds=seconds, ledger=self._url)


def _over(batch: Batch) -> bool:
    return sum(batch.ended.values()) >= batch.rows
