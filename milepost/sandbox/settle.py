"""Waits until a tab has come to rest, and reads it.

At rest means: no document loads, no body that a script fetched and no picture or other part is outstanding, and
nothing changed during the last task. A page that never rests is read as it is, with `settled` false; nothing here ever
raises because of that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from milepost.sandbox.cdp import CDPConnection, CDPError, ConnectionLostError, ScriptError
from milepost.sandbox.clock import PageClock
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.follower import Follower
from milepost.sandbox.frames import Frames
from milepost.sandbox.observation import Element
from milepost.sandbox.shadow import open_closed_roots

SETTLE_CEILING_S = 5.0
"""A page that has not settled by then is read as it is, with `settled` false."""

DRAW_CEILING_S = 0.5
"""How long a drawing is waited for: a page that nobody looks at has none."""

LEAVING_CEILING_S = 0.5
"""How long a page that has sent a form may take to begin to load what comes of it."""

_LAST_CHANCE_S = 5.0
"""How long a page that never settles may take to be read as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a page showed when it was read."""

    url: str
    title: str
    elements: tuple[Element, ...]
    settled: bool


class Settler:
    """Settles and reads one tab."""

    def __init__(
        self,
        *,
        connection: CDPConnection,
        session: str,
        follower: Follower,
        evaluate: Callable[[str], Awaitable[Any]],
        frames: Frames,
        prefix: str,
        clock: PageClock | None = None,
    ) -> None:
        """Prepare to read a tab.

        Args:
            connection: to the browser.
            session: the tab's own.
            follower: what its events tell.
            evaluate: asks the walker; None as an answer means that a dialog opened.
            frames: the tab's frames of other origins.
            prefix: what the ids of its elements begin with.
            clock: the tab's time, if it is not the real one.
        """
        self._connection = connection
        self._session = session
        self._follower = follower
        self._evaluate = evaluate
        self._frames = frames
        self._prefix = prefix
        self._clock = clock
        self.ahead: Mapping[str, Any] | None = None
        """What the page showed at the end of an action that read it on the way back; good for one look."""

    async def read(self, ceiling_s: float) -> Reading | None:
        """Wait until the page has settled and read it; None while a dialog blocks it.

        Raises:
            SandboxError: the page does not answer, or its renderer died.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + ceiling_s
        last: Reading | None = None
        passed, looked = False, self.ahead is not None
        while True:
            left = end - clock()
            try:
                async with asyncio.timeout(max(left, 0.05)):
                    if not await self._rest(passed):
                        return None
                    passed = True
                    value = await self._look(left, looked)
                    if value is None:
                        return None
                    looked = True
                    if await open_closed_roots(value, self._connection, self._session, self._follower.world):
                        continue
                    last = await self._reading(value, left)
                    await self._pass_departure(value)
            except TimeoutError:
                return await self._read_unsettled(last)
            except ConnectionLostError as error:
                raise SandboxError(Failure.INFRASTRUCTURE, str(error)) from error
            except CDPError as error:
                # The document was replaced while we read it: read the next one.
                await asyncio.sleep(0)
                if clock() < end:
                    continue
                raise SandboxError(Failure.TIMEOUT, _say_unread(error)) from error
            if not self._follower.busy or clock() >= end:
                return last

    async def _rest(self, passed: bool) -> bool:
        """Wait until nothing loads; false when a dialog opened.

        Args:
            passed: whether the page's own time has passed already: what reading begins to load gives it no more.
        """
        if self._follower.busy:
            self.ahead = None
        if self._clock is None:
            await self._follower.until_ready()
        elif passed:
            await self._clock.finish_loading()
        else:
            await self._clock.pass_step()
        return self._follower.dialog is None

    async def _pass_departure(self, value: Mapping[str, Any]) -> None:
        """Wait until a page that has sent a form begins to load what comes of it."""
        if value["leaving"] and self._clock is None:
            await self._follower.until_departed(LEAVING_CEILING_S)

    async def _look(self, left_s: float, looked: bool) -> Mapping[str, Any] | None:
        ahead, self.ahead = self.ahead, None
        requests = self._follower.requests
        if ahead is not None and not requests.answered:
            return ahead
        fetched = requests.take()
        if self._clock is not None:
            # The page stands still: nothing can change while it is read.
            call = "milepost.look(true)"
        else:
            call = f"milepost.step({_ms(left_s)}, {_js(fetched)}, {_js(looked)})"
        answer: Mapping[str, Any] | None = await self._evaluate(call)
        return answer

    async def _read_unsettled(self, last: Reading | None) -> Reading:
        """Read a page that never settles as it is, or say that it hangs."""
        # What was waited for in vain once is not waited for in every step to come.
        self._follower.forgive()
        if self._clock is not None:
            self._clock.stop()
        if self._follower.world is not None:
            try:
                async with asyncio.timeout(_LAST_CHANCE_S):
                    value = await self._evaluate("milepost.look(false)")
                    if value is not None:
                        return await self._reading(value, 0)
            except (TimeoutError, CDPError):
                pass
        if last is not None:
            return replace(last, settled=False)
        raise SandboxError(Failure.TIMEOUT, "the page does not answer")

    async def _reading(self, value: Mapping[str, Any], left_s: float) -> Reading:
        settled = bool(value["settled"])
        if value["foreign"]:
            still = self._clock is not None or left_s <= 0
            call = "milepost.look(true" if still else f"milepost.step({_ms(left_s)}, false, false"
            rows, calm = await self._frames.read(value, call)
            settled = settled and calm
        else:
            rows = orjson.loads(value["rows"])
        return Reading(
            url=value["url"],
            title=value["title"],
            elements=build_elements(rows, self._prefix),
            settled=settled,
        )


async def pass_frame(evaluate: Callable[[str], Awaitable[Any]]) -> None:
    """Wait until a tab has drawn itself as it is now, if it is drawn at all.

    Chromium chooses the process that gets a click by what was drawn last, and that is old after scrolling.
    """
    drawn = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))"
    try:
        async with asyncio.timeout(DRAW_CEILING_S):
            await evaluate(drawn)
    except (TimeoutError, CDPError):
        return


def _say_unread(error: CDPError) -> str:
    if isinstance(error, ScriptError):
        return f"the page cannot be read: {error}"
    return "the page never stops navigating"


def _ms(left_s: float) -> int:
    return max(int(left_s * 1000), 1)


def _js(value: bool) -> str:
    return "true" if value else "false"


def build_elements(rows: Sequence[Sequence[Any]], prefix: str = "") -> tuple[Element, ...]:
    """Make elements of the walker's rows.

    Args:
        rows: id, depth, role, name, value and states of each.
        prefix: what the ids begin with in the tab.
    """
    return tuple(
        Element(id=i and prefix + i, depth=depth, role=role, name=name, value=content, states=tuple(states))
        for i, depth, role, name, content, states in rows
    )
