"""Kill -9 at random points of a run: does it go on, and come to the same numbers?

    python -m benchmarks.resume               # 20 kills, by the clock
    python -m benchmarks.resume --kills 5 --json

A run of the built-in policy is played once without interruption. A second one with the same configuration is killed
after a random time, again and again, each time continued, and let to its end after the last kill. Compared are all
lines of `metrics.jsonl` except times, and the weights, bit by bit.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from milepost.training.checkpoint import find_latest
from milepost.training.config import Config, build_config
from milepost.training.display import Display
from milepost.training.metrics import read_metrics
from milepost.training.trainer import train

TIMES = {"elapsed_s", "eta_s", "time"}
"""What differs between any two runs."""


def build_run(*overrides: str, iterations: int, contexts: int) -> Config:
    """Give a short run in which the policy learns something, with everything that has a state."""
    return build_config(
        {
            "run": {"threads": 1},
            "tasks": {"ids": ["ExpenseForm-v0", "ReportExport-v0"]},
            "rollout": {"group_size": 3, "contexts": contexts},
            "imitation": {"episodes": 0},
            "algorithm": {"kl_coef": 0.01, "minibatches": 2, "flags": ["frontier"]},
            "train": {
                "iterations": iterations,
                "tasks_per_iteration": 2,
                "budget": "600 minutes",
            },
            "eval": {"every": 1, "episodes": [1, 1]},
        },
        overrides,
    )


def read_numbers(run: Path) -> list[dict[str, Any]]:
    """Read a run's metrics without times."""
    return [{key: value for key, value in r.items() if key not in TIMES} for r in read_metrics(run)]


def read_weights(run: Path) -> bytes:
    """Read the newest checkpoint's weights."""
    checkpoint = find_latest(run / "checkpoints")
    assert checkpoint is not None
    return (checkpoint / "model.safetensors").read_bytes()


def fork_run(config: Config, run: Path, progress: Display | None = None) -> int:
    """Begin or continue a run in a child process, which needs to import nothing; give its process id."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            train(config, run, resume=True, progress=progress)
            code = 0
        finally:
            os._exit(code)
    return child


def await_child(child: int, seconds: float) -> int | None:
    """Wait so long for a child; give its exit code, or None when it still runs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    return None


def main() -> None:
    """Measure and print; the exit code is 1 when anything differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=6)
    parser.add_argument("--contexts", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    config = build_run(iterations=args.iterations, contexts=args.contexts)
    rng = np.random.default_rng(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, cut = Path(folder) / "whole", Path(folder) / "cut"
        start = time.monotonic()
        if await_child(fork_run(config, whole), 3600.0) != 0:
            sys.exit("the uninterrupted run failed")
        whole_s = time.monotonic() - start
        kills, ended = 0, []
        while kills < args.kills:
            # Later than the start, so that most kills find a run that has something to lose.
            child = fork_run(config, cut)
            code = await_child(child, whole_s * float(rng.uniform(0.05, 0.5)))
            if code is None:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                kills += 1
            elif code != 0:
                sys.exit(f"a continued run ended with exit code {code}")
            else:
                # It came to its end before all kills were spent: another one takes the rest.
                ended.append(cut)
                cut = Path(folder) / f"cut-{len(ended)}"
        if await_child(fork_run(config, cut), 3600.0) != 0:
            sys.exit("the last continuation failed")
        ended.append(cut)
        same_numbers = all(read_numbers(whole) == read_numbers(run) for run in ended)
        same_weights = all(read_weights(whole) == read_weights(run) for run in ended)
    result = {
        "kills": kills,
        "runs": len(ended),
        "uninterrupted_s": whole_s,
        "same_metrics": same_numbers,
        "same_weights": same_weights,
    }
    print(json.dumps(result) if args.json else "  ".join(f"{k} {v}" for k, v in result.items()))
    sys.exit(not (same_numbers and same_weights))


if __name__ == "__main__":
    main()
