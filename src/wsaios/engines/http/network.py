"""The network that a guarded call sees: names are resolved once, and only checked addresses are connected to."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import httpcore
import httpx

from wsaios.engines.http.addresses import refusal
from wsaios.engines.http.errors import CallRefused, Unreachable

Resolve = Callable[[str, int], Awaitable[list[str]]]

_IDLE_CONNECTIONS = 20
_IDLE_S = 5.0


async def system_resolve(host: str, port: int) -> list[str]:
    """All addresses of a host name (or of an address in any notation), as the operating system answers.

    Raises:
        OSError, UnicodeError: the name cannot be resolved.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to the very addresses that were checked, so that a name which changes its answer gains nothing.

    The layers above keep the name for the Host header, SNI and the certificate.
    """

    def __init__(self, resolve: Resolve, inner: httpcore.AsyncNetworkBackend, *, allow_private: bool) -> None:
        self._resolve = resolve
        self._inner = inner
        self._allow_private = allow_private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore gives the name
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of `host` that answers; `timeout` is shared out between them.

        Raises:
            CallRefused: one of its addresses is forbidden; nothing was connected.
            Unreachable: no such name, or no address answers.
        """
        addresses = await self._checked(host, port)
        share = None if timeout is None else timeout / len(addresses)
        failure: Exception | None = None
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        tried = ", ".join(addresses)
        raise Unreachable(_place(host, port), f"no connection ({tried}): {failure or 'timed out'}") from failure

    async def _checked(self, host: str, port: int) -> list[str]:
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise Unreachable(_place(host, port), f"the name {host!r} does not resolve: {error}") from error
        if not addresses:
            raise Unreachable(_place(host, port), f"the name {host!r} has no address")
        for address in addresses:
            reason = refusal(address, allow_private=self._allow_private)
            if reason is not None:
                raise CallRefused(_place(host, port), f"{address} {reason}{self._hint(address)}", address)
        return addresses

    def _hint(self, address: str) -> str:
        if refusal(address, allow_private=True) is not None:
            return ""
        return "; if this service is meant, allow it with Settings(http_allow_private=True)"


class GuardedTransport(httpx.AsyncBaseTransport):
    """Carries the calls of many short-lived clients over one pool of connections; closing a client leaves the pool."""

    def __init__(self, network: GuardedNetwork, ssl_context: ssl.SSLContext) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context,
            max_connections=None,
            max_keepalive_connections=_IDLE_CONNECTIONS,
            keepalive_expiry=_IDLE_S,
            network_backend=network,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request as it is: no redirects, no proxies."""
        url = request.url
        reply = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(reply.status, headers=reply.headers, stream=_Stream(reply), extensions=reply.extensions)

    async def close_pool(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


class _Stream(httpx.AsyncByteStream):
    def __init__(self, reply: httpcore.Response) -> None:
        self._reply = reply

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._reply.aiter_stream():
            yield chunk

    async def aclose(self) -> None:
        await self._reply.aclose()


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
