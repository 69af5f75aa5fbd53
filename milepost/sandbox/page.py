"""One tab: trusted input, settling and reading, over our own DevTools session."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from milepost.sandbox.browser import Browser
from milepost.sandbox.cdp import CDPError, ConnectionLostError, ScriptError, forget
from milepost.sandbox.clock import PageClock, PageTime
from milepost.sandbox.delivery import deliver_input, finish_input
from milepost.sandbox.equipment import RESIZE, WALKER, equip, replace_steady, size
from milepost.sandbox.events import Filled
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.follower import WORLD, Follower
from milepost.sandbox.frames import Frames, Place, Spot, name_prefix
from milepost.sandbox.observation import Dialog
from milepost.sandbox.settle import SETTLE_CEILING_S, Reading, Settler, pass_frame
from milepost.sandbox.sites import FactSink

Argument = str | int | float | bool | Sequence[str] | Sequence[str | Sequence[str]]
"""What a function of the walker takes."""


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
        time: PageTime | None = None,
    ) -> None:
        self._browser = browser
        self._connection = browser.connection
        self.tab = tab
        self.prefix = name_prefix(tab)
        """What the ids of this tab's elements begin with, so that an id of another tab is never mistaken."""
        self.viewport = viewport
        self.target = target
        self._session = session
        self.note = sink
        self._steady = self._steady_id = ""
        self._follower = Follower(tab=tab, target=target, sink=sink)
        connection, follower = self._connection, self._follower
        self._clock = PageClock(connection, session, follower, time) if time is not None else None
        self._frames = Frames(connection, session, follower, target=target, prepare=self._prepare_frame)
        self._settler = Settler(
            connection=connection,
            session=session,
            follower=follower,
            evaluate=self.evaluate,
            frames=self._frames,
            prefix=self.prefix,
            clock=self._clock,
        )

    @classmethod
    async def attach(
        cls,
        browser: Browser,
        *,
        target: str,
        tab: int,
        viewport: tuple[int, int],
        sink: FactSink,
        steady: str = "",
        time: PageTime | None = None,
    ) -> "Page":
        """Take over a tab that exists.

        Args:
            browser: where it is.
            target: its DevTools id.
            tab: its number in the episode.
            viewport: width and height it gets, in CSS pixels.
            sink: takes the facts it witnesses.
            steady: script that runs first in its documents, see `steady`.
            time: page time; None leaves the tab the real time.
        """
        send = browser.connection.send
        session = (await send("Target.attachToTarget", {"targetId": target, "flatten": True}))["sessionId"]
        page = cls(
            browser,
            tab=tab,
            target=target,
            session=session,
            viewport=viewport,
            sink=sink,
            time=time,
        )
        page._steady = steady
        browser.connection.on(session, page._on_event)
        equipment = equip(browser.connection, session, steady)
        await asyncio.gather(
            *equipment,
            send("Emulation.setFocusEmulationEnabled", {"enabled": True}, session),
            send(RESIZE, size(viewport), session),
            *([page._clock.start()] if page._clock else []),
        )
        page._steady_id = equipment[-1].result()["identifier"] if steady else ""
        return page

    @classmethod
    async def succeed(
        cls, before: "Page", *, viewport: tuple[int, int], sink: FactSink, steady: str = ""
    ) -> "Page":
        """Take over the tab of an episode that is over, which shows a blank document: its session is ours now."""
        browser, session = before._browser, before._session
        page = cls(
            browser, tab=before.tab, target=before.target, session=session, viewport=viewport, sink=sink
        )
        page._steady = steady
        browser.connection.on(session, page._on_event)
        resized = viewport != before.viewport
        page._steady_id, *_ = await asyncio.gather(
            replace_steady(browser.connection, session, before._steady_id, steady),
            *([page.command(RESIZE, size(viewport))] if resized else []),
        )
        return page

    def _prepare_frame(self, session: str) -> None:
        for future in equip(self._connection, session, self._steady):
            future.add_done_callback(forget)

    def _on_event(self, method: str, params: Mapping[str, Any]) -> None:
        self._frames.on_event(self._session, method, params)
        self._follower.on_event(method, params)

    @property
    def owes_tabs(self) -> bool:
        """Whether the page said it opens a tab that has not come yet."""
        return len(self._follower.opened) > self._follower.claimed

    def claim_tab(self) -> int:
        """Take note that a tab came which this page opened; gives its place in the order."""
        self._follower.claimed += 1
        return self._follower.claimed - 1

    def forgive_tabs(self) -> None:
        """Wait no longer for tabs that were announced; a blocked popup never comes."""
        self._follower.claimed = max(self._follower.claimed, len(self._follower.opened))

    def opened_url(self, place: int) -> str | None:
        """Give what the page opened a tab at; None when it did not say."""
        return self._follower.opened[place] if place < len(self._follower.opened) else None

    async def catch_up(self, url: str | None) -> None:
        """Take note of the document of a tab that a page opened: its load may be over before we came.

        Args:
            url: what the tab was opened at, as far as known; a blank one loads nothing.

        Raises:
            CDPError: the document went away meanwhile; its successor's events tell the rest.
        """
        follower = self._follower
        follower.loading = follower.awaited = url not in ("", "about:blank")
        while follower.awaited:
            state, there = await self.evaluate("[document.readyState, location.href]", own=True) or ("", "")
            if there not in ("", "about:blank") and state == "complete":
                follower.finish_load(there)
            elif follower.loading or there not in ("", "about:blank"):
                # It may commit while we come; the load event needs to know what was loaded.
                follower.navigated_to = (
                    follower.navigated_to or (url if there == "about:blank" else there) or ""
                )
                break
            # Else it has loaded behind a question that the blank document answered: ask again.
        if follower.world is None:
            # The document came after its old process was told of our script, and before its new one was.
            world = {"frameId": self.target, "worldName": WORLD}
            made = await self._connection.send("Page.createIsolatedWorld", world, self._session)
            run = {"expression": WALKER, "contextId": made["executionContextId"]}
            await self._connection.send("Runtime.evaluate", run, self._session)
            follower.world = follower.world or made["executionContextId"]

    @property
    def idle(self) -> bool:
        """Whether nothing loads and no dialog is open."""
        return not self._follower.busy and self._follower.dialog is None

    @property
    def closed(self) -> bool:
        """Whether the tab was closed."""
        return self._follower.closed

    def note_closed(self) -> None:
        """Take note that the tab was closed."""
        self._follower.close()

    @property
    def dialog(self) -> Dialog | None:
        """The open alert, confirm, prompt or beforeunload dialog."""
        return self._follower.dialog

    async def evaluate(self, expression: str, *, own: bool = False) -> Any:
        """Evaluate in our isolated world, or in the page's own; None when a dialog opened instead.

        Raises:
            ScriptError: the expression raised an error.
            CDPError: the document went away under the call.
        """
        future = self._connection.send(
            "Runtime.evaluate",
            {
                "expression": expression,
                "returnByValue": True,
                "awaitPromise": True,
                **({} if own else {"contextId": self._follower.world}),
            },
            self._session,
        )
        reply = await self._follower.unless_dialog(future)
        if reply is None:
            return None
        if "exceptionDetails" in reply:
            details = reply["exceptionDetails"]
            raise ScriptError(details.get("exception", {}).get("description", details.get("text", "")))
        return reply["result"].get("value")

    async def read(self, ceiling_s: float = SETTLE_CEILING_S) -> Reading | None:
        """Wait until the page has settled and read it; None while a dialog blocks it.

        Raises:
            SandboxError: the page does not answer, or its renderer died.
        """
        return await self._settler.read(ceiling_s)

    async def pass_time(self, ms: int) -> None:
        """Let time pass on the page: real time, or page time where the page lives in that."""
        if self._clock is None:
            await asyncio.sleep(ms / 1000)
        else:
            await self._clock.pass_time(ms)

    async def navigate(self, url: str) -> str:
        """Open a URL; gives the browser's error text, empty when it went well."""
        self._follower.begin_navigation()
        future = self._connection.send("Page.navigate", {"url": url}, self._session)
        if self._clock is not None:
            await self._clock.run_until(future)
        reply = await self._follower.unless_dialog(future)
        return self._follower.expect(reply or {})

    async def travel(self, offset: int) -> str:
        """Go back (-1) or forward (+1) in the history."""
        history = await self._connection.send("Page.getNavigationHistory", {}, self._session)
        index, entries = history["currentIndex"] + offset, history["entries"]
        if not 0 <= index < len(entries) or entries[index]["url"] == "about:blank":
            return f"there is no page to go {'back' if offset < 0 else 'forward'} to"
        return await self._leave("Page.navigateToHistoryEntry", {"entryId": entries[index]["id"]})

    async def reload(self) -> str:
        """Load the document again."""
        return await self._leave("Page.reload", {})

    async def _leave(self, method: str, params: Mapping[str, Any]) -> str:
        await self._follower.unless_dialog(self._connection.send(method, params, self._session))
        return ""

    async def answer_dialog(self, accept: bool, text: str) -> str:
        """Close the open dialog."""
        if self._follower.dialog is None:
            return "no dialog is open"
        await self._connection.send(
            "Page.handleJavaScriptDialog", {"accept": accept, "promptText": text}, self._session
        )
        await finish_input(self._follower)
        return ""

    async def ask(self, function: str, element: str, *arguments: Argument) -> Mapping[str, Any]:
        """Call a function of the walker on an element of this tab."""
        spot = self._locate(element)
        if spot is None:
            return {"error": f"no element of this tab has the id {element}; take one from the tree"}
        answer = first = await self.call(function, spot.element, *arguments, place=spot.place)
        elsewhere = spot.place is not None and spot.place.session != self._session
        while spot.place is not None and "x" in answer:
            # A point of a frame's viewport is wanted where it is in the tab's.
            owner = self._frames.owner(spot.place)
            if owner is None:
                return {"error": f"element {element} is no longer on the page"}
            answer = await self.call("place", owner.element, answer["x"], answer["y"], place=owner.place)
            spot = Spot(owner.place, owner.element)
        if "x" in answer and elsewhere:
            await pass_frame(self.evaluate)
        return answer if "error" in answer else {**first, **answer}

    def _locate(self, element: str) -> Spot | None:
        return self._frames.locate(element[len(self.prefix) :]) if element.startswith(self.prefix) else None

    async def call(
        self, function: str, *arguments: Argument, place: Place | None = None
    ) -> Mapping[str, Any]:
        """Call a function of the walker, of a frame's if one is named; a page that went away answers with an error."""
        if self._follower.dialog is not None:
            return {
                "error": f"a {self._follower.dialog.type} dialog is open; accept_dialog() or dismiss_dialog() first"
            }
        call = ", ".join(orjson.dumps(argument).decode() for argument in arguments)
        try:
            expression = f"milepost.{function}({call})"
            answer: Mapping[str, Any] | None = await (
                self.evaluate(expression) if place is None else self._frames.evaluate(place, expression)
            )
        except ConnectionLostError as error:
            raise SandboxError(Failure.INFRASTRUCTURE, str(error)) from error
        except CDPError as error:
            self._follower.check()
            return {"error": f"the page went away during the action ({error})"}
        if answer is not None:
            return answer
        return {"error": f"{'the tab was closed' if self.closed else 'a dialog opened'} during the action"}

    async def act(self, function: str, element: str, *arguments: str | Sequence[str]) -> Mapping[str, Any]:
        """Call a function of the walker that is a whole action; the page is read on the way back, if it can be."""
        spot = self._locate(element)
        if spot is None or spot.place is not None or self._clock is not None:
            return await self.ask(function, element, *arguments)
        follower = self._follower
        before, follower.done = follower.witnessed, None
        answer = await self.call("act", function, [spot.element, *arguments], int(SETTLE_CEILING_S * 1000))
        self._settler.ahead = answer.get("look")
        if "error" not in answer:
            return answer
        # It was carried out, and what the page made of it only kept us from reading.
        filled = follower.witnessed is not before and isinstance(follower.witnessed, Filled)
        return follower.done or ({} if filled else answer)

    def forget_look(self) -> None:
        """Forget what an action read on the way back: something came between."""
        self._settler.ahead = None

    async def hold_clipboard(self, text: str) -> None:
        """Give the page what the next paste brings."""
        for place in (None, *self._frames.places):
            await self.call("hold", text, place=place)

    async def set_files(self, element: str, paths: Sequence[str]) -> None:
        """Choose files in a file field, by their absolute paths."""
        spot = self._locate(element)
        assert spot is not None
        place = spot.place or Place(self._session, self._follower.world or 0)
        found = {"expression": f"milepost.element({spot.element})", "contextId": place.context}
        reply = await self._connection.send("Runtime.evaluate", found, place.session)
        chosen = {"files": list(paths), "objectId": reply["result"]["objectId"]}
        await self._connection.send("DOM.setFileInputFiles", chosen, place.session)

    async def intercept_drags(self, on: bool) -> Mapping[str, Any] | None:
        """Keep native drags from the operating system, or stop to; gives the data of the last one."""
        if on:
            self._follower.dragged = None
        await self._connection.send("Input.setInterceptDrags", {"enabled": on}, self._session)
        return self._follower.dragged

    def post_input(self, method: str, params: Mapping[str, Any]) -> None:
        """Send an input event whose answer nobody waits for."""
        self._connection.post(method, params, self._session)

    async def dispatch(self, method: str, params: Mapping[str, Any]) -> None:
        """Send an input event and wait until the page has handled it, or a dialog opened."""
        await deliver_input(self._connection, self._session, self._follower, method, params)

    async def command(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a DevTools command that concerns neither input nor navigation."""
        return await self._connection.send(method, params, self._session)

    def detach(self) -> None:
        """Stop to listen; the context's end closes the tab itself."""
        self._connection.off(self._session)
        self._frames.detach()
