import math
import pickle
from typing import Any

import pytest

from wsaios.components.goals import GoalQueue
from wsaios.kernel.change import Change
from wsaios.kernel.errors import InvalidInput, UnknownGoal


def facts_of(changes: list[Change]) -> list[tuple[str, object]]:
    stored: dict[str, object] = {}
    for change in changes:
        assert change.component == "goals"
        stored[change.key] = change.value
    return [(key, value) for key, value in stored.items() if value is not None]


def reloaded(changes: list[Change]) -> GoalQueue:
    queue = GoalQueue()
    queue.load(facts_of(changes))
    return queue


def test_the_larger_priority_comes_first_then_the_earlier_goal() -> None:
    queue = GoalQueue()
    queue.add("low", 1)
    first = queue.add("提升SEO排名", 10)
    queue.add("also urgent", 10)
    assert queue.get_next() == {"id": first, "desc": "提升SEO排名", "priority": 10, "done": False}
    assert [goal.desc for goal in queue.open()] == ["提升SEO排名", "also urgent", "low"]


def test_asking_for_the_next_goal_changes_nothing() -> None:
    queue = GoalQueue()
    queue.add("one")
    assert queue.get_next() == queue.get_next()


def test_an_empty_queue_has_no_next_goal() -> None:
    assert GoalQueue().get_next() is None


def test_a_goal_without_priority_has_five() -> None:
    queue = GoalQueue()
    queue.add("one")
    found = queue.get_next()
    assert found is not None
    assert found["priority"] == 5


def test_a_finished_goal_makes_room_for_the_one_behind_it() -> None:
    queue = GoalQueue()
    first, second = queue.add("first", 2), queue.add("second", 1)
    queue.finish(first)
    found = queue.get_next()
    assert found is not None
    assert found["id"] == second
    queue.finish(second)
    assert queue.get_next() is None
    assert queue.open() == []


def test_the_id_depends_on_tenant_and_description_only() -> None:
    one, other = GoalQueue(), GoalQueue()
    other.add("something before")
    assert one.add("same", 1) == other.add("same", 9)
    assert one.add("same", tenant="t2") != one.add("same")
    assert one.add("same").startswith("goal_")
    assert GoalQueue().add("x", tenant="ab") != GoalQueue().add("bx", tenant="a")


def test_adding_an_open_goal_again_only_changes_its_priority() -> None:
    queue = GoalQueue()
    moved = queue.add("moved", 1)
    queue.add("other", 5)
    assert queue.add("moved", 9) == moved
    assert [(goal.desc, goal.priority) for goal in queue.open()] == [("moved", 9), ("other", 5)]
    queue.add("moved", 2)
    assert [goal.desc for goal in queue.open()] == ["other", "moved"]
    found = queue.get_next()
    assert found is not None
    assert found["desc"] == "other"


def test_adding_a_finished_goal_reopens_it_behind_its_equals() -> None:
    queue = GoalQueue()
    reopened = queue.add("reopened")
    queue.add("other")
    queue.finish(reopened)
    assert queue.add("reopened") == reopened
    assert [goal.desc for goal in queue.open()] == ["other", "reopened"]


def test_finishing_an_unknown_goal_says_so() -> None:
    with pytest.raises(UnknownGoal, match="goal_nobody"):
        GoalQueue().finish("goal_nobody")


def test_the_cadence_stays_until_another_is_given() -> None:
    queue = GoalQueue()
    queue.add("usual")
    queue.add("slow", cadence_s=60)
    queue.add("slow", 3)
    assert {goal.desc: goal.interval_s for goal in queue.open()} == {"usual": 1.0, "slow": 60}


@pytest.mark.parametrize(
    "arguments, field",
    [
        ({"desc": " "}, "desc"),
        ({"desc": None}, "desc"),
        ({"desc": "\ud800"}, "desc"),
        ({"desc": "x", "priority": "high"}, "priority"),
        ({"desc": "x", "priority": True}, "priority"),
        ({"desc": "x", "cadence_s": 0}, "cadence_s"),
        ({"desc": "x", "cadence_s": math.nan}, "cadence_s"),
        ({"desc": "x", "tenant": ""}, "tenant"),
    ],
)
def test_a_bad_goal_names_its_field_and_changes_nothing(arguments: dict[str, Any], field: str) -> None:
    changes: list[Change] = []
    queue = GoalQueue(sink=changes.append)
    with pytest.raises(InvalidInput, match=field):
        queue.add(**arguments)
    assert changes == []
    assert queue.get_next() is None


def test_only_real_changes_are_emitted() -> None:
    changes: list[Change] = []
    queue = GoalQueue(sink=changes.append)
    goal = queue.add("one", 3)
    queue.add("one", 3)
    queue.finish(goal)
    queue.finish(goal)
    assert [change.key for change in changes] == [goal, goal]


def test_goals_come_back_from_what_was_emitted() -> None:
    changes: list[Change] = []
    queue = GoalQueue(sink=changes.append)
    queue.add("b", 1, cadence_s=2.5)
    queue.add("a", 1)
    queue.finish(queue.add("done", 9))
    restored = reloaded(changes)
    assert restored.open() == queue.open()
    restored.add("c", 1)
    assert [goal.desc for goal in restored.open()] == ["b", "a", "c"]


def test_loading_a_fresh_queue_emits_nothing() -> None:
    changes: list[Change] = []
    GoalQueue(sink=changes.append).add("one")
    quiet: list[Change] = []
    GoalQueue(sink=quiet.append).load(facts_of(changes))
    assert quiet == []


def test_goals_said_before_loading_win_over_stored_ones() -> None:
    earlier: list[Change] = []
    before = GoalQueue(sink=earlier.append)
    before.add("stays", 5, cadence_s=7)
    before.finish(before.add("reopened", 5))
    before.add("closed", 5)

    later: list[Change] = []
    queue = GoalQueue(sink=later.append)
    queue.add("new", 1)
    queue.add("stays", 8)
    queue.add("reopened", 2)
    queue.finish(queue.add("closed", 3))
    assert [goal.desc for goal in queue.open()] == ["stays", "reopened", "new"]
    later.clear()
    queue.load(facts_of(earlier))

    assert [(goal.desc, goal.priority) for goal in queue.open()] == [("stays", 8), ("reopened", 2), ("new", 1)]
    assert queue.open()[0].interval_s == 7
    restarted = GoalQueue()
    restarted.load(facts_of(earlier + later))
    assert restarted.open() == queue.open()


def test_a_goal_added_before_loading_is_there_once() -> None:
    earlier: list[Change] = []
    GoalQueue(sink=earlier.append).add("提升SEO排名", 10)
    queue = GoalQueue(sink=earlier.append)
    queue.add("提升SEO排名", 10)
    queue.load(facts_of(earlier))
    assert len(queue.open()) == 1
    assert len(facts_of(earlier)) == 1


def test_what_loading_emits_supersedes_what_was_emitted_before_it() -> None:
    stored: list[Change] = []
    before = GoalQueue(sink=stored.append)
    before.add("first")
    before.add("second")
    changes: list[Change] = []
    queue = GoalQueue(sink=changes.append)
    queue.add("second")
    queue.load(facts_of(stored))
    assert reloaded(stored + changes).open() == queue.open() == before.open()


def test_a_stored_goal_can_be_finished_before_loading() -> None:
    changes: list[Change] = []
    goal = GoalQueue(sink=changes.append).add("one")
    queue = GoalQueue(sink=changes.append)
    queue.finish(goal)
    queue.load(facts_of(changes))
    assert queue.get_next() is None
    assert reloaded(changes).get_next() is None


def test_a_goal_finished_and_then_added_before_loading_is_open() -> None:
    changes: list[Change] = []
    goal = GoalQueue(sink=changes.append).add("one")
    queue = GoalQueue(sink=changes.append)
    queue.finish(goal)
    queue.add("one")
    queue.load(facts_of(changes))
    assert [found.id for found in queue.open()] == [goal]


def test_finishing_what_is_not_stored_either_is_said_when_loading() -> None:
    queue = GoalQueue(sink=lambda _: None)
    queue.finish("goal_nobody")
    with pytest.raises(UnknownGoal, match="goal_nobody"):
        queue.load([])


def test_loading_again_replaces_everything() -> None:
    changes: list[Change] = []
    queue = GoalQueue(sink=changes.append)
    queue.load([])
    queue.add("kept")
    stored = facts_of(changes)
    queue.add("never committed")
    queue.load(stored)
    assert [goal.desc for goal in queue.open()] == ["kept"]


def test_goals_that_change_often_do_not_fill_the_memory() -> None:
    queue = GoalQueue()
    for priority in range(10_000):
        queue.add("restless", priority % 7)
    assert len(pickle.dumps(queue)) < 10_000
    found = queue.get_next()
    assert found is not None
    assert found["priority"] == 9_999 % 7
