"""The proxy that breaks connections: each of its faults really happens, and is gone when it is healed."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from tests.servers.fault_proxy import Fault, FaultProxy


class Echo:
    """A server that sends back what it gets, and remembers how its connections ended."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.ends: list[str] = []
        self.open = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.open += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1 << 16):
                    connection.sendall(data)
                self.ends.append("closed")
            except ConnectionResetError:
                self.ends.append("reset")


@pytest.fixture
def echo() -> Iterator[Echo]:
    with closing(Echo()) as server:
        yield server


@pytest.fixture
def proxy(echo: Echo) -> Iterator[FaultProxy]:
    proxy = FaultProxy(lambda: echo.port)
    proxy.start()
    yield proxy
    proxy.stop()


def connected(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), 10.0)


def returned(connection: socket.socket, data: bytes) -> tuple[bytes, float]:
    """What comes back for the data, and after how long."""
    began_s = time.monotonic()
    sender = threading.Thread(target=connection.sendall, args=(data,))
    sender.start()
    found = b""
    while len(found) < len(data) and (more := connection.recv(1 << 16)):
        found += more
    sender.join()
    return found, time.monotonic() - began_s


def is_reset(proxy: FaultProxy) -> bool:
    """Whether a new connection is reset, be it before or after the client knows that it has one."""
    try:
        with connected(proxy) as connection:
            connection.recv(1)
    except ConnectionResetError:
        return True
    return False


def ended(echo: Echo, count: int) -> list[str]:
    until_s = time.monotonic() + 10.0
    while len(echo.ends) < count and time.monotonic() < until_s:
        time.sleep(0.01)
    return echo.ends


def test_without_a_fault_everything_passes_both_ways(proxy: FaultProxy, echo: Echo) -> None:
    data = bytes(range(256)) * 4096
    with connected(proxy) as connection:
        assert returned(connection, data)[0] == data
        assert proxy.open() == 1
    assert ended(echo, 1) == ["closed"]


def test_latency_is_added_in_each_direction_and_keeps_the_order(proxy: FaultProxy) -> None:
    data = bytes(range(256)) * 256
    with connected(proxy) as connection:
        returned(connection, b"x")
        proxy.set(Fault(latency_s=0.15))
        found, took_s = returned(connection, data)
        assert found == data
        assert took_s >= 0.3
        proxy.heal()
        assert returned(connection, b"y")[0] == b"y"


def test_a_slow_way_takes_no_more_bytes_than_it_may(proxy: FaultProxy) -> None:
    data = bytes(40_000)
    with connected(proxy) as connection:
        proxy.set(Fault(bytes_per_s=100_000))
        found, took_s = returned(connection, data)
    assert found == data
    assert took_s >= len(data) / 100_000


def test_a_cut_resets_both_sides_and_lets_new_connections_pass(proxy: FaultProxy, echo: Echo) -> None:
    with connected(proxy) as connection:
        returned(connection, b"x")
        assert proxy.cut() == 1
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        assert ended(echo, 1) == ["reset"]
    with connected(proxy) as connection:
        assert returned(connection, b"y")[0] == b"y"


def test_while_the_way_is_cut_new_connections_are_reset_and_reach_nobody(proxy: FaultProxy, echo: Echo) -> None:
    proxy.set(Fault(cut=True))
    assert is_reset(proxy)
    assert echo.open == 0
    proxy.heal()
    with connected(proxy) as connection:
        assert returned(connection, b"y")[0] == b"y"


def test_a_black_hole_accepts_and_swallows_and_neither_side_hears_of_it(proxy: FaultProxy, echo: Echo) -> None:
    with connected(proxy) as before:
        returned(before, b"x")
        proxy.set(Fault(black_hole=True))
        with connected(proxy) as within:
            for connection in (before, within):
                connection.settimeout(0.2)
                connection.sendall(bytes(1000))
                with pytest.raises(TimeoutError):
                    connection.recv(1)
        assert proxy.swallowed_bytes == 2000
        assert echo.open == 1

        proxy.heal()
        before.sendall(b"y")
        with pytest.raises(TimeoutError):
            before.recv(1)
    with connected(proxy) as after:
        assert returned(after, b"z")[0] == b"z"
    # What fell into the hole is half open still: its server was told nothing.
    assert ended(echo, 1) == ["closed"]
    assert proxy.open() == 1


def test_a_server_behind_that_is_not_there_is_a_reset(proxy: FaultProxy, echo: Echo) -> None:
    echo.close()
    assert is_reset(proxy)


def test_whoever_stops_ends_what_is_open(echo: Echo) -> None:
    proxy = FaultProxy(lambda: echo.port)
    proxy.start()
    with connected(proxy) as connection:
        returned(connection, b"x")
        proxy.stop()
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    with pytest.raises(ConnectionError):
        connected(proxy)
