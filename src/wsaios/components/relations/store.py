"""Entities and typed links, each known by its ends and its type."""

from collections.abc import Iterable
from typing import Any, Final, TypedDict

import msgspec

from wsaios.kernel.change import Change, Sink
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.json_value import checked, copied, same

_ENTITY: Final = "entity:"
_LINK: Final = "link:"
_LinkKey = tuple[str, str, str]


class EntityView(TypedDict):
    """One entity as `query` shows it."""

    type: str
    attrs: dict[str, Any]


class LinkView(TypedDict):
    """One link as `query` shows it."""

    src: str
    dst: str
    type: str
    props: dict[str, Any]


class Query(TypedDict):
    """Entities by id, and links; both ends of every link are among the entities."""

    entities: dict[str, EntityView]
    links: list[LinkView]


class _Entity(msgspec.Struct, frozen=True):
    type: str
    attrs: dict[str, Any]
    seq: int


class _Link(msgspec.Struct, frozen=True):
    src: str
    dst: str
    type: str
    props: dict[str, Any]
    seq: int


class RelationStore:
    """Answers in the order in which things were added. Changes go to `sink`, one fact for each entity and each link."""

    component: Final = "relations"

    def __init__(self, *, sink: Sink | None = None) -> None:
        self._sink = sink
        self._loaded = False
        self._clear()

    def _clear(self) -> None:
        self._entities: dict[str, _Entity] = {}
        self._links: dict[_LinkKey, _Link] = {}
        self._by_entity: dict[str, dict[_LinkKey, None]] = {}
        self._by_type: dict[str, dict[_LinkKey, None]] = {}
        self._next_seq = 0

    def add_entity(self, eid: str, etype: str, **attrs: object) -> None:
        """Know an entity; one that was known gets the new type and exactly these attributes, and keeps its links.

        Raises:
            InvalidInput: an id or type that is no text, or an attribute that is not JSON.
        """
        _text(eid, "entity id")
        _text(etype, "entity type")
        self._put_entity(eid, etype, _object(attrs, f"attributes of entity {eid!r}"))

    def add_link(self, src: str, dst: str, ltype: str, props: dict[str, object] | None = None) -> bool:
        """Link two known entities; False, and nothing done, when one of them is unknown.

        There is one link of a type from `src` to `dst`; adding it again replaces its properties.

        Raises:
            InvalidInput: a type that is no text, or properties that are not a JSON object.
        """
        _text(ltype, "link type")
        where = f"properties of link {src!r} → {dst!r}"
        plain = _object({} if props is None else props, where)
        if src not in self._entities or dst not in self._entities:
            return False
        self._put_link(src, dst, ltype, plain)
        return True

    def query(self, eid: str | None = None, ltype: str | None = None) -> Query:
        """The links that touch `eid` and are of type `ltype`, with the entities at their ends; with `eid` that
        entity too.

        Without arguments everything. What is unknown is not in the answer.
        """
        links = [self._links[key] for key in self._candidates(eid, ltype) if ltype is None or key[2] == ltype]
        if eid is None and ltype is None:
            seen = dict.fromkeys(self._entities)
        else:
            seen = {eid: None} if eid is not None and eid in self._entities else {}
            seen |= dict.fromkeys(end for link in links for end in (link.src, link.dst))
        return {
            "entities": {known: _entity_view(self._entities[known]) for known in seen},
            "links": [_link_view(link) for link in links],
        }

    def load(self, facts: Iterable[tuple[str, object]]) -> None:
        """Take over stored facts; later calls replace everything by `facts`.

        The first call puts them under what was said since construction and emits each entity and link that was said,
        as it is now: changes emitted before are thereby superseded.
        """
        entities, links = ({}, {}) if self._loaded else (self._entities, self._links)
        self._loaded = True
        self._clear()
        self._restore(facts)
        for eid, entity in entities.items():
            self._put_entity(eid, entity.type, entity.attrs, emit=True)
        for link in links.values():
            self._put_link(link.src, link.dst, link.type, link.props, emit=True)

    def _restore(self, facts: Iterable[tuple[str, object]]) -> None:
        entities: list[tuple[int, str, _Entity]] = []
        links: list[tuple[int, _Link]] = []
        for key, value in facts:
            if key.startswith(_ENTITY):
                entity = msgspec.convert(value, _Entity)
                entities.append((entity.seq, key.removeprefix(_ENTITY), entity))
            else:
                link = msgspec.convert(value, _Link)
                links.append((link.seq, link))
        for _, eid, entity in sorted(entities, key=lambda row: row[0]):
            self._entities[eid] = entity
        for _, link in sorted(links, key=lambda row: row[0]):
            self._index(link)
        self._next_seq = max([seq + 1 for seq, *_ in entities] + [seq + 1 for seq, _ in links], default=0)

    def _candidates(self, eid: str | None, ltype: str | None) -> Iterable[_LinkKey]:
        if eid is not None:
            return self._by_entity.get(eid, {})
        return self._links if ltype is None else self._by_type.get(ltype, {})

    def _put_entity(self, eid: str, etype: str, attrs: dict[str, Any], *, emit: bool = False) -> None:
        known = self._entities.get(eid)
        if known and known.type == etype and same(known.attrs, attrs) and not emit:
            return
        entity = _Entity(etype, attrs, known.seq if known else self._take_seq())
        self._entities[eid] = entity
        self._emit(_ENTITY + eid, entity)

    def _put_link(self, src: str, dst: str, ltype: str, props: dict[str, Any], *, emit: bool = False) -> None:
        known = self._links.get((src, dst, ltype))
        if known and same(known.props, props) and not emit:
            return
        link = _Link(src, dst, ltype, props, known.seq if known else self._take_seq())
        self._index(link)
        self._emit(_LINK + msgspec.json.encode([src, dst, ltype]).decode(), link)

    def _index(self, link: _Link) -> None:
        key = (link.src, link.dst, link.type)
        self._links[key] = link
        self._by_entity.setdefault(link.src, {})[key] = None
        self._by_entity.setdefault(link.dst, {})[key] = None
        self._by_type.setdefault(link.type, {})[key] = None

    def _take_seq(self) -> int:
        self._next_seq += 1
        return self._next_seq - 1

    def _emit(self, key: str, value: msgspec.Struct) -> None:
        if self._sink is not None:
            self._sink(Change(self.component, key, msgspec.to_builtins(value)))


def _text(value: object, what: str) -> None:
    if not isinstance(value, str) or not value:
        raise InvalidInput(what, f"{value!r} is not a text with at least one character")
    checked(value, what)


def _object(value: object, where: str) -> dict[str, Any]:
    plain = checked(value, where)
    if not isinstance(plain, dict):
        raise InvalidInput(where, f"{type(value).__name__} is not a dict")
    return plain


def _own(value: dict[str, Any]) -> dict[str, Any]:
    return {name: copied(item) for name, item in value.items()}


def _entity_view(entity: _Entity) -> EntityView:
    return {"type": entity.type, "attrs": _own(entity.attrs)}


def _link_view(link: _Link) -> LinkView:
    return {"src": link.src, "dst": link.dst, "type": link.type, "props": _own(link.props)}
