"""Whatever comes in through the door, the scheduler and its other clients do not notice."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.door.owners import Owner
from tests.integration.door.strangers import Stranger, hello
from wsaios import AsyncClient, Client, Scheduler
from wsaios.door.desk import Desk
from wsaios.door.frames import MAX_FRAME_BYTES, framed
from wsaios.door.questions import PROTOCOL, A, Ask, Question
from wsaios.door.server import Door
from wsaios.door.session import Rules
from wsaios.kernel.errors import LedgerUnavailable, WrongVersion
from wsaios.scheduler.service import Service

WELCOME, REFUSED, CLOSING, DONE, FAILED = 6, 7, 5, 3, 4
TAGS = [kind.__struct_config__.tag for kind in get_args(Question)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("door") / "work.db"


@pytest.fixture(scope="module")
def served(place: Path) -> Iterator[Client]:
    """A client of an owner that all tests of this module share; at the end that owner must be well."""
    errors = place.with_name("stderr")
    owner = Owner(place, log=errors).start()
    with Client(f"sqlite:///{place}") as client:
        yield client
        assert client.submit("echo", {"value": "well"}).result(timeout_s=30) == "well"
    assert owner.process.poll() is None
    owner.close()
    assert "rebuilt" not in errors.read_text()


@settings(max_examples=200)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_answered_with_a_reason_or_the_end(place: Path, served: Client, data: bytes) -> None:
    with Stranger(place) as stranger:
        stranger.send(data)
        heard = stranger.finish()
    assert [message[0] for message in heard] in ([], [CLOSING])
    assert served.overview().owned


@settings(max_examples=100)
@given(body=st.binary(max_size=100))
def test_any_frame_after_the_hello_ends_only_its_connection(place: Path, served: Client, body: bytes) -> None:
    with Stranger(place) as stranger:
        stranger.say(hello(place, session="any frame"))
        stranger.send(framed(body))
        heard = stranger.finish()
    assert heard[0][0] == WELCOME
    assert all(message[0] in {CLOSING, DONE, FAILED} for message in heard[1:])
    assert served.overview().owned


numbers = st.integers(-(2**63), 2**64 - 1)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.floats() | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
scopes = [
    {"kind": "task", "number": 5},
    {"kind": "batch", "number": 2**62},
    {"kind": "all"},
    {"kind": "lane", "name": "x"},
]
words = ["echo", "shout", "cancel", "pause", "resume", "replay", "key", ""]
shapes = [b"{}", b'{"value":1}', b"[]", {}, {"priority": 1}, {"lane": "thread"}, [], [b"{}"], [[1, 5]], [[5, 2**62]]]
likely = st.sampled_from([*scopes, *words, *shapes, True, False, 0, 1, 2])


@settings(max_examples=400)
@given(
    calls=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(TAGS), st.lists(likely | values, max_size=7)),
        min_size=1,
        max_size=6,
    )
)
def test_any_question_is_answered_or_ends_only_its_connection(
    place: Path, served: Client, calls: list[tuple[int, str, list[Any]]]
) -> None:
    with Stranger(place) as stranger:
        stranger.say(hello(place, session="any question"))
        for number, tag, fields in calls:
            stranger.say([1, number, [tag, *fields]])
        heard = stranger.finish()
    assert heard[0][0] == WELCOME
    served.resume("all")
    assert served.overview().owned


def test_a_frame_that_announces_too_much_is_refused_before_it_comes(place: Path, served: Client) -> None:
    with Stranger(place) as stranger:
        stranger.say(hello(place))
        assert stranger.hear()[0] == WELCOME
        stranger.send((MAX_FRAME_BYTES + 1).to_bytes(4, "big"))
        kind, reason = stranger.hear()
    assert kind == CLOSING
    assert f"a frame of {MAX_FRAME_BYTES + 1} bytes, at most {MAX_FRAME_BYTES} are taken" in reason


def test_half_a_frame_and_nothing_more_is_the_end(place: Path, served: Client) -> None:
    with Stranger(place) as stranger:
        stranger.say(hello(place))
        stranger.send(framed(b"x" * 100)[:50])
        assert [message[0] for message in stranger.finish()] == [WELCOME]


def test_a_number_in_use_twice_is_no_client_of_ours(place: Path, served: Client) -> None:
    with Stranger(place) as stranger:
        stranger.say(hello(place))
        stranger.hear()
        task = served.submit("nobody", {}).number
        stranger.say([1, 7, ["result", task]])
        stranger.say([1, 7, ["result", task]])
        kind, reason = stranger.hear()
    assert kind == CLOSING
    assert "call 7 is not answered yet" in reason


def test_a_name_that_is_sent_for_the_first_time_twice_makes_two_tasks_and_harms_nobody(
    place: Path, served: Client
) -> None:
    with Stranger(place) as stranger:
        stranger.say(hello(place))
        stranger.hear()
        for number in range(4):
            stranger.say([1, number, ["submit", "nobody", b"{}", {}, "the same name"]])
        stranger.say([1, 9, ["submit", "nobody", b"{}", {}, "the same name", True]])
        answers = {number: task for kind, number, task in (stranger.hear() for _ in range(5)) if kind == DONE}
    assert len(answers) == 5
    assert len(set(answers.values())) == 4
    assert answers[9] == answers[3]


def test_a_client_that_comes_back_ends_its_old_connection(place: Path, served: Client) -> None:
    with Stranger(place) as old, Stranger(place) as new:
        old.say(hello(place, session="the same"))
        assert old.hear()[0] == WELCOME
        new.say(hello(place, session="the same"))
        assert new.hear()[0] == WELCOME
        assert old.finish() == [[CLOSING, "its client has a new connection"]]
        new.say([1, 1, ["flush"]])
        assert new.hear()[:2] == [DONE, 1]


@pytest.mark.parametrize("protocol, version", [(PROTOCOL + 1, "0.1.0"), (PROTOCOL, "0.2.0"), (0, "0.0.9"), (99, "9.0")])
def test_another_version_is_refused_with_both_named(place: Path, served: Client, protocol: int, version: str) -> None:
    with Stranger(place) as stranger:
        stranger.say(hello(place, protocol=protocol, version=version))
        kind, (name, (message,), _) = stranger.hear()
        assert stranger.hear() is None
    assert (kind, name) == (REFUSED, "WrongVersion")
    assert "wsaios 0.1.0" in message
    assert f"this client is wsaios {version}" in message


async def pretend(place: Path, answer: object) -> asyncio.Server:
    """Listen where an owner would, and greet every client with this."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(framed(msgspec.msgpack.encode(answer)))
        await reader.read()
        writer.close()

    return await asyncio.start_unix_server(greet, str(place.with_name(f"{place.name}.sock")))


async def test_a_client_refuses_an_owner_of_another_version(ledger: Path, client: AsyncClient) -> None:
    server = await pretend(ledger, [WELCOME, 1, "0.7.3"])
    with pytest.raises(WrongVersion, match=r"the scheduler runs wsaios 0\.7\.3, this client is wsaios 0\.1\.0"):
        await client.submit("echo", {})
    server.close()


async def test_an_owner_that_talks_nonsense_is_an_error_and_no_hang(ledger: Path, url: str) -> None:
    server = await pretend(ledger, "nonsense")
    async with AsyncClient(url, retry_s=0.1) as client:
        with pytest.raises(LedgerUnavailable, match="cannot be understood"):
            await client.status("task_0000000000001")
    server.close()


async def test_a_ledger_that_was_replaced_under_its_owner_is_noticed(
    owner: Owner, ledger: Path, client: AsyncClient
) -> None:
    ledger.rename(ledger.with_name("old.db"))
    ledger.touch()
    with pytest.raises(LedgerUnavailable, match="another file"):
        await client.submit("echo", {})


class Served:
    """A scheduler in this process whose door has rules of a test's own."""

    def __init__(self, ledger: Path, rules: Rules) -> None:
        self.scheduler = Scheduler(f"sqlite:///{ledger}")
        self.scheduler.add_handler("echo", _echo)
        # The door is a part that the scheduler makes for itself; only its bounds are others here.
        parts = self.scheduler._parts  # noqa: SLF001
        self.service = parts.service
        self.door = self.scheduler._door = Door(ledger, parts.service, parts.log, rules)  # noqa: SLF001

    async def __aenter__(self) -> None:
        await self.scheduler.start()

    async def __aexit__(self, *_: object) -> None:
        await self.scheduler.stop()


async def _echo(value: object = None) -> object:
    return value


async def test_too_many_clients_are_told_so_and_those_inside_go_on(ledger: Path, url: str) -> None:
    async with Served(ledger, Rules(connections=2)), AsyncClient(url) as one, AsyncClient(url) as two:
        await one.submit("echo")
        await two.submit("echo")
        async with AsyncClient(url) as three:
            with pytest.raises(LedgerUnavailable, match="2 clients are connected, the most"):
                await three.submit("echo")
        assert await (await one.submit("echo", {"value": 1})).result(timeout_s=20) == 1


async def test_a_client_that_says_nothing_is_let_go(ledger: Path) -> None:
    async with Served(ledger, Rules(hello_s=0.05)):
        with Stranger(ledger) as stranger:
            kind, reason = await asyncio.to_thread(stranger.hear)
    assert (kind, reason) == (CLOSING, "no hello came")


async def test_a_client_that_does_not_read_is_let_go_and_harms_nobody(ledger: Path, url: str) -> None:
    async with Served(ledger, Rules(stalled_s=0.2)), AsyncClient(url) as client:
        task = await client.submit("echo", {"value": "x" * 500_000})
        await task.result(timeout_s=20)
        with Stranger(ledger) as stranger:
            stranger.say(hello(ledger))
            asked = [framed(msgspec.msgpack.encode([1, number, ["result", task.number]])) for number in range(200)]
            await asyncio.to_thread(stranger.send, b"".join(asked))
            await asyncio.to_thread(stranger.await_end)
            assert len(stranger.finish()) < 200
        assert await task.result(timeout_s=20) == "x" * 500_000


class Gate:
    """Holds every answer back until it is opened, and counts what was asked meanwhile."""

    def __init__(self, enough: int) -> None:
        self.asked = 0
        self._enough = enough
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def wait(self) -> None:
        self.asked += 1
        if self.asked >= self._enough:
            self.reached.set()
        await self.opened.wait()


class GatedDesk(Desk):
    def __init__(self, service: Service, gate: Gate) -> None:
        super().__init__(service)
        self._gate = gate

    async def ask(self, ask: Ask[A]) -> A:
        await self._gate.wait()
        return await super().ask(ask)


async def test_no_more_calls_are_taken_at_once_than_the_rules_say(ledger: Path) -> None:
    served, gate = Served(ledger, Rules(requests=3)), Gate(3)
    # A scheduler that is slow to answer cannot be had on demand.
    served.door._host.desk = lambda: GatedDesk(served.service, gate)  # noqa: SLF001
    async with served:
        with Stranger(ledger) as stranger, Stranger(ledger) as other:
            stranger.say(hello(ledger))
            stranger.send(b"".join(framed(msgspec.msgpack.encode([1, number, ["flush"]])) for number in range(50)))
            await gate.reached.wait()
            other.say(hello(ledger, session="other"))
            assert (await asyncio.to_thread(other.hear))[0] == WELCOME
            assert gate.asked == 3
            gate.opened.set()
            heard = [await asyncio.to_thread(stranger.hear) for _ in range(51)]
    assert [message[0] for message in heard] == [WELCOME] + [DONE] * 50


async def test_a_wait_that_was_dropped_makes_room_at_once(ledger: Path, url: str) -> None:
    async with Served(ledger, Rules(waits=1)), AsyncClient(url) as client:
        never = (await client.submit("nobody")).number
        said = [[1, 1, ["result", never]], [1, 2, ["result", never]], [2, 1], [1, 3, ["result", never]]]
        with Stranger(ledger) as stranger:
            stranger.say(hello(ledger))
            stranger.send(b"".join(framed(msgspec.msgpack.encode(each)) for each in said))
            assert (await asyncio.to_thread(stranger.hear))[0] == WELCOME
            kind, number, (name, (message,), _) = await asyncio.to_thread(stranger.hear)
            assert (kind, number, name) == (FAILED, 2, "InvalidInput")
            assert message == "connection: 1 waits at once are the most"
            await client.cancel("all")
            kind, number, (name, *_) = await asyncio.to_thread(stranger.hear)
            assert (kind, number, name) == (FAILED, 3, "TaskFailed")


async def test_more_calls_than_are_taken_at_once_are_all_answered(ledger: Path, url: str) -> None:
    async with Served(ledger, Rules(requests=3)), AsyncClient(url) as client:
        tasks = await asyncio.gather(*(client.submit("echo", {"value": i}) for i in range(200)))
        assert len(set(tasks)) == 200
        assert await tasks[-1].result(timeout_s=20) == 199


async def test_waits_do_not_stand_in_the_way_of_calls(ledger: Path, url: str) -> None:
    async with Served(ledger, Rules(requests=3, waits=50)), AsyncClient(url) as client:
        never = await client.submit("nobody")
        waits = [asyncio.create_task(client.result(never.id)) for _ in range(50)]
        assert (await client.why(never.id)).waits_for == "handler"
        await client.cancel(never.id)
        results = await asyncio.gather(*waits, return_exceptions=True)
        assert {type(each).__name__ for each in results} == {"TaskFailed"}
