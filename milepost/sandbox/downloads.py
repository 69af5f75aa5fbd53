"""An episode's downloads: from the browser's staging folder into the workspace, as facts."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from milepost.sandbox.cdp import CDPConnection
from milepost.sandbox.events import DownloadFinished, DownloadStarted, Source
from milepost.sandbox.files import MAX_BYTES, Workspace, WorkspaceError
from milepost.sandbox.follower import MAX_URL
from milepost.sandbox.sites import FactSink

CEILING_S = 10.0
"""A step waits no longer for downloads under way; a later one sees them arrive."""

BEGIN_CEILING_S = 2.0
"""How long a step waits for a download to begin after its server has answered."""


def receive_downloads(
    connection: CDPConnection, context: str, folder: Path
) -> "asyncio.Future[dict[str, Any]]":
    """Have a browser context's downloads put into a folder, by their guids, and told of."""
    behaviour = {"behavior": "allowAndName", "downloadPath": str(folder), "eventsEnabled": True}
    return connection.send("Browser.setDownloadBehavior", {**behaviour, "browserContextId": context})


def cancel_download(connection: CDPConnection, context: str, guid: str) -> None:
    """End a download."""
    connection.post("Browser.cancelDownload", {"guid": guid, "browserContextId": context})


class Downloads:
    """Follows the browser's download events of one page."""

    def __init__(self, workspace: Workspace, sink: FactSink, *, cancel: Callable[[str], None]) -> None:
        """Begin with none.

        Args:
            workspace: where finished ones go.
            sink: takes the facts.
            cancel: ends a download by its guid.
        """
        self._workspace = workspace
        self._sink = sink
        self._cancel = cancel
        self._running: dict[str, tuple[str, str]] = {}
        self._expected = 0
        self._begun, self._idle = asyncio.Event(), asyncio.Event()
        self._begun.set()
        self._idle.set()

    def expect(self) -> None:
        """Take note that a server answers a navigation with a file: the browser will tell of it soon."""
        self._expected += 1
        self._begun.clear()

    def on_event(self, method: str, params: Mapping[str, Any]) -> None:
        """Take a `Browser.downloadWillBegin` or `Browser.downloadProgress`."""
        guid = params["guid"]
        if method == "Browser.downloadWillBegin":
            url, filename = params["url"][:MAX_URL], params["suggestedFilename"]
            self._running[guid] = (url, filename)
            self._idle.clear()
            self._expected = max(0, self._expected - 1)
            if not self._expected:
                self._begun.set()
            self._sink(Source.BROWSER, DownloadStarted(url=url, filename=filename))
        elif params["state"] == "inProgress":
            # One without an end would fill the disk before anybody sees it.
            if params.get("receivedBytes", 0) > MAX_BYTES:
                self._cancel(guid)
        elif guid in self._running:
            url, filename = self._running.pop(guid)
            path, state = self._adopt(guid, filename, params["state"])
            self._sink(Source.BROWSER, DownloadFinished(url=url, path=path, state=state))
            if not self._running:
                self._idle.set()

    def _adopt(self, guid: str, filename: str, state: str) -> tuple[str, str]:
        """Take a completed download into the workspace, if it has room; gives its path and what became of it."""
        if state != "completed":
            return "", state
        staged = self._workspace.incoming / guid
        try:
            return self._workspace.adopt_download(staged, filename), state
        except WorkspaceError:
            staged.unlink()
            return "", "refused"

    async def wait(self) -> None:
        """Wait until no download is expected or under way, at most for the ceilings."""
        await _wait(self._begun, BEGIN_CEILING_S)
        self._expected = 0
        self._begun.set()
        await _wait(self._idle, CEILING_S)


async def _wait(event: asyncio.Event, ceiling_s: float) -> None:
    if not event.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ceiling_s):
                await event.wait()
