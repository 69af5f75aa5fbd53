"""Steps and resets through the public Gymnasium API: `python steps.py --tasks ID ... [--episodes 5] [--first-seed 0]`.

The oracle plays; event log, file probe, milestones and the text observation are on, no pictures. Every seed is played twice: after
a reset into a fresh context, and after one that may begin in the page of the episode before or in its emptied context.
"""

import argparse
import json
import time
from typing import Any

from milepost.envs.computer import ComputerEnv
from milepost.envs.registry import get_template
from milepost.sandbox.dialect import render_action


def play(env: ComputerEnv, seed: int, *, fresh: bool) -> tuple[float, list[float]]:
    """Play an episode; gives the milliseconds of its reset and of each step."""
    start = time.perf_counter()
    env.reset(seed=seed, options={"fresh": fresh})
    reset = (time.perf_counter() - start) * 1e3
    steps: list[float] = []
    while not env.episode.over:
        action = render_action(env.episode.task.oracle(env.last_observation))
        start = time.perf_counter()
        env.step(action)
        steps.append((time.perf_counter() - start) * 1e3)
    return reset, steps


def measure(task: str, seeds: range) -> dict[str, list[float]]:
    """Give the milliseconds of each step and of each reset: into a fresh context, an emptied one, or in the page."""
    env, tidy = ComputerEnv(task), get_template(task).tidy
    play(env, seeds[0], fresh=True)
    times: dict[str, list[float]] = {"step_ms": [], "fresh_ms": [], "emptied_ms": [], "in_page_ms": []}
    for seed in seeds:
        for fresh in (True, False):
            reset, steps = play(env, seed, fresh=fresh)
            times["step_ms"] += steps
            kind = "fresh_ms" if fresh else "in_page_ms" if env.episode.renewed else "emptied_ms"
            # Pages that are neither tidy nor can begin anew have a fresh context every time.
            times["fresh_ms" if kind == "emptied_ms" and not tidy else kind].append(reset)
    env.close()
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", required=True)
    parser.add_argument("--episodes", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.episodes)
    results: dict[str, Any] = {task: measure(task, seeds) for task in options.tasks}
    print(json.dumps(results))


if __name__ == "__main__":
    main()
