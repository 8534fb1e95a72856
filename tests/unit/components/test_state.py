import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaios.components.state import StateStore
from wsaios.components.state.tree import MAX_PARTS
from wsaios.kernel.change import Change
from wsaios.kernel.errors import InvalidInput

Told = tuple[str, Any, Any]


def recorder(told: list[Told]) -> Callable[[str, Any, Any], None]:
    return lambda key, old, new: told.append((key, old, new))


def facts_of(changes: list[Change], onto: list[tuple[str, object]] | None = None) -> list[tuple[str, object]]:
    stored: dict[str, object] = dict(onto or [])
    for change in changes:
        assert change.component == "state"
        if change.value is None:
            del stored[change.key]
        else:
            stored[change.key] = change.value
    return list(stored.items())


def restored(facts: list[tuple[str, object]]) -> StateStore:
    store = StateStore()
    store.load(facts)
    return store


def test_dotted_keys_address_one_tree() -> None:
    store = StateStore()
    store.set("a.b", 1)
    assert store.get("a") == {"b": 1}
    store.set("a", {"b": {"c": 2}, "d": [3]})
    assert store.get("a.b.c") == 2
    store.set("a.b.e", 4)
    assert store.get("a") == {"b": {"c": 2, "e": 4}, "d": [3]}
    assert store.snapshot() == {"a": {"b": {"c": 2, "e": 4}, "d": [3]}}


def test_what_is_not_there_is_the_default() -> None:
    store = StateStore()
    store.set("a.b", None)
    assert store.get("a.c") is None
    assert store.get("a.c", 7) == 7
    assert store.get("a.b", 7) is None
    assert store.get("a.b.c", 7) == 7
    assert store.snapshot() == {"a": {"b": None}}


def test_a_write_below_a_number_takes_its_place() -> None:
    store = StateStore()
    store.set("a", 1)
    store.set("a.b.c", 2)
    assert store.get("a") == {"b": {"c": 2}}
    store.set("a", 3)
    assert store.snapshot() == {"a": 3}


def test_dots_inside_a_value_are_not_keys() -> None:
    store = StateStore()
    store.set("a", {"x.y": 1})
    assert store.get("a") == {"x.y": 1}
    assert store.get("a.x.y") is None


def test_nothing_that_goes_in_or_out_is_shared() -> None:
    store = StateStore()
    given_in: dict[str, Any] = {"list": [1]}
    store.set("a", given_in)
    given_in["list"].append(2)
    out: Any = store.get("a")
    out["list"].append(3)
    everything: Any = store.snapshot()
    everything["a"]["list"].append(4)
    assert store.get("a.list") == [1]


@pytest.mark.parametrize(
    "value, kind", [({1, 2}, "set"), (math.nan, "nan"), (math.inf, "inf"), ({"x": object()}, "object")]
)
def test_what_is_not_json_is_refused_with_key_and_type_and_changes_nothing(value: object, kind: str) -> None:
    store = StateStore()
    with pytest.raises(InvalidInput, match=f"'site.rank'.*{kind}"):
        store.set("site.rank", value)
    assert store.snapshot() == {}


@pytest.mark.parametrize("key", ["", ".", "a..b", "a.", ".a", 5, None, ".".join(["a"] * (MAX_PARTS + 1)), "\ud800"])
def test_a_bad_key_is_refused_for_reading_writing_and_watching(key: Any) -> None:
    store = StateStore()
    with pytest.raises(InvalidInput, match="state key"):
        store.get(key)
    with pytest.raises(InvalidInput, match="state key"):
        store.set(key, 1)


def test_the_star_is_told_everything() -> None:
    store, told = StateStore(), list[Told]()
    store.watch("*", recorder(told))
    store.set("a.b", 1)
    store.set("c", [2])
    store.set("a.b", 3)
    assert told == [("a.b", None, 1), ("c", None, [2]), ("a.b", 1, 3)]


def test_a_prefix_is_told_what_begins_with_it() -> None:
    store, told = StateStore(), list[Told]()
    store.watch("site.*", recorder(told))
    store.set("site.rank", 5)
    store.set("sites", 1)
    store.set("site", {"rank": 5, "pages": {"home": 1}})
    store.set("site", {"rank": 6})
    assert told == [
        ("site.rank", None, 5),
        ("site.pages.home", None, 1),
        ("site.rank", 5, 6),
        ("site.pages.home", 1, None),
    ]


def test_an_exact_key_is_told_of_its_value_however_it_was_set() -> None:
    store, told = StateStore(), list[Told]()
    store.watch("a.b", recorder(told))
    store.set("a.b", {"c": 1})
    store.set("a.b.d", 2)
    store.set("a", {"b": 3, "x": 0})
    store.set("a", {"b": 3, "x": 1})
    store.set("a.x", 2)
    store.set("a", None)
    assert told == [
        ("a.b", None, {"c": 1}),
        ("a.b", {"c": 1}, {"c": 1, "d": 2}),
        ("a.b", {"c": 1, "d": 2}, 3),
        ("a.b", 3, None),
    ]


def test_an_equal_value_tells_nobody_and_emits_nothing() -> None:
    changes: list[Change] = []
    told: list[Told] = []
    store = StateStore(sink=changes.append)
    store.set("a", 1)
    store.watch("*", recorder(told))
    store.set("a", 1)
    assert (told, len(changes)) == ([], 1)
    store.set("a", True)
    assert told == [("a", 1, True)]


def test_unsubscribing_ends_it_and_may_be_repeated() -> None:
    store, told = StateStore(), list[Told]()
    ends = store.watch("a", recorder(told))
    store.watch("a", recorder(told))
    ends()
    ends()
    store.set("a", 1)
    assert told == [("a", None, 1)]


def test_a_watcher_that_raises_harms_nobody_and_is_remembered() -> None:
    store, told = StateStore(), list[Told]()

    def broken(_key: str, _old: object, _new: object) -> None:
        raise ZeroDivisionError

    store.watch("a", broken)
    store.watch("a", recorder(told))
    store.set("a", 1)
    assert told == [("a", None, 1)]
    assert store.get("a") == 1
    (failure,) = store.watch_failures
    assert (failure.callback, failure.key, type(failure.error)) == (broken, "a", ZeroDivisionError)


def test_watchers_that_set_each_other_off_end() -> None:
    store = StateStore()
    store.watch("ping", lambda _key, _old, new: store.set("pong", new))
    store.watch("pong", lambda _key, _old, new: store.set("ping", [new]))
    store.set("ping", 0)
    assert [type(failure.error) for failure in store.watch_failures] == [RecursionError]
    told: list[Told] = []
    store.watch("quiet", recorder(told))
    store.set("quiet", 1)
    assert told == [("quiet", None, 1)]


def test_each_watcher_gets_values_of_its_own() -> None:
    store, told = StateStore(), list[Told]()
    store.watch("a", lambda _key, _old, new: new.append("spoilt") if isinstance(new, list) else None)
    store.watch("a", recorder(told))
    store.set("a", [1])
    assert told == [("a", None, [1])]
    assert store.get("a") == [1]


def test_calls_of_watchers_go_through_the_port() -> None:
    calls: list[Any] = []
    told: list[Told] = []
    watcher = recorder(told)
    store = StateStore(notify=lambda *call: calls.append(call))
    store.watch("*", watcher)
    store.set("a", 1)
    assert told == []
    assert calls == [(watcher, "a", None, 1)]


@pytest.mark.parametrize("pattern", ["a*b", "**", "*a", "", 5, None])
def test_a_pattern_that_is_none_is_refused(pattern: Any) -> None:
    with pytest.raises(InvalidInput, match=r"watch pattern|state key"):
        StateStore().watch(pattern, print)


def test_a_callback_that_cannot_be_called_is_refused() -> None:
    not_callable: Any = "print"
    with pytest.raises(InvalidInput, match="cannot be called"):
        StateStore().watch("*", not_callable)


def test_a_write_inside_a_dict_stores_that_dict_again_and_leaves_the_old_change_alone() -> None:
    changes: list[Change] = []
    store = StateStore(sink=changes.append)
    store.set("a", {"b": 1})
    store.set("a.c", 2)
    assert [(change.key, change.value) for change in changes] == [
        ("a", {"value": {"b": 1}}),
        ("a", {"value": {"b": 1, "c": 2}}),
    ]


def test_a_dict_set_above_facts_replaces_them() -> None:
    changes: list[Change] = []
    store = StateStore(sink=changes.append)
    store.set("a.b", 1)
    store.set("a.c.d", 2)
    store.set("a", {"e": 3})
    assert facts_of(changes) == [("a", {"value": {"e": 3}})]


def test_loading_tells_no_watcher_and_emits_nothing_of_its_own() -> None:
    changes: list[Change] = []
    told: list[Told] = []
    store = StateStore(sink=changes.append)
    store.watch("*", recorder(told))
    store.load([("a.b", {"value": 1}), ("c", {"value": None})])
    assert store.snapshot() == {"a": {"b": 1}, "c": None}
    assert (changes, told) == ([], [])


def test_what_was_set_before_loading_wins_and_the_rest_is_kept() -> None:
    stored: list[tuple[str, object]] = [
        ("a.b", {"value": "old"}),
        ("a.kept", {"value": 1}),
        ("whole.gone", {"value": 2}),
        ("dict", {"value": {"x": 1, "y": 1}}),
    ]
    changes: list[Change] = []
    store = StateStore(sink=changes.append)
    store.set("a.b", "new")
    store.set("whole", {"now": 3})
    store.set("dict.y", 2)
    assert store.snapshot() == {"a": {"b": "new"}, "whole": {"now": 3}, "dict": {"y": 2}}
    changes.clear()
    store.load(stored)
    expected = {"a": {"b": "new", "kept": 1}, "whole": {"now": 3}, "dict": {"x": 1, "y": 2}}
    assert store.snapshot() == expected
    assert restored(facts_of(changes, stored)).snapshot() == expected


def test_a_dict_set_before_loading_replaces_what_is_stored_there_even_if_it_looked_the_same() -> None:
    store = StateStore()
    store.set("a.b", 1)
    store.set("a", {"b": 1})
    store.load([("a.c", {"value": 2})])
    assert store.snapshot() == {"a": {"b": 1}}


def test_loading_again_replaces_everything() -> None:
    store = StateStore()
    store.load([])
    store.set("never.committed", 1)
    store.load([("a", {"value": 1})])
    assert store.snapshot() == {"a": 1}


KEYS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(".".join)
VALUES = st.recursive(
    st.integers(0, 3), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=4
)
WRITES = st.lists(st.tuples(KEYS, VALUES), max_size=12)


def model_set(tree: Any, parts: list[str], value: object) -> Any:
    if not parts:
        return value
    below = dict(tree) if isinstance(tree, dict) else {}
    below[parts[0]] = model_set(below.get(parts[0]), parts[1:], value)
    return below


@given(WRITES)
def test_the_tree_is_what_plain_dicts_would_be_and_comes_back_from_its_changes(writes: list[tuple[str, Any]]) -> None:
    changes: list[Change] = []
    store = StateStore(sink=changes.append)
    model: Any = {}
    for key, value in writes:
        store.set(key, value)
        model = model_set(model, key.split("."), value)
        assert store.get(key) == value
    assert store.snapshot() == model
    assert restored(facts_of(changes)).snapshot() == model


@given(WRITES, WRITES)
def test_writes_before_loading_end_as_if_they_came_after_it(
    stored: list[tuple[str, Any]], said: list[tuple[str, Any]]
) -> None:
    first: list[Change] = []
    before = StateStore(sink=first.append)
    for key, value in stored:
        before.set(key, value)
    facts = facts_of(first)

    changes: list[Change] = []
    early, late = StateStore(sink=changes.append), restored(facts)
    for key, value in said:
        early.set(key, value)
        late.set(key, value)
    changes.clear()
    early.load(facts)
    assert early.snapshot() == late.snapshot()
    assert restored(facts_of(changes, facts)).snapshot() == late.snapshot()
