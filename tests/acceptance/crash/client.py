"""A submitter that says what it is about to ask, asks, and notes at once what was acknowledged."""

import os
import signal
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import Any, Final, Literal

from tests.acceptance.crash.lines import Line, Lines
from wsaios import Batch, Run, Scheduler, Task

Row = Mapping[str, object]
Rows = Iterable[Row] | AsyncIterable[Row]
Word = Literal["cancelling", "cancelled", "pausing", "resumed", "replaying", "replayed"]


PARTS: Final = {"first": "double", "each.0": "double", "each.1": "double", "each.2": "double"} | {
    "amend": "amend",
    "last": "double",
}
"""The calls of a run, and their handlers."""
FLOW: Final[dict[str, Any]] = {
    "name": "fan-out",
    "input": {"call": {"type": "string"}},
    "steps": [
        {"id": "first", "handler": "double", "args": {"call": "${input.call}.first", "value": 1}},
        {
            "id": "each",
            "handler": "double",
            "foreach": "[1, 2, 3]",
            "max_parallel": 2,
            "args": {"call": "${input.call}.each.${index}", "value": "${item + steps.first.result.value}"},
            "depends_on": ["first"],
        },
        {
            "id": "amend",
            "handler": "amend",
            "args": {"call": "${input.call}.amend"},
            "depends_on": ["each"],
            "max_attempts": 1,
        },
        {
            "id": "last",
            "handler": "double",
            "args": {"call": "${input.call}.last", "value": "${size(steps.each.result)}"},
            "depends_on": ["amend", "each"],
        },
    ],
}


APPROVED: Final[dict[str, Any]] = {
    "name": "approval",
    "input": {"call": {"type": "string"}},
    "steps": [
        {
            "id": "told",
            "handler": "double",
            "args": {"call": "${input.call}.told", "value": 1},
            "wait_for": {"event": "approved", "filter": "event.data.call == input.call"},
        }
    ],
}
"""A run of it waits from its beginning on; whoever lives when nobody told it yet tells it."""
BEGUN: Final[dict[str, Any]] = {
    "name": "begun",
    "input": {"call": {"type": "string"}},
    "steps": [{"id": "first", "handler": "double", "args": {"call": "${input.call}.first", "value": 1}}],
}
"""A trigger begins it at each event ``begin``."""


class Broken(Exception):
    """A source of rows ended in the middle."""


class Client:
    """One life's submissions; with `dies_at` the process kills itself right behind the return of that submission."""

    def __init__(
        self, scheduler: Scheduler, journal: Lines, acknowledge: Callable[[Line], None], life: int, dies_at: int
    ) -> None:
        self.scheduler = scheduler
        self.life = life
        self._journal = journal
        self._acknowledge = acknowledge
        self._dies_at = dies_at
        self._calls = 0
        self._submissions = 0
        self._named: dict[str, str] = {}

    def name(self) -> str:
        """A name for a call that no other call of the round has."""
        self._calls += 1
        return f"L{self.life}.{self._calls}"

    async def submit(self, handler: str, arguments: Mapping[str, Any] | None = None, **options: Any) -> Task:
        """Submit a new call."""
        return await self.repeat(self.name(), handler, arguments or {}, **options)

    async def repeat(self, call: str, handler: str, arguments: Mapping[str, Any], **options: Any) -> Task:
        """Submit a call under a name of before."""
        given = {**arguments, "call": call}
        dies = self._dies()
        key = options.get("idempotency_key")
        self._say("asked", call, handler=handler, arguments=arguments, key=key, dies=dies)
        if dies:
            await self.scheduler.submit(handler, given, **options)
            os.kill(os.getpid(), signal.SIGKILL)
        task = await self.scheduler.submit(handler, given, **options)
        self._named[task.id] = call
        self._acknowledge({"what": "acknowledged", "call": call, "id": task.id, "life": self.life})
        return task

    async def emit(self, event: str, data: Mapping[str, Any]) -> None:
        """Emit an event that starts one call of ``double``."""
        call = self._begin("double", data)
        await self.scheduler.emit(event, {**data, "call": call})
        self.promise(call)

    async def at(self, time_s: float, arguments: Mapping[str, Any]) -> None:
        """Have one call of ``double`` started at a time."""
        call = self._begin("double", arguments)
        await self.scheduler.triggers.at(time_s, "double", {**arguments, "call": call}, name=call)
        self.promise(call)

    async def flow(self) -> tuple[str, Run]:
        """Begin a run of the workflow; its calls are named after it."""
        call = self.name()
        for part, handler in PARTS.items():
            self._say("asked", f"{call}.{part}", handler=handler, arguments={}, key=None, dies=False)
        run = await self.scheduler.run_workflow(FLOW, input={"call": call})
        for part in PARTS:
            if part != "last":
                self.promise(f"{call}.{part}")
        return call, run

    async def approve(self) -> None:
        """Begin a run that waits for an event, and emit that."""
        call = self._begin_part("told")
        await self.scheduler.run_workflow(APPROVED, input={"call": call})
        await self.scheduler.emit("approved", {"call": call})
        self.promise(f"{call}.told")

    async def begin(self) -> None:
        """Emit an event at which a trigger begins a run."""
        call = self._begin_part("first")
        await self.scheduler.emit("begin", {"call": call})
        self.promise(f"{call}.first")

    def promise(self, call: str) -> None:
        """Note that a call will be there, although nobody was told its id."""
        self._acknowledge({"what": "promised", "call": call, "life": self.life})

    async def submit_many(self, handler: str, rows: Callable[[str], Rows], length: int, **options: Any) -> Batch:
        """Submit a batch; `rows` makes them from the batch's name."""
        call = self.name()
        dies = self._dies()
        self._say("asked", call, handler=handler, rows=length, key=None, dies=dies)
        if dies:
            await self.scheduler.submit_many(handler, rows(call), **options)
            os.kill(os.getpid(), signal.SIGKILL)
        batch = await self.scheduler.submit_many(handler, rows(call), **options)
        ids = [task.id for task in batch]
        self._acknowledge({"what": "acknowledged", "call": call, "id": batch.id, "ids": ids, "life": self.life})
        return batch

    def call_of(self, task: Task) -> str:
        """The name under which a task was submitted."""
        return self._named[task.id]

    def note(self, word: Word, target: Task | Batch | str) -> None:
        """Write into the journal what is about to be done to a task or batch, or was."""
        self._say(word, "", id=target if isinstance(target, str) else target.id)

    def told(self, task: Task, result: object) -> None:
        """Write into the journal which result a caller was given."""
        self._say("told", "", id=task.id, result=result)

    async def submit_broken(self, handler: str, rows: Callable[[str], Rows], length: int) -> None:
        """Submit a batch whose rows end with `Broken`: nothing of it may remain."""
        call = self.name()
        self._say("asked", call, handler=handler, rows=length, key=None, dies=False)
        try:
            await self.scheduler.submit_many(handler, rows(call))
        except Broken:
            self._say("refused", call)

    def _begin(self, handler: str, arguments: Mapping[str, Any]) -> str:
        call = self.name()
        self._say("asked", call, handler=handler, arguments=arguments, key=None, dies=False)
        return call

    def _begin_part(self, part: str) -> str:
        call = self.name()
        self._say("asked", f"{call}.{part}", handler="double", arguments={}, key=None, dies=False)
        return call

    def _dies(self) -> bool:
        self._submissions += 1
        return self._submissions == self._dies_at

    def _say(self, what: str, call: str, **more: object) -> None:
        self._journal.append({"what": what, "call": call, "life": self.life} | more)
