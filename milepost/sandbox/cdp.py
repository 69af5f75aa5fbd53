"""Our own connection to Chromium's DevTools protocol: the hot path of every step.

Playwright launches the browser; act, settle and observe go over this WebSocket to the same browser, because
Playwright's extra hop through its driver process would cost about half the speed of a step.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import websockets
from websockets.asyncio.client import ClientConnection

from milepost.sandbox.noise import Noise

Handler = Callable[[str, Mapping[str, Any]], None]
"""Receives a protocol event's method and parameters."""


FLOODED = "Inspector.flooded"
"""Delivered once to the handler of a session that tells too much, see `noise`; it is not listened to any more."""

_UNHEARD = (b'{"method":"Runtime.consoleAPICalled"', b'{"method":"Runtime.exceptionThrown"')
"""Events that come with those we need and that nobody hears."""

_EVENT = b'{"method":"'
_DETACHED = _EVENT + b'Target.detachedFromTarget"'
_SESSION = b',"sessionId":"'
_SESSION_TAIL = 64


class CDPError(RuntimeError):
    """The browser refused a command; the message is the browser's own."""


class ConnectionLostError(CDPError):
    """The browser is gone: it crashed or was closed."""


class ScriptError(CDPError):
    """An expression raised an error in the page; the message is the error's description."""


class CDPConnection:
    """One WebSocket with flat sessions: commands are futures, events go to the session's handler."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = 0
        self._pending: dict[int, tuple[str, asyncio.Future[dict[str, Any]]]] = {}
        self._handlers: dict[str, Handler] = {}
        self._noises: dict[str, Noise] = {}
        self._loop = asyncio.get_running_loop()
        self._outbox: list[str] = []
        self._wake = asyncio.Event()
        self._closed = False
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]

    @classmethod
    async def open(cls, url: str) -> "CDPConnection":
        """Connect to a browser's DevTools WebSocket."""
        return cls(await websockets.connect(url, max_size=None, compression=None, ping_interval=None))

    @property
    def closed(self) -> bool:
        """Whether the browser is gone."""
        return self._closed

    def on(self, session: str, handler: Handler) -> None:
        """Send a session's events to `handler`; the empty session is the browser itself."""
        self._handlers[session] = handler
        if session:
            self._noises[session] = Noise()

    def off(self, session: str) -> None:
        """Stop to deliver a session's events."""
        self._handlers.pop(session, None)
        self._noises.pop(session, None)

    def send(
        self, method: str, params: Mapping[str, Any] | None = None, session: str = ""
    ) -> asyncio.Future[dict[str, Any]]:
        """Send a command now; the future gives its result, `CDPError`, or `ConnectionLostError`."""
        future: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        if self._closed:
            future.set_exception(ConnectionLostError("the browser is gone"))
            return future
        self._ids += 1
        message: dict[str, Any] = {"id": self._ids, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = session
        self._pending[self._ids] = session, future
        self._outbox.append(orjson.dumps(message).decode())
        self._wake.set()
        return future

    def post(self, method: str, params: Mapping[str, Any] | None = None, session: str = "") -> None:
        """Send a command whose result nobody waits for."""
        self.send(method, params, session).add_done_callback(forget)

    async def close(self) -> None:
        """Close the socket; pending commands fail."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._socket.close()
        self._lose()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            outbox, self._outbox = self._outbox, []
            try:
                for message in outbox:
                    await self._socket.send(message)
            except websockets.ConnectionClosed:
                return

    async def _read(self) -> None:
        try:
            while True:
                raw = await self._socket.recv(decode=False)
                heard = not raw.startswith(_UNHEARD)
                if raw.startswith(_EVENT) and self._is_too_much(raw, heard=heard):
                    continue
                if heard:
                    self._deliver(orjson.loads(raw))
        except websockets.ConnectionClosed:
            pass
        finally:
            self._lose()

    def _is_too_much(self, raw: bytes, *, heard: bool) -> bool:
        """Count an event; gives whether its session is listened to no more."""
        # Chromium writes the session last; quotes in what a page wrote are escaped.
        _, found, rest = raw[-_SESSION_TAIL:].rpartition(_SESSION)
        session = rest[:-2].decode() if found else ""
        noise = self._noises.get(session)
        if noise is None or noise.over:
            return noise is not None and not raw.startswith(_DETACHED)
        if noise.add(len(raw), self._loop.time(), heard=heard):
            self._handlers[session](FLOODED, {})
        return False

    def _deliver(self, message: dict[str, Any]) -> None:
        number = message.get("id")
        if number is None:
            if message["method"] == "Target.detachedFromTarget":
                self._abandon(message["params"]["sessionId"])
            handler = self._handlers.get(message.get("sessionId", ""))
            if handler is not None:
                handler(message["method"], message.get("params", {}))
            return
        _, future = self._pending.pop(number, ("", None))
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(CDPError(message["error"].get("message", "unknown error")))
        else:
            future.set_result(message["result"])

    def _abandon(self, session: str) -> None:
        """Fail what a session that ended was asked: the browser never answers that."""
        for number in [number for number, (owner, _) in self._pending.items() if owner == session]:
            _, future = self._pending.pop(number)
            if not future.done():
                future.set_exception(CDPError("the tab is gone"))

    def _lose(self) -> None:
        self._closed = True
        pending, self._pending = self._pending, {}
        for _, future in pending.values():
            if not future.done():
                future.set_exception(ConnectionLostError("the browser is gone"))
        for handler in list(self._handlers.values()):
            handler("Inspector.detached", {"reason": "the browser is gone"})


def forget(future: asyncio.Future[dict[str, Any]]) -> None:
    """Take note of a command's failure that nobody waits for, so that asyncio does not warn of it."""
    if not future.cancelled():
        future.exception()
