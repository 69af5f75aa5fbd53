"""A background thread with an event loop and a warm browser, behind every synchronous environment.

Gymnasium's API is synchronous and the sandbox is not. One thread per process runs the loop, so environments
work in plain scripts, inside a running asyncio loop, in notebooks, and in several threads at once.
"""

import asyncio
import atexit
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from milepost.sandbox.browser import BrowserOptions
from milepost.sandbox.pool import Pool

_T = TypeVar("_T")
_CONTEXTS = 64


class Driver:
    """Owns the thread, the loop and the pool. Use `shared` to get the process's one."""

    _shared: "dict[tuple[int, BrowserOptions], Driver]" = {}  # noqa: RUF012 - one table per process, guarded
    _guard = threading.Lock()

    def __init__(self, options: BrowserOptions) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="milepost", daemon=True)
        self._thread.start()
        self.pool = self.run(_make_pool(options))

    @classmethod
    def shared(cls, options: BrowserOptions) -> "Driver":
        """Give this process's driver for a kind of browser; a forked child gets one of its own."""
        key = (os.getpid(), options)
        with cls._guard:
            if key not in cls._shared:
                driver = cls(options)
                cls._shared[key] = driver
                atexit.register(driver.close)
            return cls._shared[key]

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine on the loop and wait for its result."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except (KeyboardInterrupt, concurrent.futures.CancelledError):
            future.cancel()
            raise

    async def hand_over(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine on the loop and await its result from another one."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def close(self) -> None:
        """Close the browser and stop the thread; safe to call twice."""
        with self._guard:
            self._shared.pop(
                next((k for k, d in self._shared.items() if d is self), (0, BrowserOptions())), None
            )
        if not self._thread.is_alive():
            return
        self.run(self.pool.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)


async def _make_pool(options: BrowserOptions) -> Pool:
    return Pool(contexts=_CONTEXTS, options=options)
