"""What a browser context remembers: cookies and local storage, before an episode begins and after it.

The form is the one that Playwright's `storage_state` reads and writes, so that a login made once, by hand, by a script or by
an episode, can be carried into every other episode.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from milepost.sandbox.cdp import CDPConnection
from milepost.sandbox.events import Fact, Requested

_BLANK = {
    "responseCode": 200,
    "responseHeaders": [{"name": "content-type", "value": "text/html"}],
    "body": "",
}

_LENIENT = ConfigDict(frozen=True, extra="ignore")


class Cookie(BaseModel):
    """A cookie, as Playwright names its parts."""

    model_config = _LENIENT

    name: str
    value: str
    domain: Annotated[str, Field(min_length=1)]
    path: str = "/"
    expires: float = -1
    """Seconds since 1970; -1 for a cookie that ends with the episode."""
    httpOnly: bool = False
    secure: bool = False
    sameSite: Literal["Strict", "Lax", "None"] = "Lax"


class Entry(BaseModel):
    """One entry of an origin's local storage."""

    model_config = _LENIENT

    name: str
    value: str


class Origin(BaseModel):
    """An origin and what its pages find in their local storage."""

    model_config = _LENIENT

    origin: Annotated[str, Field(pattern=r"^https?://[^/@]+$")]
    localStorage: tuple[Entry, ...] = ()


class StorageState(BaseModel):
    """Cookies and local storage of a browser context."""

    model_config = _LENIENT

    cookies: tuple[Cookie, ...] = ()
    origins: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tab:
    target: str
    session: str


def read_storage_state(source: str | Path | Mapping[str, Any] | StorageState) -> StorageState:
    """Read a storage state: the path of a file that Playwright wrote, or what is in one.

    Raises:
        ValueError: there is no such file, or it holds something else.
    """
    if isinstance(source, StorageState):
        return source
    try:
        content = source if isinstance(source, Mapping) else orjson.loads(Path(source).read_bytes())
        return StorageState.model_validate(content)
    except OSError as error:
        raise ValueError(f"the storage state {str(source)!r} cannot be read: {error.strerror}") from error
    except (ValidationError, orjson.JSONDecodeError) as error:
        raise ValueError(
            'not a storage state; expected {"cookies": [...], "origins": [...]} as Playwright\'s '
            f"context.storage_state(path=...) writes it: {error}"
        ) from error


async def restore_storage(connection: CDPConnection, context: str, state: StorageState) -> None:
    """Give a fresh browser context its cookies and local storage; no server hears of it.

    Raises:
        CDPError: the browser refused, a cookie for instance.
    """
    if state.cookies:
        cookies = [_write_cookie(cookie) for cookie in state.cookies]
        await connection.send("Storage.setCookies", {"cookies": cookies, "browserContextId": context})
    filled = [origin for origin in state.origins if origin.localStorage]
    if not filled:
        return
    tab = await _open_tab(connection, context)
    try:
        for origin in filled:
            await _fill_origin(connection, tab, origin)
    finally:
        _close_tab(connection, tab)


async def collect_storage(connection: CDPConnection, context: str, origins: Iterable[str]) -> StorageState:
    """Read what a browser context remembers; no server and no page hears of it.

    Args:
        connection: to the browser.
        context: the context's id.
        origins: whose local storage is read, such as `http://mail.acme.test`; those that have none are left out.

    Raises:
        CDPError: the browser refused.
    """
    found = list[Origin]()
    tab = await _open_tab(connection, context)
    try:
        for origin in sorted(set(origins)):
            # Where nothing can be remembered (a refused port, a document of no origin) nothing is.
            entries = await _visit_origin(connection, tab, origin, "Object.entries(localStorage).sort()")
            pairs = [Entry(name=name, value=value) for name, value in entries or ()]
            found += [Origin(origin=origin, localStorage=tuple(pairs))] if pairs else []
    finally:
        _close_tab(connection, tab)
    # Last, for a script's cookie is written while the script goes on: at once after it the browser may not have it yet.
    reply = await connection.send("Storage.getCookies", {"browserContextId": context})
    cookies = [Cookie.model_validate({**one, "expires": _read_expiry(one)}) for one in reply["cookies"]]
    return StorageState(
        cookies=tuple(sorted(cookies, key=lambda one: (one.domain, one.path, one.name))), origins=tuple(found)
    )


def find_origins(facts: Iterable[Fact], known: StorageState | None = None) -> frozenset[str]:
    """Give the origins that were asked for anything, through the tunnels of live hosts too, and those of a state."""
    before = {one.origin for one in known.origins} if known is not None else set[str]()
    asked = [fact for fact in facts if isinstance(fact, Requested) and fact.allowed]
    return (
        frozenset(
            f"https://{fact.url.removesuffix(':443')}" if fact.method == "CONNECT" else _cut_origin(fact.url)
            for fact in asked
        )
        | before
    )


def _cut_origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _read_expiry(cookie: Mapping[str, Any]) -> float:
    return -1 if cookie.get("session") else float(cookie["expires"])


def _write_cookie(cookie: Cookie) -> dict[str, Any]:
    written = cookie.model_dump(exclude={"expires"})
    return written if cookie.expires < 0 else written | {"expires": cookie.expires}


async def _open_tab(connection: CDPConnection, context: str) -> _Tab:
    """Open a tab of our own whose every request is answered here, with an empty page."""
    made = await connection.send("Target.createTarget", {"url": "about:blank", "browserContextId": context})
    attached = await connection.send("Target.attachToTarget", {"targetId": made["targetId"], "flatten": True})
    return _Tab(target=made["targetId"], session=attached["sessionId"])


def _close_tab(connection: CDPConnection, tab: _Tab) -> None:
    connection.off(tab.session)
    connection.post("Target.closeTarget", {"targetId": tab.target})


async def _fill_origin(connection: CDPConnection, tab: _Tab, origin: Origin) -> None:
    entries = orjson.dumps([[entry.name, entry.value] for entry in origin.localStorage]).decode()
    fill = f"{entries}.every(([name, value]) => {{ localStorage.setItem(name, value); return true; }})"
    if not await _visit_origin(connection, tab, origin.origin, fill):
        raise ValueError(f"the local storage of {origin.origin} could not be restored")


async def _visit_origin(connection: CDPConnection, tab: _Tab, origin: str, expression: str) -> Any:
    """Open an empty page of an origin and evaluate an expression there; None when the page is not of that origin."""
    loaded = asyncio.Event()

    def on_event(method: str, params: Mapping[str, Any]) -> None:
        if method == "Fetch.requestPaused":
            connection.post("Fetch.fulfillRequest", {"requestId": params["requestId"], **_BLANK}, tab.session)
        elif method == "Page.loadEventFired":
            loaded.set()

    connection.on(tab.session, on_event)
    await connection.send("Page.enable", {}, tab.session)
    await connection.send("Network.setBypassServiceWorker", {"bypass": True}, tab.session)
    await connection.send("Fetch.enable", {"patterns": [{"urlPattern": "*"}]}, tab.session)
    loaded.clear()
    await connection.send("Page.navigate", {"url": origin + "/"}, tab.session)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(loaded.wait(), 5)
    asked = f"location.origin === {orjson.dumps(origin).decode()} ? ({expression}) : null"
    reply = await connection.send(
        "Runtime.evaluate", {"expression": asked, "returnByValue": True}, tab.session
    )
    return reply["result"].get("value")
