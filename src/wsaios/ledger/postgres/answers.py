"""Questions that the ledger answers, each with one statement or two."""

from collections.abc import Sequence
from functools import singledispatchmethod
from typing import Any

import msgspec
from msgspec.structs import asdict

from wsaios.kernel.ledger import (
    Answer,
    BatchById,
    ById,
    DefinitionOf,
    DependentsOf,
    DependentsOfMany,
    DueAfter,
    EndedAfter,
    ExpiringAfter,
    FactOf,
    IdempotencyOf,
    LiveAfter,
    Payload,
    Question,
    ReadyAfter,
    ResultsOf,
    RunsBefore,
    RunsById,
    StepsOf,
)
from wsaios.kernel.run import StoredDefinition
from wsaios.kernel.states import State
from wsaios.kernel.task import Shard, Task
from wsaios.ledger.postgres import records
from wsaios.ledger.postgres.session import Session


class Answers:
    """Reads through one session what questions ask for."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @singledispatchmethod
    async def answer(self, question: Question) -> Answer:
        """The answer as of now."""
        raise TypeError(f"{type(question).__name__} is no question to a ledger")

    async def payloads(self, name: str, ids: Sequence[int]) -> dict[int, Payload]:
        """Bytes by task; `name` is the statement that finds them."""
        return records.payloads_of(await self._session.rows(name, ids=ids))

    async def shards(self, questions: Sequence[Question], answers: Sequence[Answer]) -> list[Shard]:
        """Those of the tasks and outcomes in answers, but for `ReadyAfter`."""
        found: set[int] = set()
        for question, answer in zip(questions, answers, strict=True):
            if type(question) is not ReadyAfter:
                found.update([task.shard for task in answer.tasks])
                found.update([outcome.shard for outcome in answer.outcomes])
        return records.shards_of(await self._session.rows("shards_by_id", ids=sorted(found))) if found else []

    @answer.register
    async def _(self, question: ReadyAfter) -> Answer:
        return Answer(tasks=await self._tasks("ready_after", **asdict(question)))

    @answer.register
    async def _(self, question: DueAfter) -> Answer:
        return Answer(tasks=await self._tasks("due_after", **asdict(question)))

    @answer.register
    async def _(self, question: ExpiringAfter) -> Answer:
        return Answer(tasks=await self._tasks("expiring_after", **asdict(question)))

    @answer.register
    async def _(self, question: LiveAfter) -> Answer:
        return Answer(tasks=await self._tasks("live_after", **asdict(question)))

    @answer.register
    async def _(self, question: ById) -> Answer:
        tasks = await self._tasks("tasks_by_id", ids=question.ids)
        return Answer(
            tasks=tasks, outcomes=records.outcomes_of(await self._session.rows("outcomes_by_id", ids=question.ids))
        )

    @answer.register
    async def _(self, question: EndedAfter) -> Answer:
        name = "ended_after" if State.SUCCEEDED in question.states else "unsuccessful_after"
        return Answer(outcomes=records.outcomes_of(await self._session.rows(name, **asdict(question))))

    @answer.register
    async def _(self, question: DependentsOf) -> Answer:
        return await self._linked("links_of", **asdict(question))

    @answer.register
    async def _(self, question: DependentsOfMany) -> Answer:
        return await self._linked("links_of_many", **asdict(question))

    @answer.register
    async def _(self, question: IdempotencyOf) -> Answer:
        tenants, keys = [pair[0].encode() for pair in question.pairs], [pair[1].encode() for pair in question.pairs]
        rows = await self._session.rows("keys_of", tenants=tenants, keys=keys, now_us=question.now_us)
        return Answer(keys=records.keys_of(rows))

    @answer.register
    async def _(self, question: BatchById) -> Answer:
        return Answer(batches=records.batches_of(await self._session.rows("batch_by_id", id=question.id)))

    @answer.register
    async def _(self, question: RunsById) -> Answer:
        return Answer(runs=records.runs_of(await self._session.rows("runs_by_id", ids=question.ids)))

    @answer.register
    async def _(self, question: RunsBefore) -> Answer:
        return Answer(runs=records.runs_of(await self._session.rows("runs_before", **asdict(question))))

    @answer.register
    async def _(self, question: StepsOf) -> Answer:
        # In two parts, so that of the days of outcomes only those are looked at that can have them.
        rows = await self._session.rows("steps_of", **asdict(question))
        tasks = [row[3] for row in rows if row[3]]
        return Answer(steps=records.steps_of(rows, await self._session.rows("ends_of_steps", ids=tasks)))

    @answer.register
    async def _(self, question: ResultsOf) -> Answer:
        found = records.payloads_of(await self._session.rows("results_of", ids=question.ids))
        return Answer(results=[found[number] for number in sorted(found)])

    @answer.register
    async def _(self, question: DefinitionOf) -> Answer:
        rows = await self._session.rows("definition_of", **asdict(question))
        return Answer(definitions=[StoredDefinition(*row) for row in rows])

    @answer.register
    async def _(self, question: FactOf) -> Answer:
        given = {"component": question.component.encode(), "key": question.key.encode()}
        return Answer(facts=[msgspec.json.decode(text) for (text,) in await self._session.rows("fact_of", **given)])

    async def _tasks(self, name: str, **given: Any) -> list[Task]:
        return records.tasks_of(await self._session.rows(name, **given))

    async def _linked(self, name: str, **given: Any) -> Answer:
        links = [(parent, child) for parent, child in await self._session.rows(name, **given)]
        children = sorted({child for _, child in links})
        return Answer(links=links, tasks=await self._tasks("tasks_by_id", ids=children))
