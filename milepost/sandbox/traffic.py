"""An episode's traffic as its proxy saw it, written as an HTTP archive (HAR 1.2, http://www.softwareishard.com/blog/har-12-spec).

The proxy sees every request in the clear but those in a tunnel to a live `https:` host: of these the archive has the
tunnel alone, and says so. The archive is a record for people and their tools; no reward reads it.
"""

import base64
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

MAX_TEXT_BYTES = 1024 * 1024
"""A longer body is left out of the archive, which then says so; its size is there."""

MAX_EXCHANGES = 10_000
"""Later exchanges of an episode are counted and not kept."""

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and its answer."""

    method: str
    url: str
    """Absolute, but for CONNECT: there it is host and port."""
    asked: Headers
    """Headers of the request."""
    sent: bytes
    """Body of the request."""
    status: int
    answered: Headers
    content: bytes
    began_s: float
    """Seconds since 1970."""
    took_ms: float


class Traffic:
    """Collects exchanges in the order in which they ended."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """Begin with nothing.

        Args:
            now: gives the seconds since 1970.
        """
        self.now = now
        self._exchanges: list[Exchange] = []
        self._more = 0

    def add(self, exchange: Exchange) -> None:
        """Keep an exchange."""
        if len(self._exchanges) < MAX_EXCHANGES:
            self._exchanges.append(exchange)
        else:
            self._more += 1

    def to_har(self, *, version: str) -> dict[str, Any]:
        """Give the archive as JSON values.

        Args:
            version: of the program that wrote it.
        """
        log: dict[str, Any] = {
            "version": "1.2",
            "creator": {"name": "milepost", "version": version},
            "entries": [_entry(exchange) for exchange in self._exchanges],
        }
        if self._more:
            log["comment"] = f"{self._more} later exchanges are left out"
        return {"log": log}


def _entry(exchange: Exchange) -> dict[str, Any]:
    began = datetime.fromtimestamp(exchange.began_s, UTC).isoformat(timespec="milliseconds")
    entry: dict[str, Any] = {
        "startedDateTime": began.replace("+00:00", "Z"),
        "time": exchange.took_ms,
        "request": _request(exchange),
        "response": _response(exchange),
        "cache": {},
        # The proxy is the server's neighbour: all it can tell apart is the wait for the answer.
        "timings": {"send": 0, "wait": exchange.took_ms, "receive": 0},
    }
    if exchange.method == "CONNECT":
        entry["comment"] = "a tunnel to a live host; what went through it is encrypted"
    return entry


def _request(exchange: Exchange) -> dict[str, Any]:
    url = f"https://{exchange.url}/" if exchange.method == "CONNECT" else exchange.url
    query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    request: dict[str, Any] = {
        "method": exchange.method,
        "url": url,
        "httpVersion": "HTTP/1.1",
        "cookies": _request_cookies(exchange.asked),
        "headers": _named(exchange.asked),
        "queryString": [{"name": name, "value": value} for name, value in query],
        "headersSize": -1,
        "bodySize": len(exchange.sent),
    }
    if exchange.sent:
        kind = _find(exchange.asked, b"content-type")
        request["postData"] = {"mimeType": kind} | _post_text(exchange.sent)
    return request


def _response(exchange: Exchange) -> dict[str, Any]:
    kind = _find(exchange.answered, b"content-type") or "application/octet-stream"
    try:
        phrase = HTTPStatus(exchange.status).phrase
    except ValueError:
        phrase = ""
    return {
        "status": exchange.status,
        "statusText": phrase,
        "httpVersion": "HTTP/1.1",
        "cookies": _response_cookies(exchange.answered),
        "headers": _named(exchange.answered),
        "content": {"size": len(exchange.content), "mimeType": kind} | _content_text(exchange.content),
        "redirectURL": _find(exchange.answered, b"location"),
        "headersSize": -1,
        "bodySize": len(exchange.content),
    }


def _post_text(body: bytes) -> dict[str, str]:
    """What was posted: HAR has no other form for it than text."""
    if len(body) > MAX_TEXT_BYTES:
        return {"text": "", "comment": f"{len(body)} bytes are left out"}
    return {"text": body.decode("utf-8", "replace")}


def _content_text(body: bytes) -> dict[str, str]:
    if len(body) > MAX_TEXT_BYTES:
        return {"comment": f"{len(body)} bytes are left out"}
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(body).decode(), "encoding": "base64"}


def _named(headers: Headers) -> list[dict[str, str]]:
    return [{"name": k.decode("latin-1"), "value": v.decode("latin-1")} for k, v in headers]


def _find(headers: Headers, wanted: bytes) -> str:
    return next((v.decode("latin-1") for k, v in headers if k.lower() == wanted), "")


def _request_cookies(headers: Headers) -> list[dict[str, str]]:
    pairs = (pair.partition("=") for pair in _find(headers, b"cookie").split(";") if pair.strip())
    return [{"name": name.strip(), "value": value} for name, _, value in pairs]


def _response_cookies(headers: Headers) -> list[dict[str, Any]]:
    return [_set_cookie(v.decode("latin-1")) for k, v in headers if k.lower() == b"set-cookie"]


def _set_cookie(line: str) -> dict[str, Any]:
    first, *rest = line.split(";")
    name, _, value = first.partition("=")
    cookie: dict[str, Any] = {"name": name.strip(), "value": value.strip()}
    given = {key.strip().lower(): part.strip() for key, _, part in (one.partition("=") for one in rest)}
    cookie |= {key: given[key] for key in ("path", "domain") if key in given}
    return cookie | {"httpOnly": "httponly" in given, "secure": "secure" in given}
