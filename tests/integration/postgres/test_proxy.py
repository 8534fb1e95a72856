"""The proxy really does what tests of faults rely on."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from tests.servers.proxy import FaultProxy, proxied


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    """Before a server that says everything again."""
    server = socket.create_server(("127.0.0.1", 0))

    def echo(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65_536):
                connection.sendall(data)

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=_quietly, args=(echo, connection), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    with proxied(server.getsockname()[1]) as made:
        yield made
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def _quietly(echo: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with suppress(OSError):
        echo(connection)


def said(connection: socket.socket, data: bytes) -> float:
    """How long it takes until all of it has come back, in seconds."""
    began = time.monotonic()
    connection.sendall(data)
    left = len(data)
    while left:
        got = connection.recv(65_536)
        assert got
        left -= len(got)
    return time.monotonic() - began


def test_it_passes_everything_on(proxy: FaultProxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as connection:
        assert said(connection, b"x" * 1_000_000) < 5
        assert proxy.connections == 1


def test_latency_comes_both_ways(proxy: FaultProxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as connection:
        said(connection, b"x")
        proxy.latency_s = 0.1
        assert said(connection, b"x") >= 0.2
        proxy.heal()
        assert said(connection, b"x") < 0.1


def test_a_slow_line_takes_as_long_as_its_rate_says(proxy: FaultProxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as connection:
        proxy.bytes_per_s = 100_000
        assert said(connection, b"x" * 50_000) >= 0.5


def test_a_cut_is_a_reset_and_the_next_connection_is_whole(proxy: FaultProxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as connection:
        said(connection, b"x")
        assert proxy.cut() == 2
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as connection:
        said(connection, b"x")


def test_a_hole_takes_connections_and_swallows_for_good(proxy: FaultProxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as before:
        said(before, b"x")
        proxy.hole = True
        with socket.create_connection(("127.0.0.1", proxy.port), 5) as inside:
            for each in (before, inside):
                each.settimeout(0.3)
                each.sendall(b"x")
                with pytest.raises(TimeoutError):
                    each.recv(1)
            proxy.heal()
            before.sendall(b"y")
            with pytest.raises(TimeoutError):
                before.recv(1)
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as connection:
        said(connection, b"x")


async def test_a_server_that_is_gone_ends_the_connection(unused_tcp_port: int) -> None:
    with proxied(unused_tcp_port) as lonely:
        reader, writer = await asyncio.open_connection("127.0.0.1", lonely.port)
        with pytest.raises(OSError, match="reset"):
            await reader.read(1)
        writer.transport.abort()
