"""Traces: each format is read as it was recorded, and whatever is wrong is told with its place."""

import json
from pathlib import Path
from typing import Any

import pytest

from wsaios.kernel.errors import InputError
from wsaios.simulation.clock import START_US
from wsaios.simulation.trace import Job, Reading, adjusted
from wsaios.simulation.trace_files import read_trace

TABLE = "arrival,service,class,priority,tenant,deadline,handler\n"
REQUESTS = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"


def instance(tasks: list[tuple[str, list[str]]], runs: dict[str, Any] | None = None) -> str:
    ran = {name: 1.5 for name, _ in tasks} if runs is None else runs
    steps = [{"id": name, "name": name, "parents": parents} for name, parents in tasks]
    times = [{"id": name, "runtimeInSeconds": seconds} for name, seconds in ran.items()]
    body = {"specification": {"tasks": steps}, "execution": {"tasks": times}}
    return json.dumps({"schemaVersion": "1.5", "workflow": body})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "trace"


def test_a_table_of_arrivals(file: Path) -> None:
    file.write_text(TABLE + "2026-01-01T00:00:01Z,0.5,fast,7,acme,9,embed\n0.25,2,,,,,\n", encoding="utf-8")
    trace = adjusted(read_trace(str(file), Reading()), Reading())
    assert trace.jobs == [
        Job(START_US + 250_000, 2_000_000, "priority 0"),
        Job(START_US + 1_000_000, 500_000, "fast", 7, "acme", START_US + 9_000_000, "embed"),
    ]


def test_requests_to_a_model_with_seven_digits_and_no_newline_at_the_end(file: Path) -> None:
    rows = ["2023-11-16 18:17:03.9799609,100,10", "2023-11-16 18:17:04.0319600,300,1", "2023-11-16 18:17:05,200,0"]
    file.write_bytes((REQUESTS + "\r\n".join(rows)).encode())
    jobs = read_trace(str(file), Reading(1000, 100, 10_000)).jobs
    assert [job.service_us for job in jobs] == [111_000, 41_000, 21_000]
    assert [job.grade for job in jobs] == ["short", "long", "short"]
    assert jobs[1].arrival_us - jobs[0].arrival_us == 51_999 + 1
    by_service = read_trace(str(file), Reading(1000, 100, 10_000, by="service")).jobs
    assert [job.grade for job in by_service] == ["long", "short", "short"]


def test_a_workflow_stands_level_by_level_and_knows_its_longest_chain(file: Path) -> None:
    tasks = [("d", ["b", "c"]), ("b", ["a"]), ("c", ["a"]), ("a", [])]
    file.write_text(instance(tasks, {"a": 1, "b": 2, "c": 0.5, "d": 4}), encoding="utf-8")
    trace = read_trace(str(file), Reading())
    assert [job.handler for job in trace.jobs] == ["a", "b", "c", "d"]
    assert [job.parents for job in trace.jobs] == [(), (0,), (0,), (1, 2)]
    assert (trace.path_us, trace.linked) == (7_000_000, True)


def test_classes_get_priorities_and_deadlines_and_more_speed_brings_arrivals_together(file: Path) -> None:
    file.write_text("arrival,service,class\n10,1,a\n20,1,b\n", encoding="utf-8")
    reading = Reading(priorities={"a": 5}, deadlines_s={"b": 3.0}, speed=4.0)
    first, second = adjusted(read_trace(str(file), reading), reading).jobs
    assert (first.priority, first.deadline_us, second.priority) == (5, None, 0)
    assert second.arrival_us - first.arrival_us == 2_500_000
    assert second.deadline_us == second.arrival_us + 3_000_000


@pytest.mark.parametrize(
    "text, where, what",
    [
        ("arrival,size\n", "line 1", "no column service"),
        ("arrival,service,sise\n", "line 1", "'sise' is none of"),
        ("arrival,service\n1,2\n1\n", "line 3", "has 1 fields, and the header 2"),
        ("arrival,service\nsoon,2\n", "line 2, field arrival", "not 'soon'"),
        ("arrival,service\n1,-2\n", "line 2, field service", "must be seconds"),
        ("arrival,service\n1,nan\n", "line 2, field service", "not 'nan'"),
        (TABLE + "1,2,,700,,,\n", "line 2, field priority", "from -100 to 100, not '700'"),
        (TABLE + "1,2,,,,later,\n", "line 2, field deadline", "not 'later'"),
        ('arrival,service\n1,"2\n', "line 2", "is no CSV"),
        (REQUESTS + "yesterday,1,2", "line 2, field TIMESTAMP", "not 'yesterday'"),
        (REQUESTS + "2023-11-16 18:17:03,1,-2", "line 2, field GeneratedTokens", "not '-2'"),
        ("{", "", "WfFormat 1.5"),
        ('{"workflow": {}}', "", "missing required field"),
        (instance([("a", []), ("a", [])]), "workflow.specification.tasks", "an id occurs twice"),
        (instance([("a", [])], {}), "workflow.execution.tasks", "'a' has no runtimeInSeconds"),
        (instance([("a", [])], {"a": -1}), "task 'a', field runtimeInSeconds", "must be seconds"),
        (instance([("a", ["z"])]), "task 'a', field parents", "no task 'z'"),
        (instance([("a", ["b"]), ("b", ["a"])]), "workflow.specification.tasks", "a → b → a"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(file: Path, text: str, where: str, what: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as told:
        read_trace(str(file), Reading())
    assert (told.value.source, told.value.where) == (str(file), where)
    assert what in str(told.value)


def test_what_cannot_be_read_or_holds_nothing_is_told(file: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_trace(str(file), Reading())
    file.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="no text in UTF-8"):
        read_trace(str(file), Reading())
    file.write_text("arrival,service\n", encoding="utf-8")
    with pytest.raises(InputError, match="no requests"):
        adjusted(read_trace(str(file), Reading()), Reading())
    file.write_text("arrival,service,class\n1,1,a\n", encoding="utf-8")
    reading = Reading(priorities={"b": 1})
    with pytest.raises(InputError, match="class 'b': there is none, only a"):
        adjusted(read_trace(str(file), reading), reading)
