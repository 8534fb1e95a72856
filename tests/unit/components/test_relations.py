from typing import Any

import pytest

from wsaios.components.relations import Query, RelationStore
from wsaios.kernel.change import Change
from wsaios.kernel.errors import InvalidInput


def facts_of(changes: list[Change]) -> list[tuple[str, object]]:
    assert {change.component for change in changes} <= {"relations"}
    return list({change.key: change.value for change in changes}.items())


def triangle(store: RelationStore) -> RelationStore:
    for eid in ("a", "b", "c"):
        store.add_entity(eid, "page", title=eid.upper())
    store.add_link("a", "b", "cites", {"since": 2020})
    store.add_link("b", "c", "cites")
    store.add_link("c", "a", "answers")
    return store


def links_of(store: RelationStore, **filters: str) -> list[tuple[str, str, str]]:
    return [(link["src"], link["dst"], link["type"]) for link in store.query(**filters)["links"]]


def test_without_arguments_everything_is_there_in_order() -> None:
    found = triangle(RelationStore()).query()
    assert list(found["entities"]) == ["a", "b", "c"]
    assert found["entities"]["a"] == {"type": "page", "attrs": {"title": "A"}}
    assert found["links"][0] == {"src": "a", "dst": "b", "type": "cites", "props": {"since": 2020}}
    assert [link["type"] for link in found["links"]] == ["cites", "cites", "answers"]


def test_an_entity_is_shown_with_the_links_that_touch_it_and_their_other_ends() -> None:
    store = triangle(RelationStore())
    store.add_entity("alone", "page")
    assert links_of(store, eid="b") == [("a", "b", "cites"), ("b", "c", "cites")]
    assert list(store.query(eid="b")["entities"]) == ["b", "a", "c"]
    expected: Query = {"entities": {"alone": {"type": "page", "attrs": {}}}, "links": []}
    assert store.query(eid="alone") == expected


def test_a_type_chooses_links_and_their_ends() -> None:
    store = triangle(RelationStore())
    assert links_of(store, ltype="answers") == [("c", "a", "answers")]
    assert list(store.query(ltype="answers")["entities"]) == ["c", "a"]
    assert links_of(store, eid="a", ltype="cites") == [("a", "b", "cites")]


def test_what_is_unknown_is_not_in_the_answer() -> None:
    store = triangle(RelationStore())
    assert store.query(eid="nobody") == {"entities": {}, "links": []}
    assert store.query(ltype="none") == {"entities": {}, "links": []}


def test_a_link_needs_both_of_its_ends() -> None:
    changes: list[Change] = []
    store = RelationStore(sink=changes.append)
    store.add_entity("a", "page")
    assert store.add_link("a", "nobody", "cites") is False
    assert store.add_link("nobody", "a", "cites") is False
    assert store.add_link("a", "a", "cites") is True
    assert len(changes) == 2


def test_adding_again_replaces_attributes_and_properties_and_keeps_the_place() -> None:
    changes: list[Change] = []
    store = triangle(RelationStore(sink=changes.append))
    store.add_entity("a", "site", url="x")
    assert store.add_link("a", "b", "cites", {"since": 2021}) is True
    found = store.query()
    assert found["entities"]["a"] == {"type": "site", "attrs": {"url": "x"}}
    assert len(found["links"]) == 3
    assert found["links"][0]["props"] == {"since": 2021}
    restarted = RelationStore()
    restarted.load(facts_of(changes))
    assert restarted.query() == found
    assert list(restarted.query()["entities"]) == ["a", "b", "c"]


def test_nothing_that_goes_in_or_out_is_shared() -> None:
    store = RelationStore()
    tags = ["x"]
    store.add_entity("a", "page", tags=tags)
    props: dict[str, Any] = {"list": [1]}
    store.add_link("a", "a", "self", props)
    tags.append("y")
    props["list"].append(2)
    out: Any = store.query()
    out["entities"]["a"]["attrs"]["tags"].append("z")
    out["links"][0]["props"]["list"].append(3)
    again = store.query()
    assert again["entities"]["a"]["attrs"] == {"tags": ["x"]}
    assert again["links"][0]["props"] == {"list": [1]}


def test_bad_values_name_their_place_and_change_nothing() -> None:
    changes: list[Change] = []
    store = RelationStore(sink=changes.append)
    bad: Any = 5
    with pytest.raises(InvalidInput, match="entity id: 5"):
        store.add_entity(bad, "page")
    with pytest.raises(InvalidInput, match="entity type"):
        store.add_entity("a", "")
    with pytest.raises(InvalidInput, match=r"attributes of entity 'a'\['when'\]: set"):
        store.add_entity("a", "page", when={1})
    with pytest.raises(InvalidInput, match="properties of link 'a' → 'b': int is not a dict"):
        store.add_link("a", "b", "cites", bad)
    with pytest.raises(InvalidInput, match="link type"):
        store.add_link("a", "b", "")
    assert changes == []


def test_everything_comes_back_from_what_was_emitted_in_the_same_order() -> None:
    changes: list[Change] = []
    store = triangle(RelationStore(sink=changes.append))
    restored = RelationStore()
    restored.load(reversed(facts_of(changes)))
    assert restored.query() == store.query()
    assert list(restored.query()["entities"]) == ["a", "b", "c"]


def test_the_same_again_emits_nothing() -> None:
    changes: list[Change] = []
    triangle(RelationStore(sink=changes.append))
    store = RelationStore(sink=changes.append)
    stored = facts_of(changes)
    changes.clear()
    store.load(stored)
    triangle(store)
    assert changes == []


def test_what_was_said_before_loading_wins_over_what_is_stored() -> None:
    earlier: list[Change] = []
    triangle(RelationStore(sink=earlier.append))
    later: list[Change] = []
    store = RelationStore(sink=later.append)
    store.add_entity("d", "site")
    store.add_entity("a", "site")
    store.add_link("d", "a", "cites")
    assert list(store.query()["entities"]) == ["d", "a"]
    later.clear()
    store.load(facts_of(earlier))
    assert [(eid, entity["type"]) for eid, entity in store.query()["entities"].items()] == [
        ("a", "site"),
        ("b", "page"),
        ("c", "page"),
        ("d", "site"),
    ]
    assert links_of(store, eid="a") == [("a", "b", "cites"), ("c", "a", "answers"), ("d", "a", "cites")]
    restarted = RelationStore()
    restarted.load(facts_of(earlier + later))
    assert restarted.query() == store.query()


def test_loading_again_replaces_everything() -> None:
    store = RelationStore()
    store.load([])
    triangle(store)
    store.load([])
    assert store.query() == {"entities": {}, "links": []}
