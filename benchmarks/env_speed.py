"""How long a step and a reset take through the public Gymnasium API, everything included.

`python benchmarks/env_speed.py [--episodes 30] [--rounds 3] [--json]`: the oracle plays each task; event log,
file probe, milestones and the text observation are on, no screenshots. Rounds of the tasks are interleaved.
"""

import argparse
import json
import os
import platform
import statistics
import time

from milepost.envs.computer import ComputerEnv
from milepost.envs.registry import templates
from milepost.sandbox.dialect import render_action


def measure(task: str, seeds: range) -> tuple[list[float], list[float]]:
    """Play the oracle and give the milliseconds of each reset and each step."""
    env = ComputerEnv(task)
    resets: list[float] = []
    steps: list[float] = []
    for seed in seeds:
        start = time.perf_counter()
        env.reset(seed=seed)
        resets.append((time.perf_counter() - start) * 1e3)
        over = False
        while not over:
            action = render_action(env.episode.task.oracle(env.episode.observation))
            start = time.perf_counter()
            _, _, terminated, truncated, _ = env.step(action)
            steps.append((time.perf_counter() - start) * 1e3)
            over = terminated or truncated
    env.close()
    return resets, steps


def describe(values: list[float]) -> dict[str, float]:
    """Give minimum, median, 99th percentile and count."""
    ordered = sorted(values)
    return {
        "min": ordered[0],
        "median": statistics.median(ordered),
        "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
        "n": len(ordered),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--episodes", type=int, default=30, help="episodes of each task and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    tasks = [template.id for template in templates()]
    measure(tasks[0], range(2))  # the browser starts here
    resets: dict[str, list[float]] = {task: [] for task in tasks}
    steps: dict[str, list[float]] = {task: [] for task in tasks}
    for number in range(options.rounds):
        for task in tasks:
            more_resets, more_steps = measure(
                task, range(number * options.episodes, (number + 1) * options.episodes)
            )
            resets[task] += more_resets
            steps[task] += more_steps
    everything = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "step_ms": {task: describe(values) for task, values in steps.items()}
        | {"all": describe([v for values in steps.values() for v in values])},
        "reset_ms": {task: describe(values) for task, values in resets.items()}
        | {"all": describe([v for values in resets.values() for v in values])},
    }
    if options.json:
        print(json.dumps(everything, indent=2))
        return
    print(everything["machine"])
    for kind in ("step_ms", "reset_ms"):
        print(f"\n{kind:<20} {'min':>8} {'median':>8} {'p99':>8} {'n':>6}")
        table = everything[kind]
        assert isinstance(table, dict)
        for task, row in table.items():
            print(f"{task:<20} {row['min']:8.1f} {row['median']:8.1f} {row['p99']:8.1f} {row['n']:6.0f}")


if __name__ == "__main__":
    main()
