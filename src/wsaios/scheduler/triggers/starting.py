"""What a firing starts: a normal submission, in the commit that decides it."""

from wsaios.kernel.errors import (
    ExpressionFailed,
    InvalidInput,
    MissingExtra,
    UnknownLane,
    UnknownWorkflow,
    WsaiosError,
)
from wsaios.kernel.events import OpenBatch, SealBatch, StageRows, Submit
from wsaios.kernel.ids import encode
from wsaios.kernel.ledger import Payload
from wsaios.kernel.run import NewRun
from wsaios.kernel.states import State
from wsaios.kernel.task import DEFAULT_TENANT, Batch, Failure, NewTask
from wsaios.kernel.trigger import Moment, StartBatch, StartTask, StartWorkflow
from wsaios.planning.starting import Prepared, call_of, check_run, rows_of, run_of
from wsaios.scheduler.batches import Batches
from wsaios.scheduler.book import Book
from wsaios.scheduler.intake import Intake, make
from wsaios.scheduler.intake import start as begin
from wsaios.scheduler.runs import Runs
from wsaios.scheduler.triggers.plans import Plans


class Starting:
    """Submits tasks, batches and runs under the key of their firing, so that who looks for it finds them."""

    def __init__(self, book: Book, intake: Intake, batches: Batches, runs: Runs, plans: Plans) -> None:
        self._book = book
        self._intake = intake
        self._batches = batches
        self.runs = runs
        self.plans = plans

    def ready(self, ready: Prepared) -> bool:
        """Whether it can be started in this step."""
        return not isinstance(ready.start, StartWorkflow) or self.plans.ready(ready.start.workflow)

    def start(self, ready: Prepared, moment: Moment, name: str) -> tuple[str, str]:
        """Start it; returns its id, and why it could only be started to fail (else nothing).

        What cannot be submitted is a task or a run that has failed and says why: nobody waits here who could be told.
        No id: there is nothing that could be started.
        """
        if isinstance(ready.start, StartWorkflow):
            return self._run(ready, ready.start, moment, name)
        return self._submit(ready, ready.start, moment, name)

    def _submit(self, ready: Prepared, start: StartTask | StartBatch, moment: Moment, name: str) -> tuple[str, str]:
        spec, now_us = self._book.executor.handlers.get(start.handler), self._book.now_us
        try:
            if isinstance(start, StartBatch):
                template, rows = rows_of(ready, moment, name, spec, now_us)
                self._check_lane(template)
                return self._batch(template, rows, moment, name), ""
            new = call_of(ready, moment, name, spec, now_us)
            self._check_lane(new)
        except (InvalidInput, ExpressionFailed, UnknownLane) as error:
            return self._turned_away(start, error, name), str(error)
        self._intake.submit(Submit(None, [new], client_token=f"trigger {moment.key}"))
        history = self._book.tasks[new.id].body.history
        state, at_us, fence, reason = history[0]
        history[0] = (state, at_us, fence, "; ".join(filter(None, (_by(name), reason))))
        return encode(new.id), ""

    def _run(self, ready: Prepared, start: StartWorkflow, moment: Moment, name: str) -> tuple[str, str]:
        try:
            sheet = self.plans.choose(start.workflow)
        except UnknownWorkflow as error:
            return "", str(error)
        new = NewRun(sheet.plan, "{}", start.options.get("tenant") or DEFAULT_TENANT)
        try:
            new = run_of(ready, moment, name, sheet.plan)
            number, fault = self.runs.begin(check_run(new), f"trigger {moment.key}", sheet), ""
        except (InvalidInput, ExpressionFailed, MissingExtra) as error:
            fault = str(error)
            number = self.runs.refuse(new, Failure(type(error).__name__, fault))
        return encode(number, "run"), fault

    def _batch(self, template: NewTask, rows: list[bytes], moment: Moment, name: str) -> str:
        batch = Batch(0, 0, template.handler, template.tenant, 0, key=f"trigger {moment.key}", meta={"name": name})
        self._batches.open(OpenBatch(None, batch))
        if rows:
            self._batches.stage(StageRows(None, batch.id, template, rows))
        self._batches.seal(SealBatch(None, batch.id))
        return encode(batch.id, "batch")

    def _check_lane(self, new: NewTask) -> None:
        lanes = self._book.executor.lanes
        if new.lane and lanes and new.lane not in lanes:
            raise UnknownLane(new.lane, list(lanes))

    def _turned_away(self, what: StartTask | StartBatch, error: WsaiosError, name: str) -> str:
        book, reason = self._book, str(error)
        tenant = what.options.get("tenant") or DEFAULT_TENANT
        new = NewTask(what.handler, b"{}", tenant=tenant, id=book.ids.one(book.now_us))
        task = make(book, new)
        task.state, task.body.reason = int(State.PENDING), _by(name)
        begin(task, book.now_us)
        book.add(task, Payload(task.id, new.codec, new.payload))
        book.close(task, State.FAILED, reason, failure=Failure(type(error).__name__, reason))
        return encode(new.id)


def _by(name: str) -> str:
    return f"started by trigger {name}"
