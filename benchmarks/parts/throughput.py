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


async def play(pool: Pool, task: str, first_seed: int, until: float, counts: dict[str, int]) -> None:
    """Play episodes of a task until the time is over."""
    template, seed = get_template(task), first_seed
    before: Episode | None = None
    while time.perf_counter() < until:
        try:
            before, view = await Episode.open(pool, template, seed, after=before)
            seed += 1
            counts["resets"] += 1
            while not before.over and time.perf_counter() < until:
                view = (await before.step(render_action(before.task.oracle(view)))).observation
                counts["steps"] += 1
        except SandboxError:
            counts["failures"] += 1
            before = None
    if before is not None:
        await before.close()


async def measure(contexts: int, seconds: float, tasks: list[str]) -> dict[str, float]:
    """Give the steps and resets a second of so many contexts."""
    drawn = any(get_template(task).frames for task in tasks)
    pool = Pool(contexts=contexts, options=BrowserOptions(drawn=drawn))
    await pool.warm_up()
    counts = {"steps": 0, "resets": 0, "failures": 0}
    # What is opened first warms caches up, and is not counted.
    await asyncio.gather(
        *(
            play(pool, tasks[i % len(tasks)], 0, time.perf_counter() + 1, dict(counts))
            for i in range(contexts)
        )
    )
    start = time.perf_counter()
    until = start + seconds
    await asyncio.gather(
        *(play(pool, tasks[i % len(tasks)], 1000 * i, until, counts) for i in range(contexts))
    )
    took = time.perf_counter() - start
    await pool.close()
    return {"contexts": contexts, "seconds": took, "per_s": counts["steps"] / took} | {
        name: float(count) for name, count in counts.items()
    }


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
