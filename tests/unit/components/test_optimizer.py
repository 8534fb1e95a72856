import math
from collections.abc import Callable
from typing import Any

import pytest

from wsaios.components.optimizer import ParamOptimizer, Template
from wsaios.kernel.change import Change
from wsaios.kernel.errors import InvalidInput

SEED = [
    {"actions": ["generate", "publish", "check"]},
    {"actions": ["generate", "publish"]},
    {"actions": ["publish", "check"]},
]


def chosen(optimizer: ParamOptimizer, feasible: Callable[[Template], bool] | None = None) -> Any:
    strategy = optimizer.optimize({"desc": "x"}, {}, {"actions": []}, feasible=feasible)
    return None if strategy is None else strategy["params"]["actions"]


def facts_of(changes: list[Change]) -> list[tuple[str, object]]:
    assert {change.component for change in changes} <= {"optimizer"}
    stored = {change.key: change.value for change in changes}
    return [(key, value) for key, value in stored.items() if value is not None]


def seeded(changes: list[Change] | None = None, size: int = 10) -> ParamOptimizer:
    optimizer = ParamOptimizer(size, sink=None if changes is None else changes.append)
    optimizer.init(SEED)
    return optimizer


def test_the_first_template_comes_first_and_nothing_is_claimed_of_it() -> None:
    assert seeded().optimize({}, {}, {}) == {"params": SEED[0], "fitness": 0.0}


def test_there_is_nothing_to_choose_before_init_or_from_nothing() -> None:
    optimizer = ParamOptimizer()
    assert optimizer.optimize({}, {}, {}) is None
    optimizer.init([])
    assert optimizer.optimize({}, {}, {}) is None


def test_each_template_is_tried_before_any_is_preferred() -> None:
    optimizer = seeded()
    tried = []
    for _ in SEED:
        tried.append(chosen(optimizer))
        optimizer.tell(tried[-1], ok=True, duration_s=1)
    assert tried == [template["actions"] for template in SEED]


def test_afterwards_the_fittest_is_chosen() -> None:
    optimizer = seeded()
    optimizer.tell(SEED[0]["actions"], ok=False, duration_s=0.1)
    optimizer.tell(SEED[1]["actions"], ok=True, duration_s=9)
    optimizer.tell(SEED[2]["actions"], ok=False, duration_s=0.1)
    strategy = optimizer.optimize({}, {}, {})
    assert strategy is not None
    assert strategy["params"]["actions"] == SEED[1]["actions"]
    assert strategy["fitness"] == pytest.approx(0.9 + 0.1 / 10)


def test_among_equals_the_earlier_is_chosen_and_the_faster_of_two_that_succeed() -> None:
    optimizer = seeded()
    for template in SEED:
        optimizer.tell(template["actions"], ok=True, duration_s=2)
    assert chosen(optimizer) == SEED[0]["actions"]
    optimizer.tell(SEED[2]["actions"], ok=True, duration_s=0)
    assert chosen(optimizer) == SEED[2]["actions"]


@pytest.mark.parametrize(
    "outcomes, fitness",
    [
        ([(True, 1)], 0.95),
        ([(True, 0), (False, 50)], 0.55),
        ([(False, 0)], 0.0),
        ([(True, 1), (True, 3)], 0.9 + 0.1 / 3),
    ],
)
def test_fitness_is_the_share_of_successes_with_a_little_for_speed(
    outcomes: list[tuple[bool, float]], fitness: float
) -> None:
    optimizer = ParamOptimizer()
    optimizer.init(SEED[:1])
    for ok, duration_s in outcomes:
        optimizer.tell(SEED[0]["actions"], ok=ok, duration_s=duration_s)
    strategy = optimizer.optimize({}, {}, {})
    assert strategy is not None
    assert strategy["fitness"] == pytest.approx(fitness)


def test_what_is_not_feasible_is_never_chosen() -> None:
    optimizer = seeded()
    assert chosen(optimizer, lambda template: "generate" not in str(template)) == ["publish", "check"]
    assert chosen(optimizer, lambda _: False) is None
    for template in SEED:
        optimizer.tell(template["actions"], ok="generate" in template["actions"], duration_s=1)
    assert chosen(optimizer, lambda template: "generate" not in str(template)) == ["publish", "check"]


def test_other_parts_of_a_template_come_along_and_nothing_is_shared() -> None:
    optimizer = ParamOptimizer()
    template: dict[str, Any] = {"actions": ["fetch"], "limit": 3}
    optimizer.init([template])
    template["actions"].append("spoilt")
    first: Any = optimizer.optimize({}, {}, {}, feasible=lambda given: given.pop("limit") == 3)
    assert first["params"] == {"actions": ["fetch"], "limit": 3}
    first["params"]["actions"].append("spoilt")
    assert chosen(optimizer) == ["fetch"]


def test_an_action_may_be_described_by_a_dict_whose_keys_have_no_order() -> None:
    optimizer = ParamOptimizer()
    optimizer.init([{"actions": [{"type": "api", "target": "u"}]}, {"actions": ["b"]}])
    optimizer.tell([{"target": "u", "type": "api"}], ok=True, duration_s=1)
    assert chosen(optimizer) == ["b"]


@pytest.mark.parametrize(
    "template",
    [{}, {"actions": []}, {"actions": "publish"}, {"actions": [3]}, {"actions": [""]}, "publish", {"actions": [{1}]}],
)
def test_a_bad_template_is_named_and_changes_nothing(template: Any) -> None:
    changes: list[Change] = []
    optimizer = seeded(changes)
    changes.clear()
    with pytest.raises(InvalidInput, match="template 2"):
        optimizer.init([SEED[0], template])
    assert changes == []
    assert chosen(optimizer) == SEED[0]["actions"]


@pytest.mark.parametrize("duration_s", [-1, math.nan, math.inf])
def test_a_duration_that_is_none_is_refused(duration_s: float) -> None:
    with pytest.raises(InvalidInput, match="duration_s"):
        seeded().tell(["a"], ok=True, duration_s=duration_s)


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "10"])
def test_a_size_below_one_is_refused(size: Any) -> None:
    with pytest.raises(InvalidInput, match="optimizer size"):
        ParamOptimizer(size)


def test_outcomes_of_former_templates_are_remembered_up_to_size() -> None:
    changes: list[Change] = []
    optimizer = ParamOptimizer(2, sink=changes.append)
    for name in "abc":
        optimizer.init([{"actions": [name]}])
        optimizer.tell([name], ok=True, duration_s=1)
    optimizer.init([{"actions": ["d"]}])
    optimizer.init([{"actions": [name]} for name in "cba"])
    assert chosen(optimizer) == ["a"]
    assert len(facts_of(changes)) == 3
    restarted = ParamOptimizer(2)
    restarted.load(facts_of(changes))
    assert chosen(restarted) == ["a"]


def test_more_templates_than_size_are_all_tried() -> None:
    optimizer = seeded(size=1)
    for template in SEED:
        assert chosen(optimizer) == template["actions"]
        optimizer.tell(template["actions"], ok=False, duration_s=0)
    assert chosen(optimizer) == SEED[0]["actions"]


def test_templates_and_outcomes_come_back_from_what_was_emitted() -> None:
    changes: list[Change] = []
    optimizer = seeded(changes)
    optimizer.tell(SEED[0]["actions"], ok=False, duration_s=1)
    optimizer.tell(SEED[1]["actions"], ok=True, duration_s=1)
    optimizer.tell(SEED[2]["actions"], ok=False, duration_s=1)
    optimizer.tell(SEED[1]["actions"], ok=False, duration_s=1)
    quiet: list[Change] = []
    restarted = ParamOptimizer(sink=quiet.append)
    restarted.load(facts_of(changes))
    assert restarted.optimize({}, {}, {}) == optimizer.optimize({}, {}, {})
    assert quiet == []


def test_what_was_said_before_loading_replaces_templates_and_adds_to_outcomes() -> None:
    earlier: list[Change] = []
    before = seeded(earlier)
    before.tell(SEED[0]["actions"], ok=True, duration_s=1)

    later: list[Change] = []
    optimizer = ParamOptimizer(sink=later.append)
    optimizer.init([SEED[0]])
    optimizer.tell(SEED[0]["actions"], ok=False, duration_s=1)
    later.clear()
    optimizer.load(facts_of(earlier))
    strategy = optimizer.optimize({}, {}, {})
    assert strategy == {"params": SEED[0], "fitness": pytest.approx(0.5)}
    restarted = ParamOptimizer()
    restarted.load(facts_of(earlier + later))
    assert restarted.optimize({}, {}, {}) == strategy


def test_stored_templates_stay_when_none_were_given() -> None:
    changes: list[Change] = []
    seeded(changes)
    optimizer = ParamOptimizer(sink=changes.append)
    optimizer.tell(["other"], ok=True, duration_s=1)
    optimizer.load(facts_of(changes))
    assert chosen(optimizer) == SEED[0]["actions"]


def test_loading_again_replaces_everything() -> None:
    optimizer = ParamOptimizer()
    optimizer.load([])
    optimizer.init(SEED)
    optimizer.load([])
    assert chosen(optimizer) is None
