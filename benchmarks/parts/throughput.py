"""Text steps a second of many contexts on one browser: `python throughput.py [--contexts 1 4 16] [--seconds 5] [--tasks ...]`.

Every context plays one episode after the other, its task's oracle on the milepost side, resets in the time; all run in one event
loop of one process. `--cores` binds it and the browser to the first few.
"""

import argparse
import asyncio
import json
import os
import time

from milepost.envs.episode import Episode
from milepost.envs.registry import get_template
from milepost.sandbox.browser import BrowserOptions
from milepost.sandbox.dialect import render_action
from milepost.sandbox.failure import SandboxError
from milepost.sandbox.pool import Pool


class Counter:
    """What all contexts have done so far."""

    def __init__(self) -> None:
        self.steps = self.resets = self.failures = 0
        self.over = False
        """Whether the contexts shall end."""

    def take(self) -> dict[str, int]:
        """Give the counts as they are."""
        return {"steps": self.steps, "resets": self.resets, "failures": self.failures}


async def play(pool: Pool, task: str, seed: int, counter: Counter, opened: asyncio.Event) -> None:
    """Play episodes of a task until it is over; `opened` tells of the first step."""
    template = get_template(task)
    before: Episode | None = None
    while not counter.over:
        try:
            before, view = await Episode.open(pool, template, seed, after=before)
            seed += 1
            counter.resets += 1
            while not before.over and not counter.over:
                view = (await before.step(render_action(before.task.oracle(view)))).observation
                counter.steps += 1
                opened.set()
        except SandboxError:
            counter.failures += 1
            before = None
    if before is not None:
        await before.close()


async def measure(contexts: int, seconds: float, tasks: list[str]) -> dict[str, float]:
    """Give the steps and resets a second of so many contexts, from when the last of them has made its first step."""
    drawn = any(get_template(task).frames for task in tasks)
    pool = Pool(contexts=contexts, options=BrowserOptions(drawn=drawn))
    await pool.warm_up()
    counter, opened = Counter(), [asyncio.Event() for _ in range(contexts)]
    players = [
        asyncio.create_task(play(pool, tasks[i % len(tasks)], 1000 * i, counter, event))
        for i, event in enumerate(opened)
    ]
    for event in opened:
        await event.wait()
    start, before = time.perf_counter(), counter.take()
    await asyncio.sleep(seconds)
    took, after = time.perf_counter() - start, counter.take()
    counter.over = True
    await asyncio.gather(*players)
    await pool.close()
    done = {name: float(after[name] - before[name]) for name in after}
    return {"contexts": contexts, "seconds": took, "per_s": done["steps"] / took} | done


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--contexts", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--cores", type=int, default=0, help="0: all")
    parser.add_argument("--tasks", nargs="+", default=["miniwob.enter-text-v1", "miniwob.login-user-v1"])
    options = parser.parse_args()
    if options.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    rows = [asyncio.run(measure(n, options.seconds, options.tasks)) for n in options.contexts]
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
