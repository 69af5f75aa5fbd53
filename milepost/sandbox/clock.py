"""Page time: a clock that runs only when it is told to (decision record 0017).

A page's timers, promises and dates follow a clock of its own. It is given some milliseconds after every action, which
pass as fast as the page can use them, and stands still while the agent thinks. While a request is outstanding it
stands still too, so a slow server takes none of it.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from milepost.sandbox.cdp import CDPConnection
from milepost.sandbox.follower import Follower

_POLICY = "Emulation.setVirtualTimePolicy"

LOADING_MS = 4
"""Page time handed out at once while a document loads."""

_PAUSE_S = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTime:
    """How time passes on the pages of an episode."""

    step_ms: int
    """Page time that passes in every step, in milliseconds."""
    instant_ms: int | None
    """When it begins, in milliseconds since 1970; None begins now."""


class PageClock:
    """The clock of one tab. It stands still until time is given to it."""

    def __init__(self, connection: CDPConnection, session: str, follower: Follower, time: PageTime) -> None:
        """Prepare a clock.

        Args:
            connection: to the browser.
            session: the tab's own.
            follower: what its events tell.
            time: when it begins and how much passes in a step.
        """
        self._connection = connection
        self._session = session
        self._follower = follower
        self._time = time

    async def start(self) -> None:
        """Take the tab's time out of the world's."""
        instant = self._time.instant_ms
        begin = {} if instant is None else {"initialVirtualTime": instant / 1000}
        await self._connection.send(_POLICY, {"policy": "pause", **begin}, self._session)

    def stop(self) -> None:
        """Let the clock stand still, whatever it still waits for."""
        self._connection.post(_POLICY, {"policy": "pause"}, self._session)

    async def pass_time(self, ms: int) -> None:
        """Let time pass; a dialog, which blocks the page, ends the wait.

        Raises:
            SandboxError: the tab is gone.
        """
        follower = self._follower
        if ms <= 0 or follower.dialog is not None:
            return
        follower.expired = False
        grant = {"policy": "pauseIfNetworkFetchesPending", "budget": ms}
        await self._connection.send(_POLICY, grant, self._session)
        await follower.until_expired()

    async def pass_step(self) -> None:
        """Let a step's time pass: what loads is loaded before, and what the time starts to load after.

        Raises:
            SandboxError: the tab is gone.
        """
        await self.finish_loading()
        await self.pass_time(self._time.step_ms)
        await self.finish_loading()

    async def finish_loading(self) -> None:
        """Let what loads come. A document gets the time it needs for that; pictures need none.

        Raises:
            SandboxError: the tab is gone.
        """
        while self._follower.dialog is None and self._follower.pending:
            if self._follower.needs_time:
                await self._pass_little()
            else:
                await self._follower.until_changed()

    async def run_until(self, answered: "asyncio.Future[dict[str, Any]]") -> None:
        """Give a document that is asked for the time it needs to come; a dialog ends the wait.

        Raises:
            SandboxError: the tab is gone.
        """
        while not answered.done() and self._follower.dialog is None:
            await self._pass_little()

    async def _pass_little(self) -> None:
        await self.pass_time(LOADING_MS)
        # In real time: an answer that is on its way takes some, and the page is not asked for its time meanwhile.
        await asyncio.sleep(_PAUSE_S)
