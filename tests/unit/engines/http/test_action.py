import asyncio
import contextlib
import copy
import pickle
from collections.abc import AsyncIterator, Callable, Iterable
from email.utils import formatdate
from typing import Any

import httpcore
import pytest

from wsaios.engines.http import (
    CallRefused,
    CallTimedOut,
    HttpAction,
    HttpCallFailed,
    ReplyRefused,
    StatusFailed,
    Unreachable,
)
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.limit import REFUSALS

PUBLIC = "93.184.216.34"
Reply = bytes | Callable[[str], bytes]


def http(status: str = "200 OK", body: bytes = b"", **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [
        f"HTTP/1.1 {status}",
        *(f"{name}: {value}" for name, value in ({"content-length": str(len(body))} | named).items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(to: str, status: str = "302 Found") -> bytes:
    return http(status, location=to)


class Service:
    """A real HTTP server on a loopback address that answers each path with what it was given."""

    def __init__(self, routes: dict[str, bytes]) -> None:
        self.routes = routes
        self.requests: list[str] = []
        self.connections = 0
        self.port = 0
        self.hangs = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    (int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0
                )
                body = (await reader.readexactly(length)).decode()
                self.requests.append(head + body)
                path = head.split(" ")[1].partition("?")[0]
                if path == "/hang":
                    await self.hangs.wait()
                writer.write(self.routes.get(path, http("404 Not Found", b"nothing here")))
                await writer.drain()
        writer.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    served = Service({"/": http(body=b'{"ok": true}', content_type="application/json")})
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    yield served
    served.hangs.set()
    server.close()
    await server.wait_closed()


@pytest.fixture
async def action() -> AsyncIterator[HttpAction]:
    made = HttpAction()
    yield made
    await made.aclose()


class Internet(httpcore.AsyncNetworkBackend):
    """A network in which public addresses lead to the test's own server; it notes who was connected."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connected: list[str] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore gives the name
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.connected.append(host)
        return await httpcore.AnyIOBackend().connect_tcp("127.0.0.1", self.port, timeout)


class Names:
    """A resolver that answers from a table; each question takes the next answer, the last one stays."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        label = host.partition(".")[0]
        if label not in self.answers:
            return [host]
        answers = self.answers[label]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@contextlib.asynccontextmanager
async def outside(service: Service, **answers: list[list[str]]) -> AsyncIterator[tuple[HttpAction, Internet, Names]]:
    internet, names = Internet(service.port), Names(**answers)
    action = HttpAction(resolve=names, network=internet)
    try:
        yield action, internet, names
    finally:
        await action.aclose()


async def test_a_json_answer_comes_as_a_value_with_status_and_headers(service: Service, action: HttpAction) -> None:
    answer = await action.call("get", service.url, allow_private=True)
    assert answer == {
        "status": 200,
        "headers": {"content-type": "application/json", "content-length": "12"},
        "json": {"ok": True},
    }


@pytest.mark.parametrize(
    "body, kind, text",
    [
        (b"plain", "text/plain", "plain"),
        ("grün".encode("latin-1"), "text/plain; charset=latin-1", "grün"),
        (b"\xff\xfe", "text/plain; charset=nonsense", "\ufffd\ufffd"),
        (b"{broken", "application/json", "{broken"),
        (b"NaN", "application/json", "NaN"),
        (b"[" * 5_000, "application/json", "[" * 5_000),
        (rb"\ud800", "text/plain; charset=raw_unicode_escape", "?"),
    ],
)
async def test_what_is_not_json_comes_as_text(
    service: Service, action: HttpAction, body: bytes, kind: str, text: str
) -> None:
    service.routes["/"] = http(body=body, content_type=kind)
    answer = await action.call("GET", service.url, allow_private=True)
    assert answer["text"] == text
    assert "json" not in answer


async def test_a_body_is_sent_as_json_and_parameters_join_the_query(service: Service, action: HttpAction) -> None:
    await action.call(
        "POST", f"{service.url}/?a=1", json={"名": [1, None]}, params={"b": "x y", "c": [1, 2]}, allow_private=True
    )
    (request,) = service.requests
    assert request.startswith("POST /?a=1&b=x+y&c=1&c=2 HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{service.port}\r\n" in request
    assert "content-type: application/json\r\n" in request
    assert "accept-encoding: identity\r\n" in request
    assert request.endswith('\r\n\r\n{"名":[1,null]}')


async def test_calls_share_connections_but_no_cookies(service: Service, action: HttpAction) -> None:
    service.routes["/"] = http(body=b"hello", set_cookie="session=secret")
    for _ in range(3):
        await action.call("GET", service.url, allow_private=True)
    assert service.connections == 1
    assert not any("cookie" in request.lower() for request in service.requests)


async def test_a_connection_that_was_allowed_does_not_serve_a_call_that_is_not(
    service: Service, action: HttpAction
) -> None:
    await action.call("GET", service.url, allow_private=True)
    with pytest.raises(CallRefused):
        await action.call("GET", service.url)
    assert len(service.requests) == 1


async def test_proxies_of_the_environment_are_not_used(
    service: Service, action: HttpAction, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await action.call("GET", service.url, allow_private=True))["status"] == 200


async def test_a_failing_status_is_an_error_with_status_and_trimmed_body(service: Service, action: HttpAction) -> None:
    service.routes["/"] = http("500 Internal Server Error", b"x" * 100_000)
    with pytest.raises(StatusFailed, match="status 500: xxx") as caught:
        await action.call("GET", f"{service.url}/?key=secret", allow_private=True)
    assert caught.value.status == 500
    assert len(caught.value.body) == 2_000
    assert caught.value.retry_after_s is None
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "status, header, wait_s",
    [
        ("429 Too Many Requests", "7", 7.0),
        ("503 Service Unavailable", formatdate(1_000_090, usegmt=True), 90.0),
        ("503 Service Unavailable", formatdate(999_000, usegmt=True), 0.0),
        ("503 Service Unavailable", "9" * 400, 86_400.0),
        ("503 Service Unavailable", "soon", None),
        ("500 Internal Server Error", "7", None),
    ],
)
async def test_a_service_that_asks_to_wait_is_heard(
    service: Service, status: str, header: str, wait_s: float | None
) -> None:
    service.routes["/"] = http(status, retry_after=header)
    action = HttpAction(now_s=lambda: 1_000_000.0)
    with pytest.raises(StatusFailed) as caught:
        await action.call("GET", service.url, allow_private=True)
    await action.aclose()
    assert caught.value.retry_after_s == wait_s
    # By this name a limit that learns knows it.
    assert (type(caught.value).__name__ in REFUSALS) is status.startswith("429")


async def test_an_answer_that_is_too_long_is_refused(service: Service) -> None:
    action = HttpAction(max_reply_bytes=10)
    service.routes["/"] = http(body=b"0123456789")
    assert (await action.call("GET", service.url, allow_private=True))["text"] == "0123456789"
    service.routes["/"] = http(body=b"0123456789+")
    with pytest.raises(ReplyRefused, match="longer than 10 bytes"):
        await action.call("GET", service.url, allow_private=True)
    await action.aclose()


async def test_a_packed_answer_is_refused(service: Service, action: HttpAction) -> None:
    service.routes["/"] = http(body=b"\x1f\x8b", content_encoding="gzip")
    with pytest.raises(ReplyRefused, match="packed"):
        await action.call("GET", service.url, allow_private=True)


async def test_a_call_that_takes_too_long_is_ended(service: Service, action: HttpAction) -> None:
    with pytest.raises(CallTimedOut, match=r"within 0\.05 s.*timeout_s") as caught:
        await action.call("GET", f"{service.url}/hang", timeout_s=0.05, allow_private=True)
    assert caught.value.timeout_s == 0.05


async def test_an_answer_that_is_not_http_is_unreachable(service: Service, action: HttpAction) -> None:
    service.routes["/"] = b"220 mail ready\r\n\r\n"
    with pytest.raises(Unreachable):
        await action.call("GET", service.url, allow_private=True)


async def test_nobody_listening_is_unreachable_and_names_the_address(action: HttpAction) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
        await action.call("GET", f"http://127.0.0.1:{port}/", allow_private=True)


async def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    async def unknown(host: str, port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    with pytest.raises(Unreachable, match=r"'nowhere\.test' does not resolve"):
        await HttpAction(resolve=unknown).call("GET", "http://nowhere.test/")


async def test_the_next_address_is_tried_when_the_first_does_not_answer(service: Service) -> None:
    async def two(host: str, port: int) -> list[str]:
        return ["127.0.0.77", "127.0.0.1"]

    action = HttpAction(resolve=two)
    answer = await action.call("GET", f"http://twice.test:{service.port}/", allow_private=True)
    await action.aclose()
    assert answer["status"] == 200


@pytest.mark.parametrize(
    "url, address",
    [
        ("http://127.0.0.1:{port}/", "127.0.0.1"),
        ("http://[::1]:{port}/", "::1"),
        ("http://169.254.169.254/latest/meta-data/", "169.254.169.254"),
        ("http://10.0.0.7/", "10.0.0.7"),
        ("http://[::ffff:127.0.0.1]:{port}/", "::ffff:"),
        ("http://2130706433:{port}/", "127.0.0.1"),
        ("http://0x7f000001:{port}/", "127.0.0.1"),
        ("http://127.1:{port}/", "127.0.0.1"),
        ("http://0.0.0.0:{port}/", "0.0.0.0"),  # noqa: S104 - an address to refuse
        ("http://localhost:{port}/", ""),
        ("http://user:pass@127.0.0.1:{port}/", "127.0.0.1"),
    ],
)
async def test_addresses_of_the_own_network_are_refused_in_every_notation(
    service: Service, action: HttpAction, url: str, address: str
) -> None:
    with pytest.raises(CallRefused) as caught:
        await action.call("GET", url.format(port=service.port))
    assert caught.value.address.startswith(address)
    assert caught.value.address in str(caught.value)
    assert "pass@" not in str(caught.value)
    assert service.connections == 0


async def test_a_refusal_says_how_to_allow_it_if_it_can_be(action: HttpAction) -> None:
    with pytest.raises(CallRefused, match=r"10\.0\.0\.7 is private.*allow_private=True"):
        await action.call("GET", "http://10.0.0.7/")
    with pytest.raises(CallRefused, match=r"never called$"):
        await action.call("GET", "http://169.254.169.254/")
    with pytest.raises(CallRefused, match=r"never called$"):
        await action.call("GET", "http://169.254.169.254/", allow_private=True)


async def test_a_name_that_resolves_to_loopback_is_refused(service: Service) -> None:
    async with outside(service, evil=[["127.0.0.1"]]) as (action, internet, _):
        with pytest.raises(CallRefused, match=r"evil\.test:80: 127\.0\.0\.1 is loopback"):
            await action.call("GET", "http://evil.test/")
        assert internet.connected == []


async def test_one_private_address_among_public_ones_is_enough_to_refuse(service: Service) -> None:
    async with outside(service, mixed=[[PUBLIC, "10.0.0.7"]]) as (action, internet, _):
        with pytest.raises(CallRefused, match=r"10\.0\.0\.7"):
            await action.call("GET", "http://mixed.test/")
        assert internet.connected == []


async def test_the_checked_address_is_connected_even_if_the_name_changes_its_answer(service: Service) -> None:
    async with outside(service, rebind=[[PUBLIC], ["127.0.0.1"]]) as (action, internet, names):
        answer = await action.call("GET", "http://rebind.test/")
        assert answer["json"] == {"ok": True}
        assert internet.connected == [PUBLIC]
        assert names.asked == ["rebind.test"]
        assert "Host: rebind.test\r\n" in service.requests[0]


async def test_a_redirect_is_followed_and_checked(service: Service) -> None:
    service.routes["/from"] = redirect("http://other.test/")
    async with outside(service, one=[[PUBLIC]], other=[["8.8.8.8"]]) as (action, internet, _):
        assert (await action.call("GET", "http://one.test/from"))["json"] == {"ok": True}
        assert internet.connected == [PUBLIC, "8.8.8.8"]


@pytest.mark.parametrize(
    "target, reason",
    [
        ("http://10.0.0.7/", r"10\.0\.0\.7 is private"),
        ("http://169.254.169.254/", "metadata"),
        ("http://inside.test/", r"127\.0\.0\.1 is loopback"),
        ("//localhost.inside.test/", "loopback|private"),
        ("ftp://one.test/file", "only http"),
        ("file:///etc/passwd", "only http"),
    ],
)
async def test_a_redirect_to_what_is_not_allowed_is_refused(service: Service, target: str, reason: str) -> None:
    service.routes["/from"] = redirect(target)
    answers = {"one": [[PUBLIC]], "inside": [["127.0.0.1"]], "localhost": [["127.0.0.1"]]}
    async with outside(service, **answers) as (action, internet, _):
        with pytest.raises(CallRefused, match=reason):
            await action.call("GET", "http://one.test/from")
        assert internet.connected == [PUBLIC]


async def test_an_allowed_call_may_not_be_redirected_to_metadata(service: Service, action: HttpAction) -> None:
    service.routes["/from"] = redirect("http://169.254.169.254/")
    with pytest.raises(CallRefused, match="metadata"):
        await action.call("GET", f"{service.url}/from", allow_private=True)


async def test_three_redirects_are_followed_and_a_fourth_is_not(service: Service, action: HttpAction) -> None:
    service.routes |= {f"/{n}": redirect(f"/{n - 1}") for n in range(1, 5)} | {"/0": http(body=b"there")}
    assert (await action.call("GET", f"{service.url}/3", allow_private=True))["text"] == "there"
    with pytest.raises(ReplyRefused, match="more than 3 times"):
        await action.call("GET", f"{service.url}/4", allow_private=True)


async def test_the_body_of_a_redirect_is_not_read(service: Service, action: HttpAction) -> None:
    service.routes["/from"] = http("302 Found", b"", location="/", content_length="99999999999")
    assert (await action.call("GET", f"{service.url}/from", allow_private=True))["status"] == 200


async def test_a_redirect_without_a_place_is_an_answer(service: Service, action: HttpAction) -> None:
    service.routes["/"] = http("304 Not Modified")
    assert (await action.call("GET", service.url, allow_private=True))["status"] == 304


async def test_a_redirect_to_nonsense_is_an_error(service: Service, action: HttpAction) -> None:
    service.routes["/"] = redirect("http://a:b/")
    with pytest.raises(HttpCallFailed):
        await action.call("GET", service.url, allow_private=True)


async def test_the_name_and_not_the_address_is_shown_to_tls() -> None:
    hello: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello.set_result(await reader.read(4_096))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    action = HttpAction(resolve=Names(secure=[[PUBLIC]]), network=Internet(server.sockets[0].getsockname()[1]))
    with pytest.raises(Unreachable):
        await action.call("GET", "https://secure.example.test/")
    assert b"secure.example.test" in await hello
    await action.aclose()
    server.close()
    await server.wait_closed()


async def test_only_listed_ports_are_called(service: Service) -> None:
    action = HttpAction(ports={80, 443})
    with pytest.raises(CallRefused, match=rf"port {service.port} is not among the allowed ones \(80, 443\)"):
        await action.call("GET", service.url, allow_private=True)
    assert service.connections == 0


async def test_closing_twice_and_calling_again_works(service: Service, action: HttpAction) -> None:
    for _ in range(2):
        await action.call("GET", service.url, allow_private=True)
        await action.aclose()
        await action.aclose()
    assert service.connections == 2


@pytest.mark.parametrize(
    "arguments, field",
    [
        ({"method": "FETCH"}, "method"),
        ({"method": None}, "method"),
        ({"url": 5}, "url"),
        ({"url": "http://a:b/"}, "url"),
        ({"url": "http://0177.0.0.1/"}, "url"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": float("inf")}, "timeout_s"),
        ({"timeout_s": "5"}, "timeout_s"),
        ({"allow_private": "false"}, "allow_private"),
        ({"allow_private": 1}, "allow_private"),
        ({"params": [1]}, "params"),
        ({"params": {"a": {}}}, r"params\['a'\]"),
        ({"json": {"a": {1}}}, r"json\['a'\]"),
        ({"json": float("nan")}, "json"),
    ],
)
async def test_a_bad_argument_names_its_field(action: HttpAction, arguments: dict[str, Any], field: str) -> None:
    call: dict[str, Any] = {"method": "GET", "url": "http://127.0.0.1/"} | arguments
    with pytest.raises(InvalidInput, match=f"^{field}: "):
        await action.call(**call)


@pytest.mark.parametrize(
    "url", ["ftp://example.org/", "file:///etc/passwd", "http://", "example.org", "", "unix:/run/x"]
)
async def test_only_http_addresses_with_a_host_are_called(action: HttpAction, url: str) -> None:
    with pytest.raises(CallRefused, match="only http:// and https://"):
        await action.call("GET", url)


@pytest.mark.parametrize(
    "error",
    [
        CallRefused("http://a/", "10.0.0.1 is private", "10.0.0.1"),
        Unreachable("http://a/", "no"),
        CallTimedOut("http://a/", 3.0),
        ReplyRefused("http://a/", "too long"),
        StatusFailed("http://a/", 503, "later", 7.0),
    ],
)
def test_errors_survive_pickling_and_copying(error: HttpCallFailed) -> None:
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)
