"""Playwright's own process, which starts browsers and reaps them: one for all browsers of an event loop.

Starting it takes more CPU time than starting a browser, and it stays in memory as long as they do.
"""

import asyncio
import contextlib
from weakref import WeakValueDictionary

from playwright.async_api import Browser, Playwright, async_playwright
from playwright.async_api import Error as PlaywrightError


class Driver:
    """A running Playwright and how many browsers it has; made by `take_driver`."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.starting = asyncio.ensure_future(async_playwright().start())
        self.users = 0
        self.proven = False
        """Whether it has started a browser. One that has and now starts none may have died."""
        self.retired = False

    @property
    def playwright(self) -> Playwright:
        """What starts browsers."""
        return self.starting.result()

    async def release(self) -> None:
        """Give it back; the last browser stops it."""
        self.users -= 1
        if self.users == 0:
            self.retired = True
            with contextlib.suppress(PlaywrightError):
                await (await self.starting).stop()

    async def give_up(self, browser: Browser | None = None) -> None:
        """Give it back after a browser did not start; it is given to no other one."""
        self.retired = True
        if browser is not None:
            with contextlib.suppress(PlaywrightError):
                await browser.close()
        await self.release()


_DRIVERS: WeakValueDictionary[int, Driver] = WeakValueDictionary()
"""By the id of their event loops; the browsers keep them."""


async def take_driver() -> Driver:
    """Give the event loop's driver; it is started if there is none. Every caller gives it back once."""
    loop = asyncio.get_running_loop()
    driver = _DRIVERS.get(id(loop))
    if driver is None or driver.retired or driver.loop is not loop:
        driver = _DRIVERS[id(loop)] = Driver()
    driver.users += 1
    try:
        await asyncio.shield(driver.starting)
    except BaseException:
        await driver.give_up()
        raise
    return driver
