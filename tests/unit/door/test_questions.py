from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest

from wsaios.door.questions import (
    PROTOCOL,
    ActOn,
    Ask,
    BatchFind,
    Call,
    Drop,
    FollowNext,
    FromClient,
    HistoryOf,
    Question,
    ResultOf,
    StatusOf,
    SubmitOne,
    answer_type,
    repeats,
)
from wsaios.door.versions import understood
from wsaios.kernel.events import Scope
from wsaios.kernel.task import Batch
from wsaios.kernel.version import __version__
from wsaios.kernel.views import Transition

KINDS: tuple[type[Ask[Any]], ...] = get_args(Question)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_question_names_the_type_of_its_answer(kind: type[Ask[Any]]) -> None:
    assert msgspec.msgpack.Decoder(answer_type(kind)).type == answer_type(kind)


def test_every_question_has_a_name_of_its_own() -> None:
    assert len({kind.__struct_config__.tag for kind in KINDS}) == len(KINDS)


def test_calls_survive_the_way() -> None:
    decoder = msgspec.msgpack.Decoder(FromClient)
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
    for message in (
        Call(1, SubmitOne("h", b"{}", {"run_at": moment, "priority": 3}, "token")),
        Call(2, ActOn("cancel", Scope("lane", name="gpu"), "why")),
        Call(3, FollowNext(1, 100)),
        Drop(2),
    ):
        assert decoder.decode(msgspec.msgpack.encode(message)) == message


def test_answers_survive_the_way() -> None:
    batch = Batch(5, 1, "h", "default", 7, rows=3, ranges=[(1, 3)], ended={6: 3}, meta={"name": "x"})
    found = msgspec.msgpack.decode(msgspec.msgpack.encode(batch), type=answer_type(BatchFind))
    assert found == batch
    line = Transition("new", "ready", datetime(2026, 1, 2, tzinfo=UTC), 1, None)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode([line]), type=answer_type(HistoryOf)) == [line]


@pytest.mark.parametrize("number", [-1, 1 << 63])
def test_a_number_that_no_id_has_is_refused_on_the_way_in(number: int) -> None:
    body = msgspec.msgpack.encode([1, 1, ["status", number]])
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(body, type=FromClient)


def test_only_a_replay_must_not_be_asked_twice() -> None:
    assert all(repeats(ask) for ask in (StatusOf(1), ResultOf(1), ActOn("cancel", Scope("all"), "")))
    assert not repeats(ActOn("replay", Scope("all"), ""))


def test_one_series_of_versions_understands_itself() -> None:
    major, minor, *_ = __version__.split(".")
    assert understood(PROTOCOL, __version__)
    assert understood(PROTOCOL, f"{major}.{minor}.99")
    assert not understood(PROTOCOL, f"{major}.{int(minor) + 1}.0")
    assert not understood(PROTOCOL + 1, __version__)
    assert not understood(PROTOCOL, "")
