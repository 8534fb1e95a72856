"""What journal and trace say: what was asked and acknowledged, what was done to it, and what was executed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.crash.lines import Line, read


@dataclass(frozen=True)
class Asked:
    """A submission that was begun; `rows` is None for a single task, `acknowledged` are all ids given for it."""

    call: str
    handler: str
    rows: int | None
    key: str | None
    acknowledged: list[str] = field(default_factory=list)
    rows_acknowledged: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Step:
    """One line of the trace: the start, a step or the end of an execution of these tasks; `run` names the execution."""

    what: str
    tasks: tuple[str, ...]
    run: str
    life: int
    saved: int | None


@dataclass
class Record:
    """Everything that processes wrote down while they lived; `done` maps a verb to the ids it was noted for.

    `silent` are calls whose submit returned right before a death, `promised` those of which nobody was told the id,
    `began_us` says when each life began, µs UTC.
    """

    asked: dict[str, Asked] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    promised: set[str] = field(default_factory=set)
    done: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    told: dict[str, Any] = field(default_factory=dict)
    stale: int = 0
    began_us: dict[int, int] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    of_task: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def starts(self, task: str) -> list[int]:
        """The places in `steps` at which executions of a task began."""
        return [place for place in self.of_task[task] if self.steps[place].what == "start"]

    def ends(self, task: str) -> list[int]:
        """The places in `steps` at which executions of a task were about to return."""
        return [place for place in self.of_task[task] if self.steps[place].what == "end"]


def read_record(folder: Path) -> Record:
    """Read what one round left."""
    record, lives = Record(), {}
    dying: dict[int, str] = {}
    for line in read(folder / "journal"):
        what, call = line["what"], line.get("call", "")
        if what == "life":
            lives[line["pid"]] = line["life"]
            record.began_us[line["life"]] = line["at_us"]
        elif what == "asked":
            record.asked.setdefault(call, Asked(call, line["handler"], line.get("rows"), line["key"]))
            if line["dies"]:
                dying[line["life"]] = call
        elif what == "acknowledged":
            _acknowledge(record.asked[call], line)
        elif what == "died behind a submit":
            record.silent.add(dying[line["life"]])
        elif what in {"promised", "refused"}:
            getattr(record, what).add(call)
        elif what == "told":
            record.told[line["id"]] = line["result"]
        elif what == "over":
            record.stale += line["stale"]
        else:
            record.done[what].add(line["id"])
    _trace(record, read(folder / "trace"), lives)
    return record


def _acknowledge(asked: Asked, line: Line) -> None:
    asked.acknowledged.append(line["id"])
    asked.rows_acknowledged.extend(line.get("ids", ()))


def _trace(record: Record, lines: Sequence[Line], lives: dict[int, int]) -> None:
    for place, line in enumerate(lines):
        step = Step(line["what"], tuple(line["tasks"]), line["run"], lives[line["pid"]], line.get("saved"))
        record.steps.append(step)
        for task in step.tasks:
            record.of_task[task].append(place)
