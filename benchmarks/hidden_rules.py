"""Learning with the learned reward alone: the rules are hidden from training, and say afterwards what was reached.

    milepost preferences collect PLAYS --task ... --seeds 3
    python -m benchmarks.hidden_rules PLAYS --out OUT [--iterations 10] [--set KEY=VALUE ...] [--json]

Two runs of `configs/first-light.toml` from the same start, on the same tasks and seeds: `rules` is paid by milestones, as always;
`learned` has `rules = false` and is paid p(success) of a small reward model that was fitted to PLAYS without the templates that
are learnt here. Then rules alone measure both policies, and the start, on the same test seeds; and the reward model says what it
believes of the same episodes of its own policy, to see whether it was fooled. Finished parts are lines of `OUT/results.jsonl`, and
a run that was stopped goes on: call it again with the same arguments.
"""

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from milepost.training.config import Config, RewardSection, load_config
from milepost.training.contest import measure_policy
from milepost.training.display import make_display
from milepost.training.metrics import read_metrics
from milepost.training.reward_model.material import load_material
from milepost.training.reward_model.measurement import fit_calibrated
from milepost.training.reward_model.pairs import export_pairs, split_key
from milepost.training.trainer import train

RESULTS = "results.jsonl"
WANTED = 0.8
"""Part of the success with rules that learning without them should reach."""


def fit_model(plays: Path, path: Path, task_ids: list[str]) -> int:
    """Fit a reward model that has seen none of the tasks, unless it is there; give its number of templates."""
    hidden = {split_key(task_id) for task_id in task_ids}
    pairs = [pair for pair in export_pairs(plays) if split_key(pair.template) not in hidden]
    model = fit_calibrated(load_material(plays, pairs))
    model.save(path)
    return len(model.templates)


def build_arm(arm: str, model: Path, options: argparse.Namespace) -> Config:
    """Make the configuration of a run; both share everything but who pays."""
    overrides = [
        f"run.seed={options.seed}",
        f"train.iterations={options.iterations}",
        "train.budget=100000 minutes",
        "eval.every=1",
        "eval.episodes=[0, 1]",
        *options.set,
    ]
    if arm == "learned":
        # Every score counts: a policy that is worth little must be told so too.
        overrides += ["reward.rules=off", f'reward.learned="{model}"', "reward.confidence=[0.0, 0.5]"]
    return load_config(Path("configs/first-light.toml"), overrides)


def measure_success(
    policy: str, config: Config, reward: RewardSection, episodes: int, first: int
) -> dict[str, Any]:
    """Measure a policy on test seeds, greedily."""
    score = asyncio.run(
        measure_policy(
            policy,
            config.tasks.ids,
            split="test",
            episodes=episodes,
            first_seed=first,
            contexts=4,
            reward=reward,
        )
    )
    record = score.to_record()
    return {
        "success": record["proportion"],
        "tasks": {name: task["success"] for name, task in record["tasks"].items()},
        "unscored": record["unscored"],
    }


def describe_run(run: Path) -> dict[str, Any]:
    """Give what the run's tiers said of its training episodes, iteration by iteration."""
    records = [record for record in read_metrics(run) if record["kind"] == "iteration"]
    return {
        "iterations": len(records),
        "episodes": sum(record["proportion"]["n"] + record["unscored"] for record in records),
        "unscored": sum(record["unscored"] for record in records),
        "believed": [round(record["success"], 3) for record in records],
    }


def run_part(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Do one part of the study."""
    model = options.out / "phi.npz"
    arms = {arm: build_arm(arm, model, options) for arm in ("rules", "learned")}
    kind, _, arm = name.partition(" ")
    if kind == "fit":
        return {"templates": fit_model(options.plays, model, arms["rules"].tasks.ids)}
    run = options.out / arm
    if kind == "train":
        train(arms[arm], run, resume=True, progress=make_display(Console(stderr=True)))
        return describe_run(run)
    policy = arms["rules"].policy.model if arm == "start" else str(run)
    reward = arms["learned"].reward if kind == "believe" else RewardSection()
    return measure_success(policy, arms["rules"], reward, options.episodes, options.first_seed)


PARTS = (
    "fit",
    "train learned",
    "train rules",
    "measure start",
    "measure learned",
    "measure rules",
    "believe learned",
)


def run_study(options: argparse.Namespace) -> dict[str, Any]:
    """Do what is not done yet."""
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / RESULTS
    lines = path.read_text().splitlines() if path.exists() else []
    found = {record["part"]: record["found"] for record in map(json.loads, lines)}
    for name in PARTS:
        if name not in found:
            found[name] = run_part(name, options)
            with path.open("a") as file:
                file.write(json.dumps({"part": name, "found": found[name]}) + "\n")
    with_rules, without = (found[f"measure {arm}"]["success"]["value"] for arm in ("rules", "learned"))
    return {**found, "part_of_rules": without / with_rules if with_rules else None, "wanted": WANTED}


def describe(found: dict[str, Any]) -> str:
    """Give the table."""
    lines = [f"{'policy':<24}{'success':>8}  {'95 %':<14}{'n':>4}"]
    for label, part in (
        ("start", "measure start"),
        ("paid by rules", "measure rules"),
        ("paid by R_phi alone", "measure learned"),
        ("  as R_phi believes", "believe learned"),
    ):
        one = found[part]["success"]
        lines.append(f"{label:<24}{one['value']:>8.2f}  {one['low']:.2f} to {one['high']:.2f}  {one['n']:>4}")
    runs = [found[f"train {arm}"] for arm in ("rules", "learned")]
    lines.append(
        f"iterations {runs[0]['iterations']} and {runs[1]['iterations']}, episodes {runs[0]['episodes']} and "
        f"{runs[1]['episodes']}, without a score {runs[0]['unscored']} and {runs[1]['unscored']}"
    )
    lines.append(
        f"R_phi alone reaches {found['part_of_rules']:.2f} of the success with rules, wanted {WANTED}"
    )
    return "\n".join(lines)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("plays", type=Path, help="a run with episodes of `milepost preferences collect`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--episodes", type=int, default=34, help="test seeds of each task")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], help="as in `milepost train`, for both runs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = run_study(options)
    print(json.dumps(found, indent=2) if options.json else describe(found))


if __name__ == "__main__":
    main()
