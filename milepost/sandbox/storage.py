"""What a browser context knows before the episode begins: cookies and local storage.

The form is the one that Playwright's `storage_state` writes, so that a login made once, by hand or by a script, can be
carried into every episode.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from milepost.sandbox.cdp import CDPConnection

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
    """Cookies and local storage at the start of an episode."""

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
        connection.off(tab.session)
        connection.post("Target.closeTarget", {"targetId": tab.target})


def _write_cookie(cookie: Cookie) -> dict[str, Any]:
    written = cookie.model_dump(exclude={"expires"})
    return written if cookie.expires < 0 else written | {"expires": cookie.expires}


async def _open_tab(connection: CDPConnection, context: str) -> _Tab:
    """Open a tab of our own whose every request is answered here, with an empty page."""
    made = await connection.send("Target.createTarget", {"url": "about:blank", "browserContextId": context})
    attached = await connection.send("Target.attachToTarget", {"targetId": made["targetId"], "flatten": True})
    return _Tab(target=made["targetId"], session=attached["sessionId"])


async def _fill_origin(connection: CDPConnection, tab: _Tab, origin: Origin) -> None:
    loaded = asyncio.Event()

    def on_event(method: str, params: Mapping[str, Any]) -> None:
        if method == "Fetch.requestPaused":
            connection.post("Fetch.fulfillRequest", {"requestId": params["requestId"], **_BLANK}, tab.session)
        elif method == "Page.loadEventFired":
            loaded.set()

    connection.on(tab.session, on_event)
    await connection.send("Page.enable", {}, tab.session)
    await connection.send("Fetch.enable", {"patterns": [{"urlPattern": "*"}]}, tab.session)
    loaded.clear()
    await connection.send("Page.navigate", {"url": origin.origin + "/"}, tab.session)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(loaded.wait(), 5)
    entries = orjson.dumps([[entry.name, entry.value] for entry in origin.localStorage]).decode()
    fill = f"for (const [name, value] of {entries}) localStorage.setItem(name, value); location.origin"
    reply = await connection.send(
        "Runtime.evaluate", {"expression": fill, "returnByValue": True}, tab.session
    )
    if reply["result"].get("value") != origin.origin:
        raise ValueError(f"the local storage of {origin.origin} could not be restored")
