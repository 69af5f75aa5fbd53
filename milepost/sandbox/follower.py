"""Follows what a tab's DevTools session tells: what loads, what is open, what became of it."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from milepost.sandbox.cdp import FLOODED, forget
from milepost.sandbox.events import (
    DialogClosed,
    DialogOpened,
    DomContentLoaded,
    Fact,
    HistoryNavigated,
    NavigationCompleted,
    Source,
    Submitted,
)
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.observation import Dialog
from milepost.sandbox.requests import Requests
from milepost.sandbox.sites import FactSink
from milepost.sandbox.witness import read_note

WORLD = "milepost"
BINDING = "milepostNote"

MAX_URL = 10_000
"""Characters of an address that are kept; a page can make one of two million."""


class Follower:
    """A tab's state as its events tell it. Facts go to the sink."""

    def __init__(self, *, tab: int, target: str, sink: FactSink) -> None:
        self._tab = tab
        self._target = target
        self._note = sink
        self.world: int | None = None
        """Execution context of our script in the main document; None between two documents."""
        self.loading = False
        self.awaited = False
        """Whether a document was announced for a tab that is still blank."""
        self.sent = False
        """Whether a form was sent and nothing has begun to load since."""
        self.navigated_to = ""
        """URL of the document that loads."""
        self.expected = ""
        """Loader of the document that a navigation of ours brings; empty once it is there."""
        self.loaders: set[str] = set()
        """Loaders of the documents that came since the last navigation of ours began."""
        self.requests = Requests()
        self.frames: set[str] = set()
        """Frames that navigate, beside the tab's own document."""
        self.expired = False
        """Whether the page time that was given has passed, see `clock`."""
        self.dialog: Dialog | None = None
        self.gone = ""
        """Why the tab is gone; empty while it is there."""
        self.closed = False
        """Whether it is gone because it was closed, which is no failure."""
        self.opened: list[str] = []
        """URLs of the tabs that the page said it opens."""
        self.on_turn: Callable[[], None] = lambda: None
        """Called when a tab opens or a document comes: either may swallow the answer to what was typed or clicked."""
        self.claimed = 0
        """How many of them have come."""
        self.interrupted: asyncio.Future[dict[str, Any]] | None = None
        """The answer to an input event in whose handling a dialog opened."""
        self.witnessed: Fact | None = None
        """The last input that a walker of ours reported."""
        self.done: Mapping[str, Any] | None = None
        """The answer of the last action that was one function of the walker."""
        self.dragged: Mapping[str, Any] | None = None
        """Data of the last native drag that was intercepted."""
        self._change: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def begin_navigation(self) -> None:
        """Take note that a document was asked for."""
        self.loading, self.expected = True, ""
        self.loaders.clear()

    def expect(self, reply: Mapping[str, Any]) -> str:
        """Wait for the document that the browser has promised; gives its error text, empty when all is well.

        A page that loads itself again may have its own document come between the promise and that one.

        Args:
            reply: to `Page.navigate`; empty when a dialog opened instead.
        """
        error = str(reply.get("errorText", ""))
        loader = reply.get("loaderId", "")
        if error or (reply and not loader):
            self.loading = False
        elif loader not in self.loaders:
            self.expected = loader
        return error

    def close(self) -> None:
        """Take note that the tab was closed; whoever waits for it is woken. A tab that failed before stays failed."""
        if not self.gone:
            self.closed, self.gone = True, "the tab was closed"
        self._wake()

    def finish_load(self, url: str) -> None:
        """Take note of a document that had loaded before anybody followed."""
        self.loading = self.awaited = False
        self._note(Source.BROWSER, NavigationCompleted(tab=self._tab, url=url[:MAX_URL]))

    def on_event(self, method: str, params: Mapping[str, Any]) -> None:
        """Take an event of the tab's session."""
        handler = _HANDLERS.get(method)
        if handler is not None:
            handler(self, params)
            self._wake()

    def _wake(self) -> None:
        if not self._change.done():
            self._change.set_result(None)

    def _on_context(self, params: Mapping[str, Any]) -> None:
        context = params["context"]
        if context["name"] == WORLD and context["auxData"]["frameId"] == self._target:
            self.world = context["id"]

    def _on_context_gone(self, params: Mapping[str, Any]) -> None:
        if params.get("executionContextId", self.world) == self.world:
            self.world = None

    def _on_navigation_start(self, params: Mapping[str, Any]) -> None:
        self.sent = False
        kind = params.get("navigationType", "")
        if kind in ("sameDocument", "historySameDocument"):
            return
        if params.get("disposition", "currentTab") != "currentTab":
            return
        if params["frameId"] == self._target:
            self.loading = True
        else:
            self.frames.add(params["frameId"])

    def _on_commit(self, params: Mapping[str, Any]) -> None:
        frame = params["frame"]
        if frame["id"] == self._target:
            self.loading = True
            self.requests.clear()
            self.frames.clear()
            self.navigated_to = (frame["url"] + frame.get("urlFragment", ""))[:MAX_URL]
            self.loaders.add(frame["loaderId"])
            if frame["loaderId"] == self.expected:
                self.expected = ""
            self.on_turn()

    def _on_parsed(self, _params: Mapping[str, Any]) -> None:
        if self.navigated_to not in ("", "about:blank"):
            self._note(Source.BROWSER, DomContentLoaded(tab=self._tab, url=self.navigated_to))

    def _on_load(self, _params: Mapping[str, Any]) -> None:
        if self.navigated_to not in ("", "about:blank"):
            self._note(Source.BROWSER, NavigationCompleted(tab=self._tab, url=self.navigated_to))
            self.awaited = False
        self.navigated_to = ""
        self.loading = False

    def _on_stopped(self, params: Mapping[str, Any]) -> None:
        self.frames.discard(params["frameId"])
        # A tab that a page opened stops its blank document first, and only then loads what it was opened for.
        if params["frameId"] == self._target and not self.awaited:
            self.loading = False

    def _on_frame_gone(self, params: Mapping[str, Any]) -> None:
        # A frame that only goes to another process is still on its way to its document.
        if params.get("reason") != "swap":
            self.frames.discard(params["frameId"])

    def release_frame(self, frame: str) -> None:
        """Wait for a frame no longer; whoever waits is woken."""
        self.frames.discard(frame)
        self._wake()

    def _on_expired(self, _params: Mapping[str, Any]) -> None:
        self.expired = True

    def _on_history(self, params: Mapping[str, Any]) -> None:
        if params["frameId"] == self._target:
            self._note(Source.BROWSER, HistoryNavigated(tab=self._tab, url=params["url"][:MAX_URL]))

    def _on_request(self, params: Mapping[str, Any]) -> None:
        self.requests.begin(params)

    def _on_request_done(self, params: Mapping[str, Any]) -> None:
        self.requests.end(params, loading=self.loading)

    def _on_dialog(self, params: Mapping[str, Any]) -> None:
        self.dialog = Dialog(type=params["type"], message=params["message"])
        self._note(
            Source.BROWSER, DialogOpened(tab=self._tab, type=params["type"], message=params["message"])
        )

    def _on_dialog_closed(self, params: Mapping[str, Any]) -> None:
        if self.dialog is not None:
            closed = DialogClosed(
                tab=self._tab,
                type=self.dialog.type,
                message=self.dialog.message,
                accepted=bool(params["result"]),
            )
            self._note(Source.BROWSER, closed)
        self.dialog = None

    def _on_crash(self, _params: Mapping[str, Any]) -> None:
        self.gone = "the page's renderer crashed"

    def _on_detached(self, params: Mapping[str, Any]) -> None:
        self.gone = self.gone or f"the page is gone ({params.get('reason', 'closed')})"

    def _on_flood(self, _params: Mapping[str, Any]) -> None:
        self.gone = "the page made the browser tell more than can be listened to (its console, its requests, its events)"

    def _on_open(self, params: Mapping[str, Any]) -> None:
        self.opened.append(params["url"][:MAX_URL])
        self.on_turn()

    def _on_drag(self, params: Mapping[str, Any]) -> None:
        self.dragged = params["data"]

    def _on_binding(self, params: Mapping[str, Any]) -> None:
        # Only our world has the binding; the context id is checked all the same.
        if params["name"] == BINDING and params["executionContextId"] == self.world:
            self.note_input(params["payload"])

    def note_input(self, payload: str) -> None:
        """Note what a walker of ours witnessed."""
        note = orjson.loads(payload)
        if note["kind"] == "done":
            self.done = note["answer"]
        fact = read_note(self._tab, note)
        if fact is not None:
            self.sent = self.sent or isinstance(fact, Submitted)
            self.witnessed = fact
            self._note(Source.INPUT, fact)

    async def _next_change(self) -> None:
        if self._change.done():
            self._change = asyncio.get_running_loop().create_future()
        await self._change

    def check(self) -> None:
        """Raise `SandboxError` when the tab is gone."""
        if self.gone:
            raise SandboxError(Failure.INFRASTRUCTURE, self.gone)

    @property
    def busy(self) -> bool:
        """Whether something loads, or was loaded since the page was last read."""
        return self.pending or self.requests.answered

    @property
    def pending(self) -> bool:
        """Whether something loads."""
        return self.needs_time or self.requests.outstanding

    @property
    def needs_time(self) -> bool:
        """Whether something loads that may wait for the page's timers, as a picture does not."""
        return bool(
            self.loading or self.expected or self.world is None or self.requests.fetching or self.frames
        )

    def forgive(self) -> None:
        """Wait no longer for what is outstanding: a poll without end is no reason to wait in every step."""
        self.requests.forgive()
        self.frames.clear()
        self.expected = ""

    async def until_changed(self) -> None:
        """Wait until the browser tells something of the tab."""
        self.check()
        await self._next_change()
        self.check()

    async def until_ready(self) -> None:
        """Wait until the documents are loaded, the world exists and no request is in flight, or a dialog opens."""
        while self.dialog is None and self.pending:
            await self.until_changed()
        self.check()

    async def until_departed(self, ceiling_s: float) -> None:
        """Wait until a form that was sent makes something load, or a dialog opens, but no longer than the ceiling."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ceiling_s):
                while self.sent and not (self.busy or self.dialog or self.gone):
                    await self._next_change()
        self.sent = False

    async def until_expired(self) -> None:
        """Wait until the page time that was given has passed, or a dialog opens."""
        while self.dialog is None and not self.expired:
            await self.until_changed()
        self.check()

    async def unless_dialog(self, future: "asyncio.Future[dict[str, Any]]") -> dict[str, Any] | None:
        """Wait for a command's result, but not behind a dialog, which blocks the page, or for a closed tab."""
        # Who waits may be cancelled meanwhile: nobody would ever ask for the result then.
        future.add_done_callback(forget)
        while not future.done():
            if self.dialog is not None or self.closed:
                return None
            self.check()
            if self._change.done():
                self._change = asyncio.get_running_loop().create_future()
            await asyncio.wait((future, self._change), return_when=asyncio.FIRST_COMPLETED)
        return future.result()


_HANDLERS: Mapping[str, Callable[[Follower, Mapping[str, Any]], None]] = {
    "Runtime.executionContextCreated": Follower._on_context,
    "Runtime.executionContextDestroyed": Follower._on_context_gone,
    "Runtime.executionContextsCleared": Follower._on_context_gone,
    "Runtime.bindingCalled": Follower._on_binding,
    "Page.frameRequestedNavigation": Follower._on_navigation_start,
    "Page.frameStartedNavigating": Follower._on_navigation_start,
    "Page.frameNavigated": Follower._on_commit,
    "Page.domContentEventFired": Follower._on_parsed,
    "Page.loadEventFired": Follower._on_load,
    "Page.frameStoppedLoading": Follower._on_stopped,
    "Page.frameDetached": Follower._on_frame_gone,
    "Emulation.virtualTimeBudgetExpired": Follower._on_expired,
    "Page.navigatedWithinDocument": Follower._on_history,
    "Page.javascriptDialogOpening": Follower._on_dialog,
    "Page.javascriptDialogClosed": Follower._on_dialog_closed,
    "Network.requestWillBeSent": Follower._on_request,
    "Network.loadingFinished": Follower._on_request_done,
    "Network.loadingFailed": Follower._on_request_done,
    "Page.windowOpen": Follower._on_open,
    "Input.dragIntercepted": Follower._on_drag,
    "Inspector.targetCrashed": Follower._on_crash,
    "Inspector.detached": Follower._on_detached,
    FLOODED: Follower._on_flood,
}
