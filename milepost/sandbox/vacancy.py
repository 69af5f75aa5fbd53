"""Browser contexts: made for an episode, and emptied for another where nothing else could be left of it.

A context with its page is a process of its own, and costs about ten steps to make and to end. The pages of a tidy world
leave behind only what can be cleared: cookies, storage, caches, history. When such an episode is over its page goes
to a blank document, what it kept is cleared, its connections are dropped, and the context is let to the next tidy world.
To its pages that is no different from a fresh one (decision record 0035).
"""

import asyncio
import contextlib
from dataclasses import dataclass

from milepost.sandbox.cdp import CDPConnection, CDPError
from milepost.sandbox.events import (
    DialogOpened,
    DownloadFinished,
    DownloadStarted,
    Failed,
    Source,
    TabClosed,
    TabOpened,
)
from milepost.sandbox.failure import SandboxError
from milepost.sandbox.hand import withdraw_mouse
from milepost.sandbox.log import EventLog
from milepost.sandbox.page import Page
from milepost.sandbox.sites import SiteProxy
from milepost.sandbox.storage import find_origins
from milepost.sandbox.world import World

MAX_TENANTS = 100
"""Episodes in one context, before its process grows."""

CLEARING_CEILING_S = 5.0
"""A context that takes longer to be emptied is disposed of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vacancy:
    """A context that an episode has left."""

    context: str
    page: Page
    """Its only tab, which shows a blank document."""
    proxy: SiteProxy
    """Listens on the port that the context was made with."""
    tenants: int
    """Episodes that were in it."""


async def make_context(connection: CDPConnection, port: int) -> str:
    """Make a context whose traffic all goes to a loopback port; gives its id."""
    made = {
        "proxyServer": f"http://127.0.0.1:{port}",
        "proxyBypassList": "<-loopback>",
        "disposeOnDetach": True,
    }
    return str((await connection.send("Target.createBrowserContext", made))["browserContextId"])


async def dispose_context(connection: CDPConnection, context: str) -> None:
    """Dispose of a context with all that is in it; a dead browser has none."""
    with contextlib.suppress(CDPError, TimeoutError):
        async with asyncio.timeout(5):
            await connection.send("Target.disposeBrowserContext", {"browserContextId": context})


def is_lettable(world: World) -> bool:
    """Whether a world may begin in a context that another one has left."""
    plain = not (world.live or world.referee or world.traffic)
    timed = world.page_time_ms is not None or world.instant_ms is None
    return world.tidy and plain and world.storage is None and not timed


def leaves_nothing(log: EventLog) -> bool:
    """Whether nothing of an episode can be left in its context but what `clear_context` clears."""
    facts = [event.fact for event in log.events] + [fact for _, fact in log.pending]
    if any(isinstance(fact, TabOpened | TabClosed | Failed) for fact in facts):
        return False
    blocked = any(e.source is Source.BROWSER and isinstance(e.fact, DialogOpened) for e in log.events)
    begun = sum(isinstance(fact, DownloadStarted) for fact in facts)
    return not blocked and begun == sum(isinstance(fact, DownloadFinished) for fact in facts)


async def clear_context(
    connection: CDPConnection, context: str, page: Page, proxy: SiteProxy, log: EventLog
) -> bool:
    """Empty a context; false when it could not be done, and then it is only good to be disposed of."""
    try:
        async with asyncio.timeout(CLEARING_CEILING_S):
            if await page.navigate("about:blank") or await page.read() is None:
                return False
            # Where the mouse was, the next document would find it.
            await withdraw_mouse(page)
            origins = [
                {"origin": one, "storageTypes": "all"} for one in find_origins(e.fact for e in log.events)
            ]
            await asyncio.gather(
                connection.send("Storage.clearCookies", {"browserContextId": context}),
                page.command("Page.resetNavigationHistory", {}),
                page.command("Network.clearBrowserCache", {}),
                # Empties the renderer's own cache of documents' parts, too.
                page.command("Network.setCacheDisabled", {"cacheDisabled": True}),
                *(page.command("Storage.clearDataForOrigin", origin) for origin in origins),
            )
            await page.command("Network.setCacheDisabled", {"cacheDisabled": False})
            await proxy.hang_up()
    except (CDPError, SandboxError, TimeoutError):
        return False
    return True
