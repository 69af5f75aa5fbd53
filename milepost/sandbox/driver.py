"""Playwright's own process, which starts browsers and reaps them: one for all browsers of this process.

Starting it takes more CPU time than starting a browser, and it stays in memory as long as they do. Playwright's objects
belong to one event loop, so it has a thread with a loop of its own, and browsers may live in any.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from playwright.async_api import Browser, Playwright, async_playwright
from playwright.async_api import Error as PlaywrightError

_T = TypeVar("_T")


class Driver:
    """A running Playwright and how many browsers it has; made by `take_driver`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="milepost-driver", daemon=True)
        self._thread.start()
        self._starting = self._submit(async_playwright().start())
        self.users = 0
        self.proven = False
        """Whether it has started a browser. One that has and now starts none may have died."""
        self.retired = False

    @property
    def playwright(self) -> Playwright:
        """What starts browsers; for what `run` runs."""
        return self._starting.result()

    def _serve(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _submit(self, work: Coroutine[Any, Any, _T]) -> Future[_T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run on Playwright's loop what uses its objects, and await the result from any loop."""
        return await asyncio.wrap_future(self._submit(work))

    async def started(self) -> None:
        """Wait until Playwright runs."""
        await asyncio.shield(asyncio.wrap_future(self._starting))

    async def release(self) -> None:
        """Give it back; the last browser stops it."""
        with _GUARD:
            self.users -= 1
            if self.users:
                return
            self.retired = True
        try:
            await self.started()
            with contextlib.suppress(PlaywrightError):
                await self.run(self.playwright.stop())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)

    async def give_up(self, browser: Browser | None = None) -> None:
        """Give it back after a browser did not start; it is given to no other one."""
        self.retired = True
        if browser is not None:
            with contextlib.suppress(PlaywrightError):
                await self.run(browser.close())
        await self.release()


_DRIVERS: dict[int, Driver] = {}
"""By the process's id: a forked child starts one of its own."""
_GUARD = threading.Lock()


async def take_driver() -> Driver:
    """Give this process's driver; it is started if there is none. Every caller gives it back once."""
    with _GUARD:
        driver = _DRIVERS.get(os.getpid())
        if driver is None or driver.retired:
            driver = _DRIVERS[os.getpid()] = Driver()
        driver.users += 1
    try:
        await driver.started()
    except BaseException:
        await driver.give_up()
        raise
    return driver
