"""An episode's tabs: the one in view, those behind it, and those that pages open and close."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from milepost.sandbox.browser import Browser
from milepost.sandbox.cdp import CDPError, ConnectionLostError
from milepost.sandbox.clock import PageTime
from milepost.sandbox.events import Source, TabClosed, TabFocused, TabOpened
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.page import Page
from milepost.sandbox.settle import SETTLE_CEILING_S, Reading
from milepost.sandbox.sites import FactSink

MAX_TABS = 10
"""Most tabs at once; a page that opens more sees them closed at once."""

FIRST = 0
"""Number of the tab an episode starts with. Numbers are never used again."""

ARRIVAL_CEILING_S = 1.0
"""How long a tab that was announced is waited for; a blocked popup never comes."""

NOTHING = Reading(url="", title="", elements=(), settled=True)
"""What a tab shows that was never read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A look at the tab in view."""

    tab: int
    before: Reading
    """What the tab showed when it was last read."""
    after: Reading | None
    """What it shows now; None while a dialog blocks it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrival:
    """A tab that a page opened and nobody has taken over yet."""

    target: str
    by: Page
    place: int
    """Which of the tabs it is that the page opened."""


class Tabs:
    """The tabs of one browser context."""

    def __init__(
        self,
        browser: Browser,
        *,
        context: str,
        viewport: tuple[int, int],
        sink: FactSink,
        on_download: Callable[[str, Mapping[str, Any]], None],
        steady: str = "",
        time: PageTime | None = None,
    ) -> None:
        """Start to watch a context for tabs that pages open.

        Args:
            browser: where the context is.
            context: its id.
            viewport: width and height of every tab, in CSS pixels.
            sink: takes the facts.
            on_download: takes the download events of every tab.
            steady: script that runs first in every document, see `steady`.
            time: page time, see `clock`; None leaves tabs the real time.
        """
        self._browser = browser
        self._context = context
        self._viewport = viewport
        self._sink = sink
        self._on_download = on_download
        self._steady = steady
        self._time = time
        self._pages: dict[int, Page] = {}
        self._readings: dict[int, Reading] = {}
        self._openers: dict[int, int] = {}
        self._opened = 0
        self._arriving: list[_Arrival] = []
        self._excess: list[str] = []
        self._came = asyncio.Event()
        self._in_view = FIRST
        browser.watch_tabs(context, self._on_target)

    @property
    def active(self) -> Page:
        """The tab in view."""
        return self._pages[self._in_view]

    @property
    def titles(self) -> tuple[str, ...]:
        """Number and title of every tab, the one in view marked with `*`."""
        return tuple(
            f"{'* ' if number == self._in_view else ''}{number}: {self._readings.get(number, NOTHING).title}"
            for number in self._pages
        )

    @property
    def untouched(self) -> bool:
        """Whether there never was a tab but the first, and nothing goes on in it."""
        return self._opened == 1 and self.active.idle and not (self.active.closed or self.active.owes_tabs)

    def forget(self) -> None:
        """Forget what was read: an episode begins."""
        self._readings.clear()

    # -- what the agent does ------------------------------------------------------------------------

    async def adopt(self, page: Page) -> None:
        """Begin with the blank tab of an episode that is over."""
        self._opened += 1
        ours = await Page.succeed(page, viewport=self._viewport, sink=self._sink, steady=self._steady)
        self._install(ours, opener=FIRST)

    async def open(self, url: str = "") -> str:
        """Open a tab and bring it into view; gives an error text, empty when it went well."""
        if len(self._pages) >= MAX_TABS:
            return f"{MAX_TABS} tabs are open, no more are; close one first"
        number = self._opened
        self._opened += 1
        create = self._browser.connection.send(
            "Target.createTarget", {"url": "about:blank", "browserContextId": self._context}
        )
        await self._add(number, (await create)["targetId"], opener=self._in_view)
        if number != FIRST:
            self._sink(Source.BROWSER, TabOpened(tab=number, url=url))
            self._view(number)
        return await self.active.navigate(url) if url else ""

    async def close(self) -> str:
        """Close the tab in view."""
        if len(self._pages) == 1:
            return "this is the only tab; an episode keeps one"
        self._drop(self._in_view)
        return ""

    def focus(self, number: int) -> str:
        """Bring a tab into view."""
        if number not in self._pages:
            return f"no tab {number}; tabs: {', '.join(map(str, self._pages))}"
        self._view(number)
        return ""

    def _view(self, number: int) -> None:
        if number != self._in_view:
            if self._in_view in self._pages:
                self.active.forget_look()
            self._in_view = number
            self._sink(Source.SESSION, TabFocused(tab=number))

    # -- what pages do ------------------------------------------------------------------------------

    def _on_target(self, method: str, params: Mapping[str, Any]) -> None:
        """Take a `Target.targetCreated` or `Target.targetDestroyed` of this context."""
        if method == "Target.targetDestroyed":
            for page in self._pages.values():
                if page.target == params["targetId"]:
                    page.note_closed()
            self._arriving = [one for one in self._arriving if one.target != params["targetId"]]
            return
        target, opener = params["targetInfo"]["targetId"], params["targetInfo"].get("openerId", "")
        if not opener:
            # We opened it ourselves.
            return
        pages = sorted(self._pages.values(), key=lambda page: page.target != opener)
        if not pages:
            self._browser.connection.post("Target.closeTarget", {"targetId": target})
            return
        by = pages[0]
        place = by.claim_tab()
        self._came.set()
        if len(pages) + len(self._arriving) >= MAX_TABS:
            # Not at once: closing a tab while its opener is still opening others can block their renderer.
            self._excess.append(target)
            return
        self._arriving.append(_Arrival(target=target, by=by, place=place))

    async def _welcome(self, arrival: "_Arrival") -> None:
        """Take over a tab that a page opened, and bring it into view as a browser does."""
        number = self._opened
        self._opened += 1
        try:
            page = await self._add(number, arrival.target, opener=arrival.by.tab)
        except ConnectionLostError:
            raise
        except CDPError:
            # It closed itself before we came.
            return
        url = arrival.by.opened_url(arrival.place)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ARRIVAL_CEILING_S):
                await self._follow(page, url)
        self._sink(Source.BROWSER, TabOpened(tab=number, url=url or ""))
        self._view(number)

    async def _follow(self, page: Page, url: str | None) -> None:
        """Catch up with a tab's document, which may be replaced under the question."""
        while not page.closed:
            try:
                return await page.catch_up(url)
            except ConnectionLostError:
                raise
            except CDPError:
                await asyncio.sleep(0.005)
        return None

    async def _add(self, number: int, target: str, *, opener: int) -> Page:
        page = await Page.attach(
            self._browser,
            target=target,
            tab=number,
            viewport=self._viewport,
            sink=self._sink,
            steady=self._steady,
            time=self._time,
        )
        self._install(page, opener=opener)
        return page

    def _install(self, page: Page, *, opener: int) -> None:
        self._pages[page.tab] = page
        self._openers[page.tab] = opener
        self._browser.watch_downloads(page.target, self._on_download)

    def _drop(self, number: int) -> None:
        """Let go of a tab; the one that opened it, else the newest, comes into view."""
        page = self._pages.pop(number)
        self._readings.pop(number, None)
        page.detach()
        self._browser.unwatch_downloads(page.target)
        if not page.closed:
            self._browser.connection.post("Target.closeTarget", {"targetId": page.target})
        self._sink(Source.BROWSER, TabClosed(tab=number))
        if number == self._in_view and self._pages:
            opener = self._openers[number]
            self._view(opener if opener in self._pages else max(self._pages))

    async def _catch_up(self) -> None:
        """Take over the tabs that pages opened and let go of those they closed."""
        while self._arriving:
            await self._welcome(self._arriving.pop(0))
        while self._excess:
            self._browser.connection.post("Target.closeTarget", {"targetId": self._excess.pop()})
        for number in [number for number, page in self._pages.items() if page.closed]:
            self._drop(number)
        if not self._pages:
            # The last page closed itself. The episode goes on, with nothing to see.
            await self.open()

    async def read(self) -> Sight:
        """Wait until the tab in view has settled and read it.

        Raises:
            SandboxError: the tab does not answer, or its renderer died.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + SETTLE_CEILING_S
        while True:
            await self._catch_up()
            page = self.active
            try:
                reading = await page.read(max(end - clock(), 0.05))
            except SandboxError:
                if page.closed and clock() < end:
                    continue
                raise
            if page.owes_tabs:
                await self._expect_tabs(page)
            if not self._arriving and not page.closed:
                before = self._readings.get(page.tab, NOTHING)
                if reading is not None:
                    self._readings[page.tab] = reading
                return Sight(tab=page.tab, before=before, after=reading)
            if clock() >= end:
                raise SandboxError(Failure.TIMEOUT, "pages never stop opening tabs")

    async def _expect_tabs(self, page: Page) -> None:
        """Wait for the tabs that a page said it opens."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ARRIVAL_CEILING_S):
                while page.owes_tabs:
                    self._came.clear()
                    await self._came.wait()
        page.forgive_tabs()

    def detach(self) -> None:
        """Stop to listen; the context's end closes the tabs themselves."""
        self._browser.unwatch_tabs(self._context)
        for page in self._pages.values():
            self._browser.unwatch_downloads(page.target)
            page.detach()
