"""Which methods learn, and how many episodes they need: in the real browser, with the built-in policy.

`python -m benchmarks.learning [--methods milestone_grpo grpo:outcome ...] [--seeds 0 1 2] [--json] [--markdown FILE]`

Every method trains from the same warm start (the built-in checkpoint) on the same tasks for the same number of environment
steps. A method is a preset or a preference method; after a colon comes a schedule (`dpo:semi_online`) or a way to pay
(`grpo:outcome` sees the goal alone). Each finished run is a line of `OUT/results.jsonl`, and a run that was stopped is
resumed, so a long study can be done in pieces: call it again with the same arguments. `--table` only prints what is there.
`all` stands for every preset, outcome-only GRPO, and every preference method that learns online; `--markdown` says beside
the table which of the claims it shows, and which it does not.

What milestones are worth shows where the goal is rare, so it has a part of its own: `--part credit`, with `--policy RUN` for
a warm start that reaches the goal seldom, and `--until-target`, with which a run ends once it validates that high. Outcome-only
GRPO then also ends after twice the episodes that `milestone_grpo` needed on the same seed: more would decide nothing.
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.report.claims import (
    OURS,
    OUTCOME,
    Claim,
    count_episodes,
    summarize,
    write_study,
    write_table,
)
from benchmarks.report.markdown import describe_machine, write_section
from milepost.milestones import RewardMode
from milepost.training.advantages import Estimator
from milepost.training.config import Config, build_config
from milepost.training.display import make_display
from milepost.training.metrics import read_metrics
from milepost.training.preferences.method import METHODS, Schedule
from milepost.training.presets import PRESETS
from milepost.training.run import Summary
from milepost.training.trainer import train

RESULTS = "results.jsonl"
TINY = "tiny"
"""The built-in checkpoint."""
SINGLE_STEP = {"trpo"}
"""Methods that take one step a batch."""
PLAYED = [name for name, method in METHODS.items() if not method.lagging]
METHOD_NAMES = [*PRESETS, OUTCOME, *PLAYED, "dpo:semi_online", "dpo:offline"]
"""What `all` stands for, so that `dpo` is online DPO; a method that cannot be played online is not in it."""
PARTS = {
    "learning": ("Which methods learn", (Claim.GAIN, Claim.SCHEDULE)),
    "credit": ("What milestones are worth where the goal is rare", (Claim.EPISODES,)),
}
"""The sections of the page, each with its title and the claims that it is about."""


def build_study(method: str, seed: int, options: argparse.Namespace, *, iterations: int = 100_000) -> Config:
    """Make the configuration of one run; all methods share everything but their own parts.

    Args:
        method: a preset or preference method, with what follows its colon.
        seed: of the run.
        options: what all runs share.
        iterations: after which the run is decided, whatever its budget.
    """
    name, _, variant = method.partition(":")
    data: dict[str, dict[str, Any]] = {
        "run": {"seed": seed, "threads": options.threads},
        "tasks": {"ids": options.tasks},
        "policy": {"model": options.policy},
        "rollout": {"group_size": 6, "contexts": options.contexts},
        "imitation": {"episodes": 0},
        "algorithm": {} if name in SINGLE_STEP else {"minibatches": options.minibatches},
        "optim": {"learning_rate": options.learning_rate, "token_budget": 2048},
        "train": {
            "iterations": iterations,
            "budget": f"{options.steps} steps",
            "tasks_per_iteration": options.groups,
            **({"stop_success": options.target} if options.until_target else {}),
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
        if PRESETS[name].algorithm.advantage is Estimator.MILESTONE_LOO:
            data["algorithm"] |= {"gamma": options.gamma, "shrinkage": options.shrinkage}
        if PRESETS[name].group_size:
            # As many episodes an iteration as the others have.
            data["rollout"]["group_size"] = PRESETS[name].group_size
            data["train"]["tasks_per_iteration"] = options.groups * 6 // PRESETS[name].group_size
    elif name in METHODS:
        data["preference"] = {"method": name}
        data["optim"]["learning_rate"] = options.preference_rate
    else:
        raise SystemExit(f"there is no method {name!r}; see milepost algorithms")
    if variant.partition("@")[0] in list(Schedule):
        data["preference"]["schedule"] = variant
        if variant == Schedule.CONTINUOUS:
            data["rollout"]["group_size"] = 2
            data["train"]["tasks_per_iteration"] = options.groups * 3
    elif variant:
        data["reward"] = {"rules": RewardMode(variant).value}
    return build_config(data)


def run_study(method: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train one method on one seed, from where it was stopped, and describe the run."""
    limit = find_limit(method, seed, options)
    config = build_study(method, seed, options, **({"iterations": limit} if limit else {}))
    folder = options.out / f"{method.replace(':', '-')}-{seed}"
    console = Console(stderr=True)
    console.print(f"{method}, seed {seed}: {folder}", markup=False)
    summary = train(config, folder, resume=True, progress=make_display(console))
    return describe_run(method, seed, summary, options)


def find_limit(method: str, seed: int, options: argparse.Namespace) -> int:
    """Give the iterations after which a run of outcome-only GRPO has had twice the episodes of its seed's `milestone_grpo`.

    0 where that decides nothing: for other methods, without `--until-target`, and where `milestone_grpo` has not run yet or has
    not reached the target.
    """
    if method != OUTCOME or not options.until_target:
        return 0
    for result in read_results(options.out / RESULTS):
        if (result["method"], result["seed"]) == (OURS, seed) and is_of(result, options):
            needed = count_episodes(result["curve"], options.target)
            return 0 if needed is None else math.ceil(2 * needed / (6 * options.groups))
    return 0


def describe_study(method: str, options: argparse.Namespace) -> dict[str, Any]:
    """Give what a run has in common with those that it is compared with; results of other studies are left alone."""
    shared = ("tasks", "steps", "groups", "minibatches", "every", "validation", "test", "first_seed")
    rate = options.learning_rate if method.partition(":")[0] in PRESETS else options.preference_rate
    return {
        **{name: getattr(options, name) for name in shared},
        "learning_rate": rate,
        # Only where they are not as they always were, so that results of before still count.
        **({"policy": options.policy} if options.policy != TINY else {}),
        **({"until": options.target} if options.until_target else {}),
        **({"gamma": options.gamma} if options.gamma != 1.0 else {}),
        **({"shrinkage": options.shrinkage} if options.shrinkage else {}),
    }


def describe_run(method: str, seed: int, summary: Summary, options: argparse.Namespace) -> dict[str, Any]:
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
    return {
        "method": method,
        "seed": seed,
        "study": describe_study(method, options),
        "before": summary.before["success"],
        "after": summary.after["success"],
        "n": summary.after["proportion"]["n"],
        "iterations": summary.iterations,
        "episodes": episodes,
        "steps": steps,
        "elapsed_s": summary.elapsed_s,
        "curve": curve,
    }


def read_results(path: Path) -> list[dict[str, Any]]:
    """Read the lines of finished runs."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def is_of(result: Mapping[str, Any], options: argparse.Namespace) -> bool:
    """Say whether a result belongs to the study that these options describe."""
    return bool(result["study"] == describe_study(result["method"], options))


def describe_command(words: list[str]) -> str:
    """Give the command that makes the study, without where its results are kept and shown."""
    words = [word for word in words if word not in ("--table", "--markdown") and not word.endswith(".md")]
    if "--out" in words:
        del words[words.index("--out") : words.index("--out") + 2]
    return " ".join(["python -m benchmarks.learning", *words])


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
    parser.add_argument("--until-target", action="store_true", help="end a run that validates that high")
    parser.add_argument("--policy", default=TINY, help="where all begin: `tiny`, or the path of a run")
    parser.add_argument("--learning-rate", type=float, default=4e-4)
    parser.add_argument("--preference-rate", type=float, default=1e-4)
    parser.add_argument("--gamma", type=float, default=1.0, help="discount of milestone_grpo")
    parser.add_argument("--shrinkage", type=float, default=0.0, help="of milestone_grpo's baseline")
    parser.add_argument("--contexts", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/learning"))
    parser.add_argument("--table", action="store_true", help="train nothing, show what is there")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--part", choices=PARTS, default="learning", help="section that is written")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the section of this benchmark there"
    )
    return parser.parse_args(arguments)


def main() -> None:
    """Run what is missing of the study, one run after the other, and print all of it."""
    options = parse()
    methods = METHOD_NAMES if options.methods == ["all"] else options.methods
    path = options.out / RESULTS
    for seed in options.seeds:
        for method in () if options.table else methods:
            known = [r for r in read_results(path) if (r["method"], r["seed"]) == (method, seed)]
            if not any(is_of(result, options) for result in known):
                result = run_study(method, seed, options)
                with path.open("a") as file:
                    file.write(json.dumps(result) + "\n")
    places = {name: place for place, name in enumerate(methods)}
    results = sorted(
        (result for result in read_results(path) if is_of(result, options)),
        key=lambda one: (places.get(one["method"], len(places)), one["seed"]),
    )
    if options.markdown:
        title, claims = PARTS[options.part]
        text = write_study(
            results,
            options,
            command=describe_command(sys.argv[1:]),
            machine=describe_machine(),
            every_method=METHOD_NAMES,
            claims=claims,
        )
        write_section(options.markdown, options.part, title, text)
    rows = list(summarize(results, options.target))
    if options.json:
        print(json.dumps({"methods": rows, "runs": results}, indent=2))
    else:
        print(write_table(rows, options.target))


if __name__ == "__main__":
    main()
