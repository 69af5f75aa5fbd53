"""One tab: trusted input, settling and reading, over our own DevTools session."""

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from milepost.sandbox.browser import Browser
from milepost.sandbox.cdp import CDPError, ConnectionLostError, forget
from milepost.sandbox.events import (
    DialogClosed,
    DialogOpened,
    DomContentLoaded,
    HistoryNavigated,
    NavigationCompleted,
    Source,
)
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.observation import Dialog, Element
from milepost.sandbox.shadow import open_closed_roots
from milepost.sandbox.sites import FactSink
from milepost.sandbox.witness import read_note

WORLD = "milepost"
BINDING = "milepostNote"
SCRIPT = "".join(Path(__file__).with_name(n).read_text("utf-8") for n in ("names.js", "walker.js"))

SETTLE_CEILING_S = 5.0
"""A page that has not settled by then is read as it is, with `settled` false."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a page showed when it was read."""

    url: str
    title: str
    elements: tuple[Element, ...]
    settled: bool


class Page:
    """A tab. Facts it witnesses go to the sink; everything that waits is bounded by the caller's deadline."""

    def __init__(
        self,
        browser: Browser,
        *,
        tab: int,
        target: str,
        session: str,
        viewport: tuple[int, int],
        sink: FactSink,
    ) -> None:
        self._browser = browser
        self._connection = browser.connection
        self.tab = tab
        self.viewport = viewport
        self.target = target
        self._session = session
        self.note = sink
        self._world: int | None = None
        self._loading = False
        self._navigated_to = ""
        self._inflight: set[str] = set()
        self._fetched = False
        self._dialog: Dialog | None = None
        self._gone = ""
        self._change: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(
        cls, browser: Browser, *, context: str, tab: int, viewport: tuple[int, int], sink: FactSink
    ) -> "Page":
        """Open a tab in a browser context."""
        send = browser.connection.send
        target = (await send("Target.createTarget", {"url": "about:blank", "browserContextId": context}))[
            "targetId"
        ]
        session = (await send("Target.attachToTarget", {"targetId": target, "flatten": True}))["sessionId"]
        page = cls(browser, tab=tab, target=target, session=session, viewport=viewport, sink=sink)
        browser.connection.on(session, page._on_event)
        await asyncio.gather(
            send("Page.enable", {}, session),
            send("Runtime.enable", {}, session),
            send("Network.enable", {"maxTotalBufferSize": 0, "maxResourceBufferSize": 0}, session),
            send("Runtime.addBinding", {"name": BINDING, "executionContextName": WORLD}, session),
            send(
                "Page.addScriptToEvaluateOnNewDocument",
                {"source": SCRIPT, "worldName": WORLD, "runImmediately": True},
                session,
            ),
            send("Emulation.setFocusEmulationEnabled", {"enabled": True}, session),
            send(
                "Emulation.setDeviceMetricsOverride",
                {"width": viewport[0], "height": viewport[1], "deviceScaleFactor": 1, "mobile": False},
                session,
            ),
        )
        return page

    @property
    def dialog(self) -> Dialog | None:
        """The open alert, confirm, prompt or beforeunload dialog."""
        return self._dialog

    def _on_event(self, method: str, params: Mapping[str, Any]) -> None:
        handler = _HANDLERS.get(method)
        if handler is not None:
            handler(self, params)
            if not self._change.done():
                self._change.set_result(None)

    def _on_context(self, params: Mapping[str, Any]) -> None:
        context = params["context"]
        if context["name"] == WORLD and context["auxData"]["frameId"] == self.target:
            self._world = context["id"]

    def _on_context_gone(self, params: Mapping[str, Any]) -> None:
        if params.get("executionContextId", self._world) == self._world:
            self._world = None

    def _on_navigation_start(self, params: Mapping[str, Any]) -> None:
        kind = params.get("navigationType", "")
        if params["frameId"] != self.target or kind in ("sameDocument", "historySameDocument"):
            return
        if params.get("disposition", "currentTab") == "currentTab":
            self._loading = True

    def _on_commit(self, params: Mapping[str, Any]) -> None:
        frame = params["frame"]
        if frame["id"] == self.target:
            self._loading = True
            self._inflight.clear()
            self._fetched = False
            self._navigated_to = frame["url"] + frame.get("urlFragment", "")

    def _on_parsed(self, _params: Mapping[str, Any]) -> None:
        if self._navigated_to not in ("", "about:blank"):
            self.note(Source.BROWSER, DomContentLoaded(tab=self.tab, url=self._navigated_to))

    def _on_load(self, _params: Mapping[str, Any]) -> None:
        if self._navigated_to not in ("", "about:blank"):
            self.note(Source.BROWSER, NavigationCompleted(tab=self.tab, url=self._navigated_to))
        self._navigated_to = ""
        self._loading = False

    def _on_stopped(self, params: Mapping[str, Any]) -> None:
        if params["frameId"] == self.target:
            self._loading = False

    def _on_history(self, params: Mapping[str, Any]) -> None:
        if params["frameId"] == self.target:
            self.note(Source.BROWSER, HistoryNavigated(tab=self.tab, url=params["url"]))

    def _on_request(self, params: Mapping[str, Any]) -> None:
        if params.get("type") in ("Fetch", "XHR"):
            self._inflight.add(params["requestId"])

    def _on_request_done(self, params: Mapping[str, Any]) -> None:
        if params["requestId"] in self._inflight:
            self._inflight.discard(params["requestId"])
            self._fetched = True

    def _on_dialog(self, params: Mapping[str, Any]) -> None:
        self._dialog = Dialog(type=params["type"], message=params["message"])
        self.note(Source.BROWSER, DialogOpened(tab=self.tab, type=params["type"], message=params["message"]))

    def _on_dialog_closed(self, params: Mapping[str, Any]) -> None:
        if self._dialog is not None:
            closed = DialogClosed(
                tab=self.tab,
                type=self._dialog.type,
                message=self._dialog.message,
                accepted=bool(params["result"]),
            )
            self.note(Source.BROWSER, closed)
        self._dialog = None

    def _on_crash(self, _params: Mapping[str, Any]) -> None:
        self._gone = "the page's renderer crashed"

    def _on_detached(self, params: Mapping[str, Any]) -> None:
        self._gone = self._gone or f"the page is gone ({params.get('reason', 'closed')})"

    def _on_binding(self, params: Mapping[str, Any]) -> None:
        # Only our world has the binding; the context id is checked all the same.
        if params["name"] == BINDING and params["executionContextId"] == self._world:
            fact = read_note(self.tab, orjson.loads(params["payload"]))
            if fact is not None:
                self.note(Source.INPUT, fact)

    async def _next_change(self) -> None:
        if self._change.done():
            self._change = asyncio.get_running_loop().create_future()
        await self._change

    def _check(self) -> None:
        if self._gone:
            raise SandboxError(Failure.INFRASTRUCTURE, self._gone)

    async def _until_ready(self) -> None:
        """Wait until the document is loaded, its world exists and no fetch is in flight, or a dialog opens."""
        while self._dialog is None and (self._loading or self._world is None or self._inflight):
            self._check()
            await self._next_change()
        self._check()

    async def _unless_dialog(self, future: "asyncio.Future[dict[str, Any]]") -> dict[str, Any] | None:
        """Wait for a command's result, but not behind a dialog, which blocks the page until it is closed."""
        while not future.done():
            if self._dialog is not None:
                future.add_done_callback(forget)
                return None
            self._check()
            if self._change.done():
                self._change = asyncio.get_running_loop().create_future()
            await asyncio.wait((future, self._change), return_when=asyncio.FIRST_COMPLETED)
        return future.result()

    async def _evaluate(self, expression: str) -> Any:
        """Evaluate in our isolated world; None when a dialog opened instead.

        Raises:
            CDPError: the document went away under the call.
        """
        future = self._connection.send(
            "Runtime.evaluate",
            {
                "expression": expression,
                "contextId": self._world,
                "returnByValue": True,
                "awaitPromise": True,
            },
            self._session,
        )
        reply = await self._unless_dialog(future)
        if reply is None:
            return None
        if "exceptionDetails" in reply:
            details = reply["exceptionDetails"]
            raise CDPError(details.get("exception", {}).get("description", details.get("text", "")))
        return reply["result"].get("value")

    async def read(self, ceiling_s: float = SETTLE_CEILING_S) -> Reading | None:
        """Wait until the page has settled and read it; None while a dialog blocks it."""
        clock = asyncio.get_running_loop().time
        end = clock() + ceiling_s
        last: Reading | None = None
        while True:
            left = end - clock()
            try:
                async with asyncio.timeout(max(left, 0.05)):
                    await self._until_ready()
                    if self._dialog is not None:
                        return None
                    fetched, self._fetched = self._fetched, False
                    call = f"milepost.step({max(int(left * 1000), 1)}, {'true' if fetched else 'false'})"
                    value = await self._evaluate(call)
                    if value and await open_closed_roots(value, self._connection, self._session, self._world):
                        continue
            except TimeoutError:
                return await self._read_unsettled(last)
            except ConnectionLostError as error:
                raise SandboxError(Failure.INFRASTRUCTURE, str(error)) from error
            except CDPError:
                # The document was replaced while we read it: read the next one.
                await asyncio.sleep(0)
                if clock() < end:
                    continue
                raise SandboxError(Failure.TIMEOUT, "the page never stops navigating") from None
            if value is None:
                return None
            last = _reading(value)
            busy = self._loading or self._inflight or self._fetched or self._world is None
            if not busy or clock() >= end:
                return last

    async def _read_unsettled(self, last: Reading | None) -> Reading:
        """Read a page that never settles as it is, or say that it hangs."""
        if self._world is not None:
            try:
                async with asyncio.timeout(2.0):
                    value = await self._evaluate("milepost.step(0)")
                if value is not None:
                    reading = _reading(value)
                    return Reading(
                        url=reading.url, title=reading.title, elements=reading.elements, settled=False
                    )
            except (TimeoutError, CDPError):
                pass
        if last is not None:
            return Reading(url=last.url, title=last.title, elements=last.elements, settled=False)
        raise SandboxError(Failure.TIMEOUT, "the page does not answer")

    async def navigate(self, url: str) -> str:
        """Open a URL; gives the browser's error text, empty when it went well."""
        self._loading = True
        reply = await self._unless_dialog(self._connection.send("Page.navigate", {"url": url}, self._session))
        error = str((reply or {}).get("errorText", ""))
        if error or (reply is not None and "loaderId" not in reply):
            self._loading = False
        return error

    async def back(self) -> str:
        """Go one entry back in the history."""
        history = await self._connection.send("Page.getNavigationHistory", {}, self._session)
        index = history["currentIndex"] - 1
        if index < 0 or history["entries"][index]["url"] == "about:blank":
            return "there is no page to go back to"
        entry = history["entries"][index]["id"]
        await self._unless_dialog(
            self._connection.send("Page.navigateToHistoryEntry", {"entryId": entry}, self._session)
        )
        return ""

    async def answer_dialog(self, accept: bool, text: str) -> str:
        """Close the open dialog."""
        if self._dialog is None:
            return "no dialog is open"
        await self._connection.send(
            "Page.handleJavaScriptDialog", {"accept": accept, "promptText": text}, self._session
        )
        return ""

    async def ask(self, function: str, *arguments: str | int) -> Mapping[str, Any]:
        """Call a function of the walker; a page that just navigated away answers with an error."""
        if self._dialog is not None:
            return {
                "error": f"a {self._dialog.type} dialog is open; accept_dialog() or dismiss_dialog() first"
            }
        call = ", ".join(orjson.dumps(argument).decode() for argument in arguments)
        try:
            answer: Mapping[str, Any] | None = await self._evaluate(f"milepost.{function}({call})")
        except ConnectionLostError as error:
            raise SandboxError(Failure.INFRASTRUCTURE, str(error)) from error
        except CDPError as error:
            self._check()
            return {"error": f"the page went away during the action ({error})"}
        return {"error": "a dialog opened during the action"} if answer is None else answer

    def post_input(self, method: str, params: Mapping[str, Any]) -> None:
        """Send an input event whose answer nobody waits for."""
        self._connection.post(method, params, self._session)

    async def dispatch(self, method: str, params: Mapping[str, Any]) -> None:
        """Send an input event and wait until the page has handled it, or a dialog opened."""
        try:
            await self._unless_dialog(self._connection.send(method, params, self._session))
        except ConnectionLostError as error:
            raise SandboxError(Failure.INFRASTRUCTURE, str(error)) from error
        except CDPError as error:
            # The target may go away while it handles the event (the page closed itself): not our failure.
            self._check()
            raise SandboxError(Failure.INFRASTRUCTURE, f"{method}: {error}") from error

    async def screenshot(self, encoding: str = "png") -> bytes:
        """Capture the viewport as an encoded image (`png` or `jpeg`)."""
        reply = await self._connection.send(
            "Page.captureScreenshot", {"format": encoding, "optimizeForSpeed": True}, self._session
        )
        return base64.b64decode(reply["data"])

    def detach(self) -> None:
        """Stop to listen; the context's end closes the tab itself."""
        self._connection.off(self._session)


_HANDLERS: Mapping[str, Callable[[Page, Mapping[str, Any]], None]] = {
    "Runtime.executionContextCreated": Page._on_context,
    "Runtime.executionContextDestroyed": Page._on_context_gone,
    "Runtime.executionContextsCleared": Page._on_context_gone,
    "Runtime.bindingCalled": Page._on_binding,
    "Page.frameRequestedNavigation": Page._on_navigation_start,
    "Page.frameStartedNavigating": Page._on_navigation_start,
    "Page.frameNavigated": Page._on_commit,
    "Page.domContentEventFired": Page._on_parsed,
    "Page.loadEventFired": Page._on_load,
    "Page.frameStoppedLoading": Page._on_stopped,
    "Page.navigatedWithinDocument": Page._on_history,
    "Page.javascriptDialogOpening": Page._on_dialog,
    "Page.javascriptDialogClosed": Page._on_dialog_closed,
    "Network.requestWillBeSent": Page._on_request,
    "Network.loadingFinished": Page._on_request_done,
    "Network.loadingFailed": Page._on_request_done,
    "Inspector.targetCrashed": Page._on_crash,
    "Inspector.detached": Page._on_detached,
}


def _reading(value: Mapping[str, Any]) -> Reading:
    elements = tuple(
        Element(id=i, depth=depth, role=role, name=name, value=content, states=tuple(states))
        for i, depth, role, name, content, states in orjson.loads(value["rows"])
    )
    return Reading(url=value["url"], title=value["title"], elements=elements, settled=value["settled"])
