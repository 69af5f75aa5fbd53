"""Memory of a browser with more and more episodes: `python memory.py [--contexts 1 4 16] [--tasks ...]`.

Proportional set size of all of its processes, episodes open and one step old.
"""

import argparse
import asyncio
import json

from milepost.envs.episode import Episode
from milepost.envs.registry import get_template
from milepost.sandbox.browser import BrowserOptions
from milepost.sandbox.pool import Pool


async def measure(sizes: list[int], tasks: list[str]) -> list[dict[str, float]]:
    """Open episodes up to each number in turn and weigh the browser."""
    drawn = any(get_template(task).frames for task in tasks)
    pool = Pool(contexts=max(sizes), options=BrowserOptions(drawn=drawn))
    browser = await pool.warm_up()
    episodes: list[Episode] = []
    rows: list[dict[str, float]] = []
    for size in sorted(sizes):
        while len(episodes) < size:
            task = tasks[len(episodes) % len(tasks)]
            episode, _ = await Episode.open(pool, get_template(task), len(episodes))
            await episode.step("noop()")
            episodes.append(episode)
        # A process that was just made shares pages that it will soon write to.
        await asyncio.sleep(1)
        rows.append({"contexts": size, "pss_mb": await browser.measure_memory() / 1e6})
    for episode in episodes:
        await episode.close()
    await pool.close()
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--contexts", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--tasks", nargs="+", default=["miniwob.enter-text-v1", "miniwob.login-user-v1"])
    options = parser.parse_args()
    print(json.dumps(asyncio.run(measure(options.contexts, options.tasks))))


if __name__ == "__main__":
    main()
