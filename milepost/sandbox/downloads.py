"""An episode's downloads: from the browser's staging folder into the workspace, as facts."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from milepost.sandbox.events import DownloadFinished, DownloadStarted, Source
from milepost.sandbox.files import Workspace
from milepost.sandbox.sites import FactSink

CEILING_S = 10.0
"""A step waits no longer for downloads under way; a later one sees them arrive."""


class Downloads:
    """Follows the browser's download events of one page."""

    def __init__(self, workspace: Workspace, sink: FactSink) -> None:
        self._workspace = workspace
        self._sink = sink
        self._running: dict[str, tuple[str, str]] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def on_event(self, method: str, params: Mapping[str, Any]) -> None:
        """Take a `Browser.downloadWillBegin` or `Browser.downloadProgress`."""
        guid = params["guid"]
        if method == "Browser.downloadWillBegin":
            url, filename = params["url"], params["suggestedFilename"]
            self._running[guid] = (url, filename)
            self._idle.clear()
            self._sink(Source.BROWSER, DownloadStarted(url=url, filename=filename))
        elif params["state"] != "inProgress" and guid in self._running:
            url, filename = self._running.pop(guid)
            path = ""
            if params["state"] == "completed":
                path = self._workspace.adopt_download(self._workspace.incoming / guid, filename)
            self._sink(Source.BROWSER, DownloadFinished(url=url, path=path, state=params["state"]))
            if not self._running:
                self._idle.set()

    async def wait(self) -> None:
        """Wait until no download is under way, at most `CEILING_S` seconds."""
        if not self._idle.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CEILING_S):
                    await self._idle.wait()
