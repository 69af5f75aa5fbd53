"""How long a step and a reset take through the public Gymnasium API, everything included.

`python -m benchmarks.env_speed [--episodes 30] [--rounds 3] [--peers] [--json]`: the oracle plays each built-in task; event
log, file probe, milestones and the text observation are on, no screenshots. Rounds of the tasks are interleaved.

`--peers` instead does the same clicks and fills on four MiniWoB++ pages in milepost, BrowserGym and Farama's MiniWoB++, round
after round. The peers are installed in environments of their own (`.venv-peers/`), for they pin other versions.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
import venv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from milepost.envs.computer import ComputerEnv
from milepost.envs.miniwob.package import find_html
from milepost.envs.registry import templates
from milepost.sandbox.chromium import find_chromium
from milepost.sandbox.dialect import render_action

FOLDER = Path(__file__).parent / "peers"
ENVIRONMENTS = Path(__file__).parent.parent / ".venv-peers"
PINS = {
    "browsergym": ("browsergym-core==0.14.3", "browsergym-miniwob==0.14.3"),
    "farama": ("miniwob==1.1.0",),
}

Times = dict[str, list[float]]


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


def measure_tasks(tasks: Sequence[str], episodes: int, rounds: int) -> tuple[Times, Times]:
    """Play every task in every round; gives step and reset times by task."""
    measure(tasks[0], range(2))  # the browser starts here
    resets: Times = defaultdict(list)
    steps: Times = defaultdict(list)
    for number in range(rounds):
        for task in tasks:
            more_resets, more_steps = measure(task, range(number * episodes, (number + 1) * episodes))
            resets[task] += more_resets
            steps[task] += more_steps
    for times in (resets, steps):
        times["all"] = [value for values in times.values() for value in values]
    return steps, resets


# --- The peers ------------------------------------------------------------------------------------------


def install(peer: str) -> Path:
    """Make a peer's environment unless it is there; gives its Python."""
    home = ENVIRONMENTS / peer
    python = home / "bin" / "python"
    if not python.exists():
        print(f"installing {', '.join(PINS[peer])} ...", file=sys.stderr)
        venv.create(home, with_pip=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", *PINS[peer]], check=True, stderr=subprocess.DEVNULL
        )
    return python


def plan_runs(episodes: int, slow_episodes: int) -> dict[str, list[str]]:
    """Give the command of every configuration. The slow ones play fewer episodes."""
    chromium = str(find_chromium(os.environ).path)
    html = find_html()
    if html is None:
        sys.exit("the pages of MiniWoB++ are not installed: pip install 'milepost[miniwob]'")
    pages = (html / "miniwob").as_uri() + "/"
    own = [sys.executable, str(FOLDER / "milepost_steps.py")]
    gym = [str(install("browsergym")), str(FOLDER / "browsergym_steps.py"), chromium, pages]
    runs = {
        "milepost text": [*own, "text", str(episodes)],
        "milepost + 332x214 jpeg": [*own, "jpeg", str(episodes)],
        "milepost + 1280x720 jpeg": [*own, "large", str(episodes)],
        "BrowserGym, no waits": [*gym, "tuned", str(slow_episodes)],
        "BrowserGym, default": [*gym, "default", str(slow_episodes)],
    }
    if driver := shutil.which("chromedriver"):
        farama = [str(install("farama")), str(FOLDER / "farama_steps.py"), chromium, driver]
        runs["Farama, text"] = [*farama, str(slow_episodes)]
    else:
        print("no chromedriver: Farama's MiniWoB++ is left out", file=sys.stderr)
    return runs


def run_peer(command: Sequence[str]) -> tuple[list[float], list[float]]:
    """Run one configuration in a process of its own; gives step and reset times over all pages."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    pages: Mapping[str, Mapping[str, list[float]]] = json.loads(done.stdout.splitlines()[-1])
    return (
        [value for page in pages.values() for value in page["step_ms"]],
        [value for page in pages.values() for value in page["reset_ms"]],
    )


def measure_peers(episodes: int, rounds: int) -> tuple[Times, Times]:
    """Run every configuration in every round; gives step and reset times by configuration."""
    steps: Times = defaultdict(list)
    resets: Times = defaultdict(list)
    runs = plan_runs(episodes, max(2, episodes // 10))
    for number in range(rounds):
        for name, command in runs.items():
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
            more_steps, more_resets = run_peer(command)
            steps[name] += more_steps
            resets[name] += more_resets
    return steps, resets


# --- The report -----------------------------------------------------------------------------------------


def describe(times: Times) -> dict[str, dict[str, float]]:
    """Give minimum, median, 99th percentile and count of each list."""
    found = {}
    for name, values in times.items():
        ordered = sorted(values)
        found[name] = {
            "min": ordered[0],
            "median": statistics.median(ordered),
            "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
            "n": len(ordered),
        }
    return found


def show(kind: str, table: Mapping[str, Mapping[str, float]]) -> None:
    """Print a table; with ratios to the first row where it has peers."""
    first = next(iter(table.values()))["median"]
    print(f"\n{kind:<26} {'min':>8} {'median':>8} {'p99':>8} {'n':>6} {'ratio':>7}")
    for name, row in table.items():
        print(
            f"{name:<26} {row['min']:8.1f} {row['median']:8.1f} {row['p99']:8.1f} {row['n']:6.0f} "
            f"{row['median'] / first:7.1f}"
        )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--episodes", type=int, default=30, help="episodes of each task or page, and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action="store_true", help="compare with BrowserGym and Farama's MiniWoB++")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.peers:
        steps, resets = measure_peers(options.episodes, options.rounds)
    else:
        tasks = [template.id for template in templates() if not template.id.startswith("miniwob.")]
        steps, resets = measure_tasks(tasks, options.episodes, options.rounds)
    everything: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "step_ms": describe(steps),
        "reset_ms": describe(resets),
    }
    if options.json:
        print(json.dumps(everything, indent=2))
        return
    print(everything["machine"])
    show("step_ms", everything["step_ms"])
    show("reset_ms", everything["reset_ms"])


if __name__ == "__main__":
    main()
