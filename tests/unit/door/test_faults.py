import msgspec
import pytest

from wsaios.door.faults import Fault, error_of, fault_of
from wsaios.kernel import errors
from wsaios.kernel.errors import (
    IdempotencyConflict,
    InputError,
    NoOwner,
    QueueFull,
    TaskFailed,
    UnknownLane,
    WrongVersion,
    WsaiosError,
)

SAMPLES = [
    InputError("rows.csv", "line 3", "käse"),
    UnknownLane("gpu", ["default", "thread"]),
    IdempotencyConflict("k", "task_1"),
    QueueFull(1, 2, 0.5),
    TaskFailed("task_1", "failed", "ValueError", "no", "Traceback…"),
    NoOwner("work.db", "it has not ended"),
    WrongVersion("0.1.0", "0.2.0"),
]


def over_the_wire(error: BaseException) -> WsaiosError:
    return error_of(msgspec.msgpack.decode(msgspec.msgpack.encode(fault_of(error)), type=Fault))


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_arrives_as_its_class_with_its_data(error: WsaiosError) -> None:
    arrived = over_the_wire(error)
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


def test_every_error_of_the_package_is_known_by_its_name() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, WsaiosError)]
    assert len(kinds) > 20
    for kind in kinds:
        assert type(error_of(Fault(kind.__name__, ["a message"], {}))) is kind


def test_a_class_of_another_version_becomes_the_root_with_the_same_message() -> None:
    arrived = error_of(Fault("NotYetInvented", ["what it says"], {"field": 1}))
    assert type(arrived) is WsaiosError
    assert str(arrived) == "what it says"
    assert vars(arrived) == {"field": 1}


def test_what_is_no_error_of_ours_becomes_its_text() -> None:
    arrived = over_the_wire(KeyError("x"))
    assert type(arrived) is WsaiosError
    assert str(arrived) == "the scheduler failed: KeyError: 'x'"


def test_data_that_cannot_travel_arrives_as_its_text() -> None:
    error = WsaiosError(object)
    error.__dict__["where"] = object
    arrived = over_the_wire(error)
    assert arrived.args == ("<class 'object'>",)
    assert vars(arrived) == {"where": "<class 'object'>"}
