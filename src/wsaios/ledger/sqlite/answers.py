"""Questions that the ledger answers, each with one row."""

from collections.abc import Mapping, Sequence
from functools import singledispatchmethod
from typing import Any, Final

import apsw
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
    IdempotencyRow,
    LiveAfter,
    Payload,
    Question,
    ReadyAfter,
    ResultsOf,
    RunsBefore,
    RunsById,
    StepsOf,
)
from wsaios.kernel.run import Run, StepRow, StoredDefinition
from wsaios.kernel.states import State
from wsaios.kernel.task import Batch, Outcome, Shard, Task
from wsaios.ledger.prepared import as_json

_TASKS: Final = msgspec.json.Decoder(list[Task])
_OUTCOMES: Final = msgspec.json.Decoder(list[Outcome])
_BATCHES: Final = msgspec.json.Decoder(list[Batch])
_SHARDS: Final = msgspec.json.Decoder(list[Shard])
_LINKS: Final = msgspec.json.Decoder(list[tuple[int, int]])
_KEYS: Final = msgspec.json.Decoder(list[IdempotencyRow])
_RUNS: Final = msgspec.json.Decoder(list[Run])
_STEPS: Final = msgspec.json.Decoder(list[StepRow])
_PLACES: Final = msgspec.json.Decoder(list[tuple[int, int, int]])


class Answers:
    """Reads through one connection what questions ask for."""

    def __init__(self, connection: apsw.Connection, sql: Mapping[str, str]) -> None:
        self._cursor = connection.cursor()
        self._sql = sql

    @singledispatchmethod
    def answer(self, question: Question) -> Answer:
        """The answer as of now."""
        raise TypeError(f"{type(question).__name__} is no question to a ledger")

    def payloads(self, name: str, ids: Sequence[int]) -> dict[int, Payload]:
        """Bytes by task; `name` is the statement that finds them."""
        places, data = self._cursor.execute(self._sql[name], {"ids": as_json(ids)}).get
        found, place = {}, 0
        for task, codec, size in _PLACES.decode(places):
            found[task] = Payload(task, codec, data[place : place + size])
            place += size
        return found

    def shards(self, questions: Sequence[Question], answers: Sequence[Answer]) -> list[Shard]:
        """Those of the tasks and outcomes in answers, but for `ReadyAfter`."""
        found: set[int] = set()
        for question, answer in zip(questions, answers, strict=True):
            if type(question) is not ReadyAfter:
                found.update([task.shard for task in answer.tasks])
                found.update([outcome.shard for outcome in answer.outcomes])
        return _SHARDS.decode(self._one("shards_by_id", {"ids": as_json(sorted(found))})) if found else []

    @answer.register
    def _(self, question: ReadyAfter) -> Answer:
        return Answer(tasks=self._tasks("ready_after", asdict(question)))

    @answer.register
    def _(self, question: DueAfter) -> Answer:
        return Answer(tasks=self._tasks("due_after", asdict(question)))

    @answer.register
    def _(self, question: ExpiringAfter) -> Answer:
        return Answer(tasks=self._tasks("expiring_after", asdict(question)))

    @answer.register
    def _(self, question: LiveAfter) -> Answer:
        return Answer(tasks=self._tasks("live_after", asdict(question)))

    @answer.register
    def _(self, question: ById) -> Answer:
        ids = {"ids": as_json(question.ids)}
        return Answer(
            tasks=self._tasks("tasks_by_id", ids), outcomes=_OUTCOMES.decode(self._one("outcomes_by_id", ids))
        )

    @answer.register
    def _(self, question: EndedAfter) -> Answer:
        name = "ended_after" if State.SUCCEEDED in question.states else "unsuccessful_after"
        parameters = asdict(question) | {"states": as_json(question.states)}
        return Answer(outcomes=_OUTCOMES.decode(self._one(name, parameters)))

    @answer.register
    def _(self, question: DependentsOf) -> Answer:
        links = _LINKS.decode(self._one("links_of", asdict(question)))
        children = {"ids": as_json([child for _, child in links])}
        return Answer(links=links, tasks=self._tasks("tasks_by_id", children))

    @answer.register
    def _(self, question: DependentsOfMany) -> Answer:
        parameters = {"parents": as_json(question.parents), "limit": question.limit}
        links = _LINKS.decode(self._one("links_of_many", parameters))
        children = {"ids": as_json(sorted({child for _, child in links}))}
        return Answer(links=links, tasks=self._tasks("tasks_by_id", children))

    @answer.register
    def _(self, question: IdempotencyOf) -> Answer:
        parameters = {"pairs": as_json(question.pairs), "now_us": question.now_us}
        return Answer(keys=_KEYS.decode(self._one("keys_of", parameters)))

    @answer.register
    def _(self, question: BatchById) -> Answer:
        return Answer(batches=_BATCHES.decode(self._one("batch_by_id", asdict(question))))

    @answer.register
    def _(self, question: RunsById) -> Answer:
        return Answer(runs=_RUNS.decode(self._one("runs_by_id", {"ids": as_json(question.ids)})))

    @answer.register
    def _(self, question: RunsBefore) -> Answer:
        parameters = asdict(question) | {"states": as_json(question.states)}
        return Answer(runs=_RUNS.decode(self._one("runs_before", parameters)))

    @answer.register
    def _(self, question: StepsOf) -> Answer:
        return Answer(steps=_STEPS.decode(self._one("steps_of", asdict(question))))

    @answer.register
    def _(self, question: ResultsOf) -> Answer:
        return Answer(results=list(self.payloads("results_of", question.ids).values()))

    @answer.register
    def _(self, question: DefinitionOf) -> Answer:
        rows = list(self._cursor.execute(self._sql["definition_of"], asdict(question)))
        return Answer(definitions=[StoredDefinition(*row) for row in rows])

    @answer.register
    def _(self, question: FactOf) -> Answer:
        rows = self._cursor.execute(self._sql["fact_of"], asdict(question))
        return Answer(facts=[msgspec.json.decode(text) for (text,) in rows])

    def _tasks(self, name: str, parameters: Mapping[str, Any]) -> list[Task]:
        return _TASKS.decode(self._one(name, parameters))

    def _one(self, name: str, parameters: Mapping[str, Any]) -> str:
        return str(self._cursor.execute(self._sql[name], parameters).get)
