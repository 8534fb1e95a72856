from typing import Any

import pytest

from wsaios.components.relations import RelationStore
from wsaios.components.rules import RuleEngine
from wsaios.components.rules.engine import MAX_MATCHES, MAX_STEPS
from wsaios.kernel.errors import InvalidInput


def links(*pairs: str) -> dict[str, object]:
    return {"entities": {}, "links": [{"src": pair[0], "dst": pair[1], "type": "t", "props": {}} for pair in pairs]}


def test_two_links_in_a_row_match_their_outer_ends() -> None:
    result = RuleEngine().run({"desc": "x"}, {}, links("ab", "bc"))
    assert result["matches"] == [{"src": "a", "dst": "c", "weight": 0.7}]


@pytest.mark.parametrize("place, field", [*enumerate(("goal", "state", "relations"))])
def test_what_is_no_mapping_is_named_with_where_to_get_it(place: int, field: str) -> None:
    given: list[Any] = [{"desc": "x"}, {}, links("ab")]
    given[place] = RelationStore()
    with pytest.raises(InvalidInput, match=r"as .* gives it") as caught:
        RuleEngine().run(*given)
    assert caught.value.field == field


def test_each_pair_matches_once_whatever_the_number_of_ways() -> None:
    result = RuleEngine().run({"desc": "x"}, {}, links("ab", "ab", "bd", "ac", "cd", "de"))
    assert [(match["src"], match["dst"]) for match in result["matches"]] == [("a", "d"), ("b", "e"), ("c", "e")]


@pytest.mark.parametrize("pairs", [("ab", "ba"), ("aa", "ab"), ("ab", "cd"), ()])
def test_an_entity_does_not_match_itself_and_a_loop_is_no_step(pairs: tuple[str, ...]) -> None:
    assert RuleEngine().run({"desc": "x"}, {}, links(*pairs))["matches"] == []


@pytest.mark.parametrize(
    "desc, names",
    [
        ("提升SEO排名", ["analyze"]),
        ("增加收入", ["analyze"]),
        ("降低成本", ["audit"]),
        ("减少错误", ["audit"]),
        ("提升质量并降低成本", ["analyze", "audit"]),
        ("持续发布内容", []),
    ],
)
def test_the_words_of_a_goal_propose_actions(desc: str, names: list[str]) -> None:
    result = RuleEngine().run({"desc": desc}, {}, links())
    assert result["actions"] == [{"name": name, "priority": "high"} for name in names]


@pytest.mark.parametrize(
    "desc, pairs, score", [("x", (), 0.0), ("x", ("ab", "bc"), 0.35), ("提升", (), 0.5), ("提升", ("ab", "bc"), 0.85)]
)
def test_the_score_counts_a_proposal_and_the_strongest_match(desc: str, pairs: tuple[str, ...], score: float) -> None:
    assert RuleEngine().run({"desc": desc}, {}, links(*pairs))["score"] == pytest.approx(score)


def test_the_answer_has_no_other_parts() -> None:
    assert RuleEngine().run({}, {}, {}) == {"matches": [], "actions": [], "score": 0.0}


def test_a_hub_with_very_many_links_is_cut_off_and_says_so() -> None:
    spokes = [{"src": f"in{n}", "dst": "hub"} for n in range(3_000)] + [
        {"src": "hub", "dst": f"out{n}"} for n in range(3_000)
    ]
    result = RuleEngine().run({"desc": "x"}, {}, {"links": spokes})
    assert len(result["matches"]) == MAX_MATCHES
    assert result["truncated"]


def test_many_ways_between_few_pairs_are_cut_off_too() -> None:
    width = 400
    many = [{"src": f"a{n}", "dst": f"b{m}"} for n in range(2) for m in range(width)]
    many += [{"src": f"b{m}", "dst": f"c{n}"} for m in range(width) for n in range(width)]
    assert 2 * width * width > MAX_STEPS
    result = RuleEngine().run({"desc": "x"}, {}, {"links": many})
    assert 0 < len(result["matches"]) <= 2 * width
    assert result["truncated"]


def test_exactly_as_many_matches_as_are_kept_are_not_called_cut_off() -> None:
    half = 100
    grid = [{"src": f"in{n}", "dst": "hub"} for n in range(half)] + [
        {"src": "hub", "dst": f"out{n}"} for n in range(half)
    ]
    result = RuleEngine().run({"desc": "x"}, {}, {"links": grid})
    assert len(result["matches"]) == MAX_MATCHES
    assert "truncated" not in result
