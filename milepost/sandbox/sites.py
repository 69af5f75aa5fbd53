"""Serves an episode's sites: an HTTP proxy on a loopback port of its own.

Each episode's browser context is given its own proxy, so the port names the episode: sites live at plain
names (`http://mail.acme.test/`) with server state of their own, and every host that is not one of the
episode's sites is refused here, IP literals and CONNECT tunnels included. The network is closed by
construction, requests become harness-level facts, and what a site's server records about itself
(`expense.submitted`) is the strongest evidence a milestone can have.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import h11

from milepost.sandbox.events import AppChanged, Fact, Requested, Responded, Source
from milepost.sandbox.failure import describe_fault
from milepost.sandbox.gateway import Answer, Gateway
from milepost.sandbox.traffic import Exchange, Traffic

Recorder = Callable[[str, Mapping[str, Any]], None]
"""How a site's server states that its state changed: `recorder("expense.submitted", {"amount": "48.20"})`."""

ASGIApp = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]

FactSink = Callable[[Source, Fact], None]
"""Where an instrument puts the facts it witnesses."""

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Larger request bodies are refused with 413."""

_READ_BYTES = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A web application of the built-in web."""

    app: str
    """Its name in `app_changed` events."""
    build: Callable[[Recorder], ASGIApp]
    """Makes a fresh server with state of its own; called once per episode."""


class SiteProxy:
    """One episode's web. Open it before the browser context, close it after."""

    def __init__(
        self,
        sites: Mapping[str, Site],
        sink: FactSink,
        *,
        live: Collection[str] = (),
        traffic: Traffic | None = None,
        on_attachment: Callable[[], None] = lambda: None,
    ) -> None:
        """Build the sites' servers.

        Args:
            sites: host name to site.
            sink: receives `requested`, `responded` and `app_changed` facts.
            live: hosts of the real network that may be reached, see `gateway`; none as a rule.
            traffic: keeps what passes; nothing is kept without it.
            on_attachment: called when a navigation is about to be answered with a file to download.
        """
        self._sink = sink
        self._gateway = Gateway(hosts=live)
        self._on_attachment = on_attachment
        self.traffic = traffic
        self.faults: dict[str, None] = {}
        """What the sites raised, each once, in order; the browser was answered with an error 500."""
        self.build(sites)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    def build(self, sites: Mapping[str, Site]) -> None:
        """Build fresh servers; what those before knew is gone."""
        self.faults.clear()
        self._apps: dict[str, ASGIApp] = {
            host: site.build(self._recorder(site.app)) for host, site in sites.items()
        }

    def let(self, sites: Mapping[str, Site], sink: FactSink, *, on_attachment: Callable[[], None]) -> None:
        """Serve another episode on the same port, whose facts go to another sink."""
        self._sink, self._on_attachment = sink, on_attachment
        self.build(sites)

    def _recorder(self, app: str) -> Recorder:
        def record(change: str, data: Mapping[str, Any]) -> None:
            self._sink(Source.SERVER, AppChanged(app=app, change=change, data=dict(data)))

        return record

    async def open(self) -> int:
        """Start to listen and give the loopback port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_READ_BYTES)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop to listen and drop open connections."""
        if self._server is not None:
            self._server.close()
        await self.hang_up()

    async def hang_up(self) -> None:
        """Drop open connections; nothing that was asked is answered any more."""
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(ConnectionError, h11.RemoteProtocolError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        while True:
            request = await self._next_event(connection, reader)
            if not isinstance(request, h11.Request):
                return
            if request.method == b"CONNECT" and await self._dig(connection, request, reader, writer):
                return
            body, complete = await self._read_body(connection, reader)
            if not complete:
                await self._write(connection, writer, 413, [], b"body too large")
                return
            began = self._now()
            status, headers, content = await self._respond(request, body)
            self._keep(request, body, (status, headers, content), began)
            await self._write(connection, writer, status, headers, content)
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()

    async def _dig(
        self,
        connection: h11.Connection,
        request: h11.Request,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Serve a tunnel to a live host; false when it is refused or cannot be dug."""
        netloc = request.target.decode("latin-1")
        if not self._gateway.allows(netloc, scheme="https"):
            return False
        self._sink(Source.PROXY, Requested(method="CONNECT", url=netloc, allowed=True))
        began = self._now()
        dug = await self._gateway.dig(netloc, reader, writer)
        self._sink(Source.PROXY, Responded(method="CONNECT", url=netloc, status=200 if dug else 502))
        self._keep(request, b"", (200 if dug else 502, [], b""), began)
        if not dug:
            await self._read_body(connection, reader)
            reason = f"{netloc} cannot be reached".encode()
            await self._write(connection, writer, 502, [(b"content-type", b"text/plain")], reason)
        return True

    def _now(self) -> float:
        return self.traffic.now() if self.traffic is not None else 0.0

    def _keep(self, request: h11.Request, body: bytes, answer: Answer, began: float) -> None:
        if self.traffic is None:
            return
        status, headers, content = answer
        exchange = Exchange(
            method=request.method.decode("latin-1"),
            url=request.target.decode("latin-1"),
            asked=list(request.headers),
            sent=body,
            status=status,
            answered=headers,
            content=content,
            began_s=began,
            took_ms=(self.traffic.now() - began) * 1000,
        )
        self.traffic.add(exchange)

    async def _next_event(self, connection: h11.Connection, reader: asyncio.StreamReader) -> object:
        while True:
            event = connection.next_event()
            if event is not h11.NEED_DATA:
                return event
            connection.receive_data(await reader.read(_READ_BYTES))

    async def _read_body(
        self, connection: h11.Connection, reader: asyncio.StreamReader
    ) -> tuple[bytes, bool]:
        chunks: list[bytes] = []
        size = 0
        while True:
            event = await self._next_event(connection, reader)
            if not isinstance(event, h11.Data):
                return b"".join(chunks), True
            size += len(event.data)
            if size > MAX_BODY_BYTES:
                return b"", False
            chunks.append(bytes(event.data))

    async def _respond(
        self, request: h11.Request, body: bytes
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        method, target = request.method.decode("latin-1"), request.target.decode("latin-1")
        parts = urlsplit(target)
        app = self._apps.get(parts.netloc) if parts.scheme == "http" else None
        live = app is None and parts.scheme == "http" and self._gateway.allows(parts.netloc, scheme="http")
        self._sink(Source.PROXY, Requested(method=method, url=target, allowed=app is not None or live))
        if live:
            status, headers, content = await self._gateway.fetch(method, target, list(request.headers), body)
        elif app is None:
            refusal = f"{parts.netloc or target} is not a site of this episode".encode()
            status, headers, content = 403, [(b"content-type", b"text/plain; charset=utf-8")], refusal
        else:
            scope = _scope(method, parts.netloc, parts.path, parts.query, request)
            status, headers, content = await self._ask(app, scope, body)
        self._sink(Source.PROXY, Responded(method=method, url=target, status=status))
        if _is_navigation(request) and _is_attachment(headers):
            self._on_attachment()
        return status, headers, content

    async def _ask(
        self, app: ASGIApp, scope: MutableMapping[str, Any], body: bytes
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Ask a site; one that raises has answered with an error, and what it raised is noted."""
        [answer] = await asyncio.gather(_call(app, scope, body), return_exceptions=True)
        if not isinstance(answer, BaseException):
            return answer
        if not isinstance(answer, Exception):
            raise answer
        fault = f"{scope['method']} http://{scope['server'][0]}{scope['path']}: {describe_fault(answer)}"
        if fault not in self.faults:
            self.faults[fault] = None
            logging.getLogger(__name__).error("a site of the task is broken: %s", fault)
        return 500, [(b"content-type", b"text/plain; charset=utf-8")], b"Internal Server Error"

    async def _write(
        self,
        connection: h11.Connection,
        writer: asyncio.StreamWriter,
        status: int,
        headers: list[tuple[bytes, bytes]],
        content: bytes,
    ) -> None:
        kept = [(k, v) for k, v in headers if k.lower() not in (b"content-length", b"transfer-encoding")]
        kept.append((b"content-length", str(len(content)).encode()))
        head = connection.send(h11.Response(status_code=status, headers=kept))
        data = connection.send(h11.Data(data=content)) if content else b""
        end = connection.send(h11.EndOfMessage())
        # One write: separate writes of head and body cost a delayed ACK (40 ms) per response.
        writer.write((head or b"") + (data or b"") + (end or b""))
        await writer.drain()


def _is_navigation(request: h11.Request) -> bool:
    """Chromium asks for documents, and for nothing else, with this header."""
    return any(name == b"upgrade-insecure-requests" for name, _ in request.headers)


def _is_attachment(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(
        name.lower() == b"content-disposition" and value.lower().startswith(b"attachment")
        for name, value in headers
    )


def _scope(method: str, host: str, path: str, query: str, request: h11.Request) -> dict[str, Any]:
    raw_path = path.encode("latin-1") or b"/"
    headers = [(k, v) for k, v in request.headers if not k.startswith(b"proxy-")]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"),
        "raw_path": raw_path,
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": headers,
        "server": (host, 80),
        "client": ("127.0.0.1", 0),
    }


async def _call(
    app: ASGIApp, scope: MutableMapping[str, Any], body: bytes
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    status, headers, chunks = 500, [], list[bytes]()
    received = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal received
        if received:
            return {"type": "http.disconnect"}
        received = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            chunks.append(message.get("body", b""))

    await app(scope, receive, send)
    return status, headers, b"" if scope["method"] == "HEAD" else b"".join(chunks)
