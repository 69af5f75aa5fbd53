"""Many sessions on one warm browser, which is replaced when it dies or has grown old."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from milepost.sandbox.browser import Browser, BrowserLaunchError, BrowserOptions
from milepost.sandbox.cdp import CDPError
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.observation import Observation
from milepost.sandbox.session import Session
from milepost.sandbox.vacancy import Vacancy, is_lettable
from milepost.sandbox.watcher import FileWatcher
from milepost.sandbox.world import Deadlines, World

RECYCLE_AFTER = 4_000
"""Sessions after which a browser is replaced, before its memory grows."""

MAX_MEMORY_BYTES = 6 * 1024**3
"""A browser that takes more is replaced as soon as its sessions have ended."""

_WEIGH_EVERY = 100
"""Sessions between two looks at a browser's memory; one takes some milliseconds."""


class _Warm:
    """A browser with its file watcher, and how many sessions use it."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        files = browser.scratch / "files"
        files.mkdir()
        self.watcher = FileWatcher(files)
        self.opened = 0
        self.active = 0
        self.heavy = False
        self.vacant: list[Vacancy] = []
        """Contexts that episodes have left."""

    @property
    def spent(self) -> bool:
        return not self.browser.alive or self.heavy or self.opened >= RECYCLE_AFTER

    async def weigh(self, limit: int) -> None:
        """Find out now and then whether the browser has grown too large."""
        if self.opened and self.opened % _WEIGH_EVERY == 0 and self.browser.alive:
            with contextlib.suppress(CDPError):
                self.heavy = await self.browser.measure_memory() > limit

    async def close(self) -> None:
        self.watcher.close()
        await self.browser.close()
        for vacancy in self.vacant:
            await vacancy.proxy.close()


class Pool:
    """Hands out sessions; at most `contexts` at a time, the others wait. Bound to one event loop."""

    def __init__(
        self,
        *,
        contexts: int = 8,
        options: BrowserOptions = BrowserOptions(),
        deadlines: Deadlines = Deadlines(),
        max_memory: int = MAX_MEMORY_BYTES,
    ) -> None:
        """Prepare a pool; the browser starts with the first session.

        Args:
            contexts: most sessions at a time.
            options: how the browser is started.
            deadlines: of every session.
            max_memory: bytes a browser may take before it is replaced.

        Raises:
            ValueError: no contexts.
        """
        if contexts < 1:
            raise ValueError(f"a pool has at least one context, got {contexts}")
        self._options = options
        self._deadlines = deadlines
        self._max_memory = max_memory
        self._places = asyncio.Semaphore(contexts)
        self._launching = asyncio.Lock()
        self._warm: _Warm | None = None
        self._retired: list[_Warm] = []
        self._names = 0
        self._closed = False

    async def _browser(self) -> _Warm:
        async with self._launching:
            if self._warm is not None:
                await self._warm.weigh(self._max_memory)
            if self._warm is not None and self._warm.spent:
                self._retired.append(self._warm)
                self._warm = None
            await self._drop_idle()
            if self._warm is None:
                self._warm = _Warm(await Browser.launch(self._options))
            return self._warm

    async def _drop_idle(self) -> None:
        idle = [warm for warm in self._retired if warm.active == 0]
        self._retired = [warm for warm in self._retired if warm.active > 0]
        for warm in idle:
            await warm.close()

    async def warm_up(self) -> Browser:
        """Launch the browser now, to learn early whether it works.

        Raises:
            BrowserNotFoundError: none is installed.
            BrowserLaunchError: it does not start.
        """
        return (await self._browser()).browser

    async def open(self, world: World) -> tuple[Session, Observation]:
        """Wait for a place and open a session in it; give it back with `close`.

        Raises:
            SandboxError: the world could not be made.
        """
        if self._closed:
            raise SandboxError(Failure.INFRASTRUCTURE, "the pool is closed")
        await self._places.acquire()
        try:
            return await self._open(world)
        except BaseException:
            self._places.release()
            raise

    async def _open(self, world: World, *, again: bool = True) -> tuple[Session, Observation]:
        try:
            warm = await self._browser()
        except BrowserLaunchError as error:
            raise SandboxError(Failure.INFRASTRUCTURE, str(error)) from error
        warm.active += 1
        warm.opened += 1
        self._names += 1
        name = f"e{self._names}"
        vacancy = warm.vacant.pop() if warm.vacant and is_lettable(world) else None
        try:
            session, observation = await Session.open(
                warm.browser, warm.watcher, name, world, self._deadlines, vacancy
            )
        except BaseException as broken:
            warm.active -= 1
            if again and isinstance(broken, SandboxError) and (vacancy or not warm.browser.alive):
                # The browser died while the world was made, or its place was none; that is no fault of the world's.
                return await self._open(world, again=False)
            raise
        session.on_closed = lambda: self._give_back(warm)
        session.on_vacated = warm.vacant.append
        return session, observation

    def _give_back(self, warm: _Warm) -> None:
        warm.active -= 1
        self._places.release()

    @asynccontextmanager
    async def session(self, world: World) -> AsyncIterator[tuple[Session, Observation]]:
        """Open a session for the length of a `with` block."""
        session, observation = await self.open(world)
        try:
            yield session, observation
        finally:
            await session.close()

    async def close(self) -> None:
        """Close every browser; running sessions fail."""
        self._closed = True
        async with self._launching:
            for warm in [*self._retired, *([self._warm] if self._warm else [])]:
                await warm.close()
            self._retired, self._warm = [], None
