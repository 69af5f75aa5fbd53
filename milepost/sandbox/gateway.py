"""The way out, for episodes that are given live hosts: requests are fetched, tunnels are dug, nothing else passes."""

import asyncio
import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

FETCH_DEADLINE_S = 30.0
"""A live server that takes longer is answered for with 504."""

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""A larger body is answered for with 502: an endless one must not fill the memory."""

_CHUNK = 65536
_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
"""Headers between two neighbours, which a proxy does not pass on (RFC 9110, 7.6.1)."""
_DECODED = {"content-encoding", "content-length"}

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, headers and body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Lets an episode reach live hosts, and no others."""

    hosts: Collection[str]
    """`example.com` (its web ports), `localhost:3000` (that port), `*.example.com` (every host below it)."""

    def allows(self, netloc: str, *, scheme: str) -> bool:
        """Whether a host, with a port or without, may be reached; a user name in front of it never may."""
        host, _, port = netloc.lower().rpartition(":") if ":" in netloc else (netloc.lower(), "", "")
        if not host or "@" in netloc:
            return False
        usual = port in ("", "443" if scheme == "https" else "80")
        return any(self._matches(entry.lower(), host, port, usual) for entry in self.hosts)

    @staticmethod
    def _matches(entry: str, host: str, port: str, usual: bool) -> bool:
        if ":" in entry:
            return entry == f"{host}:{port}"
        if entry.startswith("*."):
            return usual and host.endswith(entry[1:])
        return usual and entry == host

    async def fetch(self, method: str, url: str, headers: list[tuple[bytes, bytes]], body: bytes) -> Answer:
        """Ask a live server over HTTP; redirects go back to the browser, which asks again."""
        kept = [(k, v) for k, v in headers if k.decode("latin-1").lower() not in _HOP_BY_HOP]
        try:
            async with (
                httpx.AsyncClient(timeout=FETCH_DEADLINE_S, follow_redirects=False) as client,
                client.stream(method, url, headers=kept, content=body) as response,
            ):
                content = await _read(response)
        except httpx.TimeoutException:
            return _refuse(504, f"{urlsplit(url).netloc} did not answer within {FETCH_DEADLINE_S:g} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _refuse(502, f"{urlsplit(url).netloc} cannot be reached: {error}")
        if content is None:
            return _refuse(502, f"{url[:200]} is larger than {MAX_ANSWER_BYTES} bytes")
        passed = [
            (k, v)
            for k, v in response.headers.raw
            if k.decode("latin-1").lower() not in _HOP_BY_HOP | _DECODED
        ]
        return response.status_code, passed, content

    async def dig(self, netloc: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Join a browser's connection with a live server's until one of them ends; false when it cannot be reached."""
        host, _, port = netloc.rpartition(":")
        try:
            async with asyncio.timeout(FETCH_DEADLINE_S):
                theirs, to_them = await asyncio.open_connection(host.strip("[]"), int(port))
        except (OSError, TimeoutError, ValueError):
            return False
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        pipes = (asyncio.create_task(_pour(reader, to_them)), asyncio.create_task(_pour(theirs, writer)))
        try:
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pipe in pipes:
                pipe.cancel()
            await asyncio.gather(*pipes, return_exceptions=True)
            to_them.close()
        return True


async def _read(response: httpx.Response) -> bytes | None:
    """Read an answer's body, decoded; None when it is too large, and may have no end."""
    parts, size = list[bytes](), 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await source.read(_CHUNK):
            sink.write(chunk)
            await sink.drain()


def _refuse(status: int, reason: str) -> Answer:
    return status, [(b"content-type", b"text/plain; charset=utf-8")], reason.encode()
