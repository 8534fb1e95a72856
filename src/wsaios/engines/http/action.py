"""The action type `api`: one call of a service over HTTP."""

import asyncio
import math
import ssl
import time
from collections.abc import Callable, Collection
from typing import Any, Final

import httpcore
import httpx
import msgspec

from wsaios.engines.http.errors import CallRefused, CallTimedOut, ReplyRefused, Unreachable
from wsaios.engines.http.network import GuardedNetwork, GuardedTransport, Resolve, system_resolve
from wsaios.engines.http.reply import failure_of, result_of, shown
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.json_value import checked

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MAX_REDIRECTS: Final = 3
DEFAULT_TIMEOUT_S: Final = 30.0
DEFAULT_REPLY_BYTES: Final = 1 << 20
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_FAILED_FROM: Final = 400


class HttpAction:
    """Calls services, public ones unless a call says otherwise; belongs to one event loop.

    Names are resolved once for each connection and all their addresses checked, redirects (at most 3) as well;
    proxies of the environment are not used and nothing is kept from one call to the next but open connections.
    `ports` None allows all.
    """

    def __init__(
        self,
        *,
        resolve: Resolve = system_resolve,
        network: httpcore.AsyncNetworkBackend | None = None,
        ports: Collection[int] | None = None,
        max_reply_bytes: int = DEFAULT_REPLY_BYTES,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._resolve = resolve
        self._network = network or httpcore.AnyIOBackend()
        self._ports = ports
        self._max_reply_bytes = max_reply_bytes
        self._now_s = now_s
        self._transports: dict[bool, GuardedTransport] = {}
        self._ssl_context: ssl.SSLContext | None = None

    async def call(
        self,
        method: str,
        url: str,
        *,
        json: object = None,
        params: dict[str, Any] | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        allow_private: bool = False,
    ) -> dict[str, Any]:
        """What the service answered: ``{"status", "headers", "json" or "text"}``, headers being those worth keeping.

        `json` is sent as the body, `params` are added to the query of `url`; `timeout_s` bounds everything together.
        `allow_private` lets this call, redirects included, reach addresses that are not public.

        Raises:
            InvalidInput: an argument cannot be used.
            CallRefused: the address, the port or the scheme is forbidden; the message says how to allow it.
            StatusFailed: a status of 400 or more, with `retry_after_s` if 429 or 503 named it.
            Unreachable, CallTimedOut, ReplyRefused: as they say.
        """
        _check(method, params, timeout_s, allow_private)
        target = _target(url, params)
        headers = _headers(with_body=json is not None)
        request = httpx.Request(method.upper(), target, content=_body(json), headers=headers)
        transport = self._transport(allow_private=allow_private)
        client = httpx.AsyncClient(transport=transport, trust_env=False, timeout=timeout_s)
        try:
            async with asyncio.timeout(timeout_s), client:
                return await self._exchange(client, request)
        except TimeoutError:
            raise CallTimedOut(shown(target), timeout_s) from None
        except (httpcore.TimeoutException, httpx.TimeoutException):
            raise CallTimedOut(shown(target), timeout_s) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(shown(target), str(error) or type(error).__name__) from error

    async def aclose(self) -> None:
        """Close all connections; calls after that open new ones."""
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            await transport.close_pool()

    async def _exchange(self, client: httpx.AsyncClient, request: httpx.Request) -> dict[str, Any]:
        # Redirects are followed here and not by the client, which would read the body of each without a limit.
        for _ in range(MAX_REDIRECTS + 1):
            self._check_place(request.url)
            response = await client.send(request, stream=True)
            try:
                if response.next_request is None:
                    return await self._answer(response)
                request = response.next_request
            finally:
                await response.aclose()
        raise ReplyRefused(shown(request.url), f"redirected more than {MAX_REDIRECTS} times")

    async def _answer(self, response: httpx.Response) -> dict[str, Any]:
        if response.status_code >= _FAILED_FROM:
            raise await failure_of(response, self._now_s())
        return await result_of(response, self._max_reply_bytes)

    def _check_place(self, url: httpx.URL) -> None:
        if url.scheme not in _DEFAULT_PORTS or not url.host:
            raise CallRefused(shown(url), "only http:// and https:// addresses with a host are called")
        port = url.port or _DEFAULT_PORTS[url.scheme]
        if self._ports is not None and port not in self._ports:
            allowed = ", ".join(map(str, sorted(self._ports)))
            raise CallRefused(shown(url), f"port {port} is not among the allowed ones ({allowed})")

    def _transport(self, *, allow_private: bool) -> GuardedTransport:
        # Two pools: a connection that was allowed to a private address must not serve a call that is not.
        if allow_private not in self._transports:
            if self._ssl_context is None:
                self._ssl_context = httpx.create_ssl_context(trust_env=False)
            network = GuardedNetwork(self._resolve, self._network, allow_private=allow_private)
            self._transports[allow_private] = GuardedTransport(network, self._ssl_context)
        return self._transports[allow_private]


def _check(method: object, params: object, timeout_s: object, allow_private: object) -> None:
    if not isinstance(method, str) or method.upper() not in METHODS:
        raise InvalidInput("method", f"{method!r} is none of {', '.join(METHODS)}")
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, (int, float)) or not 0 < timeout_s < math.inf:
        raise InvalidInput("timeout_s", f"{timeout_s!r} is not a number of seconds above 0")
    if not isinstance(allow_private, bool):
        raise InvalidInput("allow_private", f"{allow_private!r} is neither true nor false")
    if not isinstance(params, dict | None):
        raise InvalidInput("params", f"{type(params).__name__} is not a dict")
    for name, value in (params or {}).items():
        values = value if isinstance(value, (list, tuple)) else [value]
        if not isinstance(name, str) or not all(isinstance(item, str | int | float | None) for item in values):
            raise InvalidInput(f"params[{name!r}]", f"{value!r} is not a text, a number or a list of these")


def _target(url: object, params: dict[str, Any] | None) -> httpx.URL:
    if not isinstance(url, str):
        raise InvalidInput("url", f"{url!r} is {type(url).__name__}; give an address such as 'https://example.org/'")
    try:
        target = httpx.URL(url)
        return target.copy_merge_params(params) if params else target
    except (httpx.InvalidURL, UnicodeError) as error:
        raise InvalidInput("url", f"{url!r} is not an address: {error}") from error


def _body(json: object) -> bytes | None:
    return None if json is None else msgspec.json.encode(checked(json, "json"))


def _headers(*, with_body: bool) -> dict[str, str]:
    # Unpacking could turn a small answer into an enormous one, so none is asked for.
    headers = {"accept": "application/json, */*;q=0.5", "accept-encoding": "identity", "user-agent": "wsaios"}
    return headers | {"content-type": "application/json"} if with_body else headers
