"""Steps that call over HTTP, against a real server on the loopback."""

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.integration.workflows.conftest import Site, states
from wsaios import Workflow
from wsaios.kernel.errors import RunFailed

SOON = 20.0


class Service(http.server.ThreadingHTTPServer):
    """Adds what it is given; `refusals` is how many calls it refuses before."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.refusals = 0
        self.seen: list[tuple[str, str, Any]] = []

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"


class Answer(http.server.BaseHTTPRequestHandler):
    """One call."""

    server: Service

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append(("POST", self.path, body))
        refused = self.server.refusals > 0
        self.server.refusals -= refused
        self._send(503 if refused else 200, {"sum": sum(body["numbers"])})

    def do_GET(self) -> None:
        self.server.seen.append(("GET", self.path, None))
        (value,) = parse_qs(urlsplit(self.path).query)["value"]
        self._send(200, {"twice": 2 * int(value)})

    def _send(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def adding(**http_options: Any) -> Workflow:
    flow = Workflow(
        "adding", input={"at": {"type": "string"}}, output="${steps.twice.result.json.twice + steps.add.result.status}"
    )
    flow.step(
        "add",
        http={"url": "${input.at}/add", "method": "POST", "json": {"numbers": [1, "${1 + 1}", 3]}, **http_options},
        max_attempts=2,
        backoff_initial_s=0.0,
    )
    flow.step(
        "twice",
        http={"url": "${input.at}/twice", "params": {"value": "${steps.add.result.json.sum}"}, **http_options},
        depends_on="add",
        max_attempts=1,
    )
    return flow


async def test_values_go_into_a_call_and_its_answer_goes_on_after_a_refusal(site: Site, service: Service) -> None:
    service.refusals = 1
    scheduler = await site.open(http_allow_private=True)
    run = await scheduler.run_workflow(adding(allow_private=True), input={"at": service.url})
    assert await run.result(SOON) == 12 + 200
    numbers = {"numbers": [1, 2, 3]}
    assert service.seen == [("POST", "/add", numbers), ("POST", "/add", numbers), ("GET", "/twice?value=6", None)]


async def test_a_service_that_keeps_refusing_fails_the_run_with_what_it_said(site: Site, service: Service) -> None:
    service.refusals = 5
    scheduler = await site.open(http_allow_private=True)
    run = await scheduler.run_workflow(adding(allow_private=True), input={"at": service.url})
    with pytest.raises(RunFailed, match=r"step 'add' failed.*503"):
        await run.result(SOON)
    assert await states(run) == {"add": "failed", "twice": "pending"}
    assert len(service.seen) == 2


@pytest.mark.parametrize("scheduler_allows, step_allows", [(False, True), (True, False)])
async def test_an_address_that_is_not_public_is_called_only_where_both_allow_it(
    site: Site, service: Service, scheduler_allows: bool, step_allows: bool
) -> None:
    scheduler = await site.open(http_allow_private=scheduler_allows)
    run = await scheduler.run_workflow(adding(allow_private=step_allows), input={"at": service.url})
    with pytest.raises(RunFailed, match=r"not public|private"):
        await run.result(SOON)
    assert service.seen == []
