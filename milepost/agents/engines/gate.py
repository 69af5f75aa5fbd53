"""What every engine needs around its backend: a gate for requests, and a deadline for each call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from milepost.agents.engines.engine import EngineError, Fault


@asynccontextmanager
async def limit(seconds: float, what: str) -> AsyncIterator[None]:
    """Bound what happens inside.

    Args:
        seconds: the deadline.
        what: names the call in the error.

    Raises:
        EngineError: it took longer.
    """
    late = asyncio.timeout(seconds)
    try:
        async with late:
            yield
    except TimeoutError as error:
        if not late.expired():
            raise
        raise EngineError(f"{what} took longer than its deadline of {seconds:g} s", Fault.TIMEOUT) from error


class Gate:
    """Counts who is inside. A closed gate lets nobody in, and whoever closed it waits until all have left."""

    def __init__(self) -> None:
        """Begin open and empty."""
        self._open = True
        self._inside = 0
        self._waiters: list[asyncio.Future[None]] = []

    async def __aenter__(self) -> None:
        while not self._open:
            await self._wait()
        self._inside += 1

    async def __aexit__(self, *_: object) -> None:
        self._inside -= 1
        self._wake()

    async def close(self) -> None:
        """Let nobody in any more, and wait until everybody has left."""
        self._open = False
        while self._inside:
            await self._wait()

    def open(self) -> None:
        """Let everybody in again."""
        self._open = True
        self._wake()

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """Close it for a while, unless it is closed already."""
        was_open = self._open
        await self.close()
        try:
            yield
        finally:
            if was_open:
                self.open()

    async def _wait(self) -> None:
        # A future of the loop that is running: an engine may serve several loops, one after the other.
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _wake(self) -> None:
        waiting, self._waiters = self._waiters, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
