"""Changes of the state: the trees agree with the store, and what is told is what is different."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from wsaios.components.state import StateStore
from wsaios.kernel.change import Change
from wsaios.kernel.json_value import same
from wsaios.planning.state_changes import Tree, changed, placed, tree_of

KEYS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(".".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.just(1.0) | st.just("x"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=4,
)


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {key: leaf for name in value for key, leaf in leaves(value[name], f"{path}.{name}".lstrip(".")).items()}
    return {} if value is None else {path: value}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(KEYS, VALUES), max_size=6), st.lists(st.tuples(KEYS, VALUES), max_size=4), KEYS)
def test_what_is_told_is_what_is_different(
    before: list[tuple[str, Any]], after: list[tuple[str, Any]], key: str
) -> None:
    said: list[Change] = []
    store = StateStore(sink=said.append)
    for each, value in before:
        store.set(each, value)
    old = taken(tree_of(()), said)
    assert same(old, store.snapshot())
    said.clear()
    had = store.get(key)
    for each, value in after:
        store.set(each, value)
    new = taken(old, said)
    assert same(new, store.snapshot())
    has = store.get(key)
    exact = [(each.key, each.old, each.new) for each in changed(old, new, key)]
    assert exact == ([] if same(had, has) else [(key, had, has)])
    was, now = leaves(old), leaves(new)
    for prefix in ("", f"{key}.", "a", "b.c"):
        told = {each.key: (each.old, each.new) for each in changed(old, new, f"{prefix}*")}
        expected = {
            leaf: (was.get(leaf), now.get(leaf))
            for leaf in was | now
            if leaf.startswith(prefix) and not same(was.get(leaf), now.get(leaf))
        }
        assert {leaf: list(map(repr, pair)) for leaf, pair in told.items()} == {
            leaf: list(map(repr, pair)) for leaf, pair in expected.items()
        }


def taken(tree: Tree, said: list[Change]) -> Tree:
    for change in said:
        value: Any = change.value
        tree = placed(tree, change.key, None if value is None else value["value"], gone=value is None)
    return tree


def test_a_tree_is_never_altered_and_shares_what_stays() -> None:
    old = tree_of([("a.b", 1), ("c", {"d": [2]})])
    new = placed(old, "a.b", 3)
    assert old == {"a": {"b": 1}, "c": {"d": [2]}}
    assert new["c"] is old["c"]
    assert list(changed(old, old, "*")) == []
