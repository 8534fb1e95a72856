"""Runs of workflows: their definitions, their steps, and how long all of it is kept."""

import pytest
from msgspec.structs import replace

from tests.conformance.ledger.desk import NOW_US, Another, Desk, ids, outcome, task
from wsaios.kernel.errors import LedgerUnavailable, WsaiosError
from wsaios.kernel.ledger import ById, DefinitionOf, FactOf, Payload, ResultsOf, RunsBefore, RunsById, StepsOf
from wsaios.kernel.run import WHOLE, Run, RunState, StepRow, StepState, StoredDefinition
from wsaios.kernel.states import State
from wsaios.kernel.task import Failure

VERSION = "a" * 64
DEFINITION = StoredDefinition(VERSION, "reports", NOW_US, b'{"name":"reports","steps":[]}\x00\xff')
FAILURE = Failure("StepFailed", "no \x00 way", "")


def run(number: int, state: int = RunState.RUNNING, **fields: object) -> Run:
    ended = NOW_US + 5 if state >= RunState.SUCCEEDED else 0
    made = Run(number, int(state), VERSION, "reports", "acme", 3, NOW_US, ended, 0, '{"a":"\\u0000 ü"}')
    return replace(made, **fields)


def step(
    of: int, number: int, item: int = WHOLE, at: int = 0, state: int = StepState.TASK, **fields: object
) -> StepRow:
    return replace(StepRow(of, number, item, at, int(state), NOW_US), **fields)


def all_steps(of: int) -> StepsOf:
    return StepsOf(of, -1, -1, 99)


def test_a_run_comes_back_as_it_was_written(desk: Desk) -> None:
    first = run(5)
    desk.write(definitions=[DEFINITION], runs=[first])
    assert desk.ask(RunsById((5, 6))).runs == [first]
    assert desk.ask(DefinitionOf(VERSION)).definitions == [DEFINITION]
    assert desk.ask(DefinitionOf("b" * 64)).definitions == []
    ended = run(5, RunState.FAILED, tries=2, output='[1,"\\u0000"]', failure=FAILURE)
    # The content of a version never changes.
    desk.write(definitions=[replace(DEFINITION, name="other")], runs=[first, ended])
    assert desk.ask(RunsById((5,))).runs == [ended]
    assert desk.ask(DefinitionOf(VERSION)).definitions == [DEFINITION]


def test_runs_are_listed_latest_first_and_by_state(desk: Desk) -> None:
    rows = [run(1), run(2, RunState.SUCCEEDED), run(3, RunState.PAUSED), run(4, RunState.CANCELLED)]
    desk.write(runs=rows)
    assert [row.id for row in desk.ask(RunsBefore(1 << 62, (), 3)).runs] == [4, 3, 2]
    assert [row.id for row in desk.ask(RunsBefore(4, (), 9)).runs] == [3, 2, 1]
    assert [row.id for row in desk.ask(RunsBefore(1 << 62, (RunState.RUNNING, RunState.CANCELLED), 9)).runs] == [4, 1]
    reads = desk.ledger.reads()
    assert [row.id for row in reads.asked(RunsBefore(3, (), 9)).runs] == [2, 1]


def test_a_step_tells_how_its_task_ended_without_storing_it(desk: Desk) -> None:
    one, two, three = desk.add(task(11), task(12), task(13))
    rows = [
        step(5, 0, at=11),
        step(5, 1, state=StepState.LIST, data='{"items":[1,2]}'),
        step(5, 1, 0, at=12),
        step(5, 1, 1, at=13),
        step(5, 2, state=StepState.SKIPPED),
        step(5, 3, state=StepState.FAILED, failure=FAILURE),
    ]
    desk.write(runs=[run(5)], steps=rows)
    assert desk.ask(all_steps(5)).steps == rows
    desk.end(outcome(one), outcome(two, State.FAILED), results=[Payload(11, 0, b'"done"')])
    told = desk.ask(all_steps(5)).steps
    assert [(row.ended, row.size) for row in told] == [(6, 6), (0, 0), (7, 0), (0, 0), (0, 0), (0, 0)]
    assert desk.ask(StepsOf(5, 1, 0, 2)).steps == [rows[3], rows[4]]
    assert desk.ask(ResultsOf((11, 12, 13, 14))).results == [Payload(11, 0, b'"done"')]
    assert desk.ask(all_steps(6)).steps == []
    assert three.id == rows[3].task


def test_a_row_of_a_step_is_replaced_and_removed_by_its_key(desk: Desk) -> None:
    desk.add(task(11), task(12))
    desk.write(runs=[run(5)], steps=[step(5, 0, at=11), step(5, 1, state=StepState.WAITING), step(5, 2, at=12)])
    told = step(5, 1, state=StepState.SUCCEEDED, data="null")
    again = step(5, 0, state=StepState.SKIPPED)
    desk.write(steps_gone=[(5, 0, WHOLE), (5, 2, WHOLE)], steps=[step(5, 1, state=StepState.WAITING), told, again])
    assert desk.ask(all_steps(5)).steps == [again, told]


def test_a_rule_that_is_broken_leaves_nothing(desk: Desk) -> None:
    with pytest.raises(WsaiosError):
        desk.write(definitions=[DEFINITION], runs=[run(5, RunState.SUCCEEDED, ended_us=0)])
    desk.reopen()
    with pytest.raises(WsaiosError):
        desk.write(definitions=[DEFINITION], runs=[run(5)], steps=[step(5, 0, at=0)])
    opening = desk.reopen()
    assert opening.runs == []
    assert desk.ask(DefinitionOf(VERSION)).definitions == []


def test_a_new_owner_is_told_the_runs_that_have_not_ended(lasting: Another) -> None:
    first = Desk(lasting())
    rows = [run(1), run(2, RunState.SUCCEEDED), run(3, RunState.PAUSED), run(4, RunState.CANCELLING)]
    first.write(definitions=[DEFINITION], runs=rows)
    first.ledger.close()
    opening = lasting().open(NOW_US + 9, "the next")
    assert opening.runs == [rows[0], rows[2], rows[3]]


def test_what_a_step_names_is_kept_as_long_as_its_run(desk: Desk) -> None:
    named, alone = desk.add(task(11), task(12))
    desk.write(definitions=[DEFINITION], runs=[run(5)], steps=[step(5, 0, at=11)])
    desk.end(outcome(named), outcome(alone))
    late = NOW_US + 1_000_000
    desk.ledger.prune(late, 100)
    assert [row.id for row in desk.ask(ById((11, 12))).outcomes] == [11]
    desk.write(runs=[run(5, RunState.SUCCEEDED, ended_us=late)])
    assert desk.ledger.prune(late, 100) == 0
    while desk.ledger.prune(late + 1, 100):
        pass
    assert desk.ask(RunsById((5,))).runs == []
    assert desk.ask(all_steps(5)).steps == []
    assert ids(desk.ask(ById((11,))).tasks) == []
    assert desk.ask(ById((11,))).outcomes == []
    assert desk.ask(DefinitionOf(VERSION)).definitions == []


def test_a_definition_stays_while_a_run_needs_it_or_its_workflow_is_published(desk: Desk) -> None:
    other = replace(DEFINITION, version="b" * 64, name="published")
    rows = [run(5, RunState.FAILED), run(6), run(7, RunState.SUCCEEDED, version=other.version, name="published")]
    desk.write(definitions=[DEFINITION, other], runs=rows, facts=[("workflow", "published", {"versions": []})])
    while desk.ledger.prune(NOW_US + 1_000_000, 100):
        pass
    assert [row.id for row in desk.ask(RunsBefore(99, (), 9)).runs] == [6]
    assert desk.ask(DefinitionOf(VERSION)).definitions == [DEFINITION]
    assert desk.ask(DefinitionOf(other.version)).definitions == [other]


def test_a_large_run_goes_in_pieces_and_is_gone_for_everyone_from_the_first(desk: Desk) -> None:
    desk.write(runs=[run(5, RunState.FAILED)], steps=[step(5, n, state=StepState.SKIPPED) for n in range(10)])
    desk.ledger.prune(NOW_US + 1_000_000, 4)
    assert desk.ask(RunsById((5,))).runs == []
    while desk.ledger.prune(NOW_US + 1_000_000, 4):
        pass
    assert desk.ask(all_steps(5)).steps == []


def test_contradictions_are_counted(another: Another) -> None:
    ledger = another()
    if not hasattr(ledger, "check"):
        pytest.skip("this ledger has no check of its own")
    desk = Desk(ledger)
    desk.write(definitions=[DEFINITION], runs=[run(1)], steps=[step(1, 0, at=77), step(9, 0, state=StepState.SKIPPED)])
    desk.write(runs=[run(1, RunState.FAILED, version="c" * 64)])
    found = ledger.check()
    assert "2 steps belong to a run or a task that does not exist" in found
    assert any("runs have no definition" in line for line in found)


def test_reads_answer_questions(desk: Desk) -> None:
    desk.write(definitions=[DEFINITION], runs=[run(5)], steps=[step(5, 0, state=StepState.SKIPPED)])
    reads = desk.ledger.reads()
    assert reads.asked(RunsById((5,))).runs == [run(5)]
    assert reads.asked(all_steps(5)).steps == [step(5, 0, state=StepState.SKIPPED)]
    reads.close()  # type: ignore[attr-defined]  # every reader has it
    with pytest.raises(LedgerUnavailable):
        reads.asked(RunsById((5,)))


def test_one_fact_is_told_as_it_is_now(desk: Desk) -> None:
    desk.write(facts=[("workflow", "é\x00", {"a": [1, "\x00"]}), ("workflow", "gone", 1), ("state", "gone", 2)])
    desk.write(facts=[("workflow", "gone", None)])
    assert desk.ask(FactOf("workflow", "é\x00")).facts == [{"a": [1, "\x00"]}]
    assert desk.ask(FactOf("workflow", "gone")).facts == []
    assert desk.ask(FactOf("state", "gone")).facts == [2]
