"""Which methods learn, and how many episodes they need: in the real browser, with the built-in policy.

`python -m benchmarks.learning [--methods milestone_grpo grpo:outcome ...] [--seeds 0 1 2] [--json]`

Every method trains from the same warm start (the built-in checkpoint) on the same tasks for the same number of environment
steps. A method is a preset or a preference method; after a colon comes a schedule (`dpo:semi_online`) or a way to pay
(`grpo:outcome` sees the goal alone). Each finished run is a line of `OUT/results.jsonl`, and a run that was stopped is
resumed, so a long study can be done in pieces: call it again with the same arguments. `--table` only prints what is there.
"""

import argparse
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from milepost.milestones import RewardMode
from milepost.training.config import Config, build_config
from milepost.training.display import make_display
from milepost.training.metrics import read_metrics
from milepost.training.preferences.method import METHODS, Schedule
from milepost.training.presets import PRESETS
from milepost.training.run import Summary
from milepost.training.trainer import train

RESULTS = "results.jsonl"
SINGLE_STEP = {"trpo"}
"""Methods that take one step a batch."""


def build_study(method: str, seed: int, options: argparse.Namespace) -> Config:
    """Make the configuration of one run; all methods share everything but their own parts."""
    name, _, variant = method.partition(":")
    data: dict[str, dict[str, Any]] = {
        "run": {"seed": seed, "threads": options.threads},
        "tasks": {"ids": options.tasks},
        "rollout": {"group_size": 6, "contexts": options.contexts},
        "imitation": {"episodes": 0},
        "algorithm": {} if name in SINGLE_STEP else {"minibatches": options.minibatches},
        "optim": {"learning_rate": options.learning_rate, "token_budget": 2048},
        "train": {
            "iterations": 100_000,
            "budget": f"{options.steps} steps",
            "tasks_per_iteration": options.groups,
        },
        "eval": {
            "every": options.every,
            "episodes": [options.validation, options.test],
            "first_seed": options.first_seed,
            "temperature": 0.0,
        },
    }
    if name in PRESETS:
        data["algorithm"]["preset"] = name
        if PRESETS[name].group_size:
            # As many episodes an iteration as the others have.
            data["rollout"]["group_size"] = PRESETS[name].group_size
            data["train"]["tasks_per_iteration"] = options.groups * 6 // PRESETS[name].group_size
    elif name in METHODS:
        data["preference"] = {"method": name}
        data["optim"]["learning_rate"] = options.preference_rate
    else:
        raise SystemExit(f"there is no method {name!r}; see milepost algorithms")
    if variant in list(Schedule):
        data["preference"]["schedule"] = variant
        if variant == Schedule.CONTINUOUS:
            data["rollout"]["group_size"] = 2
            data["train"]["tasks_per_iteration"] = options.groups * 3
    elif variant:
        data["reward"] = {"rules": RewardMode(variant).value}
    return build_config(data)


def run_study(method: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train one method on one seed, from where it was stopped, and describe the run."""
    config = build_study(method, seed, options)
    folder = options.out / f"{method.replace(':', '-')}-{seed}"
    console = Console(stderr=True)
    console.print(f"{method}, seed {seed}: {folder}", markup=False)
    summary = train(config, folder, resume=True, progress=make_display(console))
    return describe_run(method, seed, config, summary, target=options.target)


def describe_run(
    method: str, seed: int, config: Config, summary: Summary, *, target: float
) -> dict[str, Any]:
    """Give a run's line of the results: success before and after, and its curve over episodes and steps."""
    episodes = steps = 0
    curve: list[dict[str, float]] = []
    for record in read_metrics(summary.run):
        if record["kind"] == "iteration":
            steps += int(record["time"]["steps"])
            # all that were played, with those that dynamic sampling replaced
            episodes += record["proportion"]["n"] + record["unscored"]
        elif record["kind"] == "evaluation" and record["phase"].startswith("validation"):
            point = {"episodes": episodes, "steps": steps, "success": record["success"]}
            curve += [point] if not curve or curve[-1]["steps"] < steps else []
    reached = [point["episodes"] for point in curve if point["success"] >= target]
    return {
        "method": method,
        "seed": seed,
        "digest": config.digest(),
        "before": summary.before["success"],
        "after": summary.after["success"],
        "n": summary.after["proportion"]["n"],
        "iterations": summary.iterations,
        "episodes": episodes,
        "steps": steps,
        "target": target,
        "episodes_to_target": reached[0] if reached else None,
        "elapsed_s": summary.elapsed_s,
        "curve": curve,
    }


def read_results(path: Path) -> list[dict[str, Any]]:
    """Read the lines of finished runs."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def summarize(results: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give a row for each method: means over seeds, and the median of the episodes to the target."""
    for method in dict.fromkeys(result["method"] for result in results):
        own = [result for result in results if result["method"] == method]
        reached = [r["episodes_to_target"] for r in own if r["episodes_to_target"] is not None]
        yield {
            "method": method,
            "seeds": len(own),
            "before": statistics.fmean(r["before"] for r in own),
            "after": statistics.fmean(r["after"] for r in own),
            "after_low": min(r["after"] for r in own),
            "after_high": max(r["after"] for r in own),
            "n": own[0]["n"],
            "steps": statistics.fmean(r["steps"] for r in own),
            "episodes": statistics.fmean(r["episodes"] for r in own),
            "reached": len(reached),
            "episodes_to_target": statistics.median(reached) if reached else None,
        }


def print_table(rows: list[dict[str, Any]], target: float) -> None:
    """Print the table as Markdown."""
    print(f"| method | seeds | before | after (lowest to highest) | gain | steps | episodes to {target:g} |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        needed = row["episodes_to_target"]
        reached = "-" if needed is None else f"{needed:.0f} ({row['reached']} of {row['seeds']})"
        print(
            f"| `{row['method']}` | {row['seeds']} | {row['before']:.2f} | {row['after']:.2f} "
            f"({row['after_low']:.2f} to {row['after_high']:.2f}) | {row['after'] - row['before']:+.2f} | "
            f"{row['steps']:.0f} | {reached} |"
        )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--methods", "--presets", nargs="+", default=["milestone_grpo", "grpo:outcome"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--tasks", nargs="+", default=["ExpenseForm-v0", "ReportExport-v0", "CatalogSearch-v0"]
    )
    parser.add_argument("--steps", type=int, default=20_000, help="environment steps of each run")
    parser.add_argument("--groups", type=int, default=18, help="groups of 6 in an iteration")
    parser.add_argument("--minibatches", type=int, default=4, help="optimiser steps of a pass")
    parser.add_argument("--every", type=int, default=2, help="iterations between validations")
    parser.add_argument("--validation", type=int, default=16, help="validation seeds of each task")
    parser.add_argument("--test", type=int, default=34, help="test seeds of each task")
    parser.add_argument("--first-seed", type=int, default=20_000, help="first test seed")
    parser.add_argument("--target", type=float, default=0.8, help="validation success to be reached")
    parser.add_argument("--learning-rate", type=float, default=4e-4)
    parser.add_argument("--preference-rate", type=float, default=1e-4)
    parser.add_argument("--contexts", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/learning"))
    parser.add_argument("--table", action="store_true", help="train nothing, print what is there")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def main() -> None:
    """Run what is missing of the study, one run after the other, and print all of it."""
    options = parse()
    path = options.out / RESULTS
    for seed in options.seeds:
        for method in () if options.table else options.methods:
            digest = build_study(method, seed, options).digest()
            if any(result["digest"] == digest for result in read_results(path)):
                continue
            result = run_study(method, seed, options)
            with path.open("a") as file:
                file.write(json.dumps(result) + "\n")
    results = read_results(path)
    rows = list(summarize(results))
    if options.json:
        print(json.dumps({"methods": rows, "runs": results}, indent=2))
    else:
        print_table(rows, options.target)


if __name__ == "__main__":
    main()
