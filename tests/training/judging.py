"""A scripted judge on a thread of its own, for tests in which training has the main thread's loop."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from milepost.milestones.judge.scripted import Script, ScriptedJudgeServer


@contextmanager
def serve(script: Script, *, key: str = "") -> Iterator[ScriptedJudgeServer]:
    """Serve a script until the block ends."""
    server = ScriptedJudgeServer(script, key=key)
    loop = asyncio.new_event_loop()
    up, done = threading.Event(), asyncio.Event()

    async def run() -> None:
        async with server:
            up.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert up.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
        loop.close()
