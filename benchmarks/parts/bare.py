"""A step through Gymnasium beside the bare DevTools calls it is made of: `python bare.py [--rounds 12]`.

Both click and fill the text field of MiniWoB's `enter-text`, turn about in the same page. The bare calls do what the step needs of
the browser (find the point, move, press and release or insert text, the page's turn, the tree) and decode the answer; log, files,
rewards, observation and threads are what they leave out.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import gymnasium
import orjson

import milepost  # noqa: F401 - registers the environments

MOUSE = "Input.dispatchMouseEvent"
REFEREE = "milepostTurn(1000)"
STEPS = 4
"""Steps in a row of each kind."""


class Bare:
    """The calls, over the environment's own connection."""

    def __init__(self, env: Any) -> None:
        page = env.episode._session._tabs.active
        self.connection, self.session = page._connection, page._session
        self.world = page._follower.world

    async def evaluate(self, expression: str, *, own: bool = False) -> Any:
        """Evaluate in the walker's world, or in the page's."""
        params = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        where = {} if own else {"contextId": self.world}
        reply = await self.connection.send("Runtime.evaluate", {**params, **where}, self.session)
        return reply["result"].get("value")

    async def look(self) -> Any:
        """Let the page have its turn and read it."""
        _, seen = await asyncio.gather(
            self.evaluate(REFEREE, own=True), self.evaluate("milepost.step(5000, false)")
        )
        return orjson.loads(seen["rows"])

    async def click(self, element: str) -> Any:
        """Click an element and look."""
        spot = await self.evaluate(f"milepost.point({element})")
        press = {"x": spot["x"], "y": spot["y"], "button": "left", "clickCount": 1}
        self.connection.post(MOUSE, {"type": "mouseMoved", "x": spot["x"], "y": spot["y"]}, self.session)
        self.connection.post(MOUSE, {"type": "mousePressed", **press}, self.session)
        await self.connection.send(MOUSE, {"type": "mouseReleased", **press}, self.session)
        return await self.look()

    async def fill(self, element: str, text: str) -> Any:
        """Fill a field and look."""
        await self.evaluate(f"milepost.take({element})")
        await self.connection.send("Input.insertText", {"text": text}, self.session)
        return await self.look()


async def take_time(act: Callable[[], Awaitable[Any]]) -> float:
    """Give the milliseconds that something takes."""
    start = time.perf_counter()
    await act()
    return (time.perf_counter() - start) * 1e3


def measure(rounds: int) -> dict[str, list[float]]:
    """Give the milliseconds of each step and of each bare one."""
    env: Any = gymnasium.make("milepost/miniwob.enter-text-v1").unwrapped
    times: dict[str, list[float]] = {"step": [], "bare": []}
    for number in range(rounds + 1):
        env.reset(seed=number, options={"fresh": number == 0})
        field = env.last_observation.find("textbox")
        bare = Bare(env)
        for count in range(STEPS):
            word = f"word {count}"
            start = time.perf_counter()
            env.step(f'click("{field}")' if count % 2 else f'fill("{field}", "{word}")')
            times["step"].append((time.perf_counter() - start) * 1e3)
            work = partial(bare.click, field) if count % 2 else partial(bare.fill, field, word)
            times["bare"].append(env.driver.run(take_time(work)))
    env.close()
    # The first round warms up.
    return {name: values[STEPS:] for name, values in times.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=12)
    print(json.dumps(measure(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
