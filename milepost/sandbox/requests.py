"""Requests of a tab's documents that a reader has to wait for."""

from collections.abc import Mapping
from typing import Any

_FETCHES = frozenset({"Fetch", "XHR"})
"""Kinds of requests whose answers a script waits for."""

_PARTS = frozenset({"Image", "Stylesheet", "Script", "Font", "TextTrack", "Ping", "Other"})
"""Kinds of requests that end by themselves, beacons and what is fetched ahead (`Other`) too: a stream, a video or a socket
may go on for ever."""


class Requests:
    """Which are outstanding, and what came since the page was last read."""

    def __init__(self) -> None:
        self._fetches: set[str] = set()
        self._parts: set[str] = set()
        self.fetched = False
        """Whether a script's request was answered since the page was last read."""
        self.parts_came = False
        """Whether a picture or another part came, after its document had loaded, since the page was last read."""

    @property
    def fetching(self) -> bool:
        """Whether a script waits for an answer."""
        return bool(self._fetches)

    @property
    def outstanding(self) -> bool:
        """Whether anything is on its way."""
        return bool(self._fetches or self._parts)

    @property
    def answered(self) -> bool:
        """Whether anything came since the page was last read."""
        return self.fetched or self.parts_came

    def begin(self, params: Mapping[str, Any]) -> None:
        """Take `Network.requestWillBeSent`."""
        kind = params.get("type")
        if kind in _FETCHES:
            self._fetches.add(params["requestId"])
        # A worker's script has no loader, and its end is told to the worker.
        elif kind in _PARTS and params["loaderId"]:
            self._parts.add(params["requestId"])

    def end(self, params: Mapping[str, Any], *, loading: bool) -> None:
        """Take `Network.loadingFinished` or `Network.loadingFailed`.

        Args:
            params: of the event.
            loading: whether the document still loads: its load event comes after its parts then.
        """
        request = params["requestId"]
        if request in self._fetches:
            self._fetches.discard(request)
            self.fetched = True
        elif request in self._parts:
            self._parts.discard(request)
            self.parts_came = self.parts_came or not loading

    def take(self) -> bool:
        """Begin to read: gives whether a script's request was answered, and forgets what came."""
        fetched, self.fetched, self.parts_came = self.fetched, False, False
        return fetched

    def forgive(self) -> None:
        """Wait for none of them any longer."""
        self._fetches.clear()
        self._parts.clear()

    def clear(self) -> None:
        """Begin anew, for another document."""
        self.forgive()
        self.take()
