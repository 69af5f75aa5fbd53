"""How good a learned reward model is on templates it has not seen, and whether choosing by it goes wrong.

    milepost preferences collect RUN --task ... --seeds 3
    milepost preferences collect POOLS --task ... --seeds 3 --first-seed 100 --repeats 8
    python -m benchmarks.reward_model RUN --pools POOLS [--without 0] [--tier text] [--development] [--json]

One template in three is held out, by a hash of its name; variants of a page count as one template. The model is fitted
and calibrated on the others and measured on those held out. `--development` does not look at them: it cross-validates
on the others, which is what choices are made on. No rule, reward or task id is an input. Intervals are 95 %, by drawing
held-out templates with replacement. One fit says little of the best of 64: `--without` K, 0 to 5, leaves a sixth of the
templates to learn from out of the fit, and the mean of the six is steadier.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from milepost.milestones.learned.ensemble import RewardModel
from milepost.milestones.learned.gauge import LearnedScore
from milepost.training.records import EPISODES_FOLDER, list_episodes
from milepost.training.reward_model.material import load_material, load_texts
from milepost.training.reward_model.measurement import (
    Judged,
    choose_best,
    cross_validate,
    fit_calibrated,
    is_reserved,
    judge_pairs,
    measure,
)
from milepost.training.reward_model.pairs import Pair, Side, export_pairs, read_side, read_summary, split_key
from milepost.training.reward_model.text_fitting import TextRecipe, fit_text

WANTED = {
    "pairwise_accuracy": ">= 0.85",
    "best_of_5": ">= 0.70",
    "goal_swap": ">= 0.95",
    "hack_separation": ">= 0.95",
    "calibration_error": "<= 0.05",
}
SIZES = (1, 2, 4, 8, 16, 32, 64)
RESAMPLES = 200
CAUTION = 2.0
PARTS = 6


def is_held_out(template: str) -> bool:
    """Whether figures are reported on a template, and no choice is made on it."""
    return is_reserved(split_key(template), one_in=3, purpose="held out")


def leave_out(pairs: Sequence[Pair], part: int) -> list[Pair]:
    """Give the pairs of all templates but every sixth in a fixed order, beginning with the part's."""
    keys = sorted({split_key(pair.template) for pair in pairs})
    gone = {str(key) for key in np.random.default_rng(0).permutation(keys)[part::PARTS]}
    return [pair for pair in pairs if split_key(pair.template) not in gone]


def fit(options: argparse.Namespace, pairs: Sequence[Pair]) -> RewardModel:
    """Fit and calibrate a model of a tier."""
    if options.tier == "text":
        recipe = TextRecipe(epochs=options.epochs, max_tokens=options.tokens)
        return fit_text(load_texts(options.run, pairs), recipe)
    return fit_calibrated(load_material(options.run, pairs))


def read_figures(found: dict[str, Any]) -> dict[str, float]:
    """Give the figures that something is wanted of."""
    flat = {**found, "best_of_5": found["best_of_5"]["accuracy"]}
    return {name: flat[name] for name in WANTED if flat[name] is not None}


def find_intervals(judged: Judged, rng: np.random.Generator) -> dict[str, list[float]]:
    """Give 95 % intervals of the figures over draws of templates."""
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in judged.pairs:
        groups[split_key(pair.template)].append(pair)

    def score(side: Side) -> LearnedScore:
        return LearnedScore(
            mean=judged.score[side],
            spread=0.0,
            unfamiliar=judged.unfamiliar[side],
            probability=judged.probability[side],
        )

    parts = [judge_pairs(pairs, score) for pairs in groups.values()]
    drawn: dict[str, list[float]] = defaultdict(list)
    for _ in range(RESAMPLES):
        picked = [parts[n] for n in rng.integers(0, len(parts), len(parts))]
        for name, value in read_figures(measure(picked)).items():
            drawn[name].append(value)
    return {name: [float(q) for q in np.quantile(values, (0.025, 0.975))] for name, values in drawn.items()}


def measure_latency(model: RewardModel, run: Path, pairs: Sequence[Pair]) -> dict[str, float]:
    """Give the processor milliseconds for one transition, features included, episodes already read."""
    episodes = [read_side(run, pair.chosen) for pair in pairs[::10]]
    start = time.process_time()
    for episode in episodes:
        model.score_episode(episode)
    steps = sum(len(episode) for episode in episodes)
    return {"cpu_ms": (time.process_time() - start) * 1e3 / steps, "n": steps}


def measure_optimisation(
    pools: Path, score: Callable[[Side], LearnedScore], rng: np.random.Generator
) -> dict[str, Any]:
    """Give the true success of the best of n episodes of held-out templates, n up to 64.

    Best is the highest mean; more cautiously, the highest mean less CAUTION spreads (Coste et al. 2024); or the
    highest probability, which is what a policy is paid. Intervals are 95 %, by drawing templates with replacement.
    """
    groups: dict[str, list[tuple[LearnedScore, bool]]] = defaultdict(list)
    keys: dict[str, str] = {}
    for folder in list_episodes(pools / EPISODES_FOLDER):
        episode = read_summary(folder)
        if is_held_out(episode.template):
            groups[episode.prompt].append((score(episode.side()), episode.success))
            keys[episode.prompt] = split_key(episode.template)
    prompts = [prompt for prompt, pool in groups.items() if len(pool) >= SIZES[-1]]
    full = [groups[prompt] for prompt in prompts]
    weights = draw_groups([keys[prompt] for prompt in prompts], 2000, rng)
    choices: dict[str, Callable[[LearnedScore], float]] = {
        "mean": lambda one: one.mean,
        "cautious": lambda one: one.mean - CAUTION * one.spread,
        "probability": lambda one: one.probability,
    }
    curves = {}
    for name, value in choices.items():
        valued = [[(value(one), float(success)) for one, success in pool] for pool in full]
        curves[name] = describe_curve({n: choose_best(valued, n) for n in SIZES}, weights)
    return {"prompts": len(full), "episodes": sum(len(pool) for pool in full), **curves}


def draw_groups(names: Sequence[str], draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw groups with replacement; give how much each of their members counts in each draw, shape (draws, members).

    Args:
        names: the group of each member.
        draws: how many.
        rng: what is drawn from.
    """
    groups, place = np.unique(np.array(names), return_inverse=True)
    drawn = rng.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), draws)[:, place].astype(float)
    weights: NDArray[np.float64] = drawn / drawn.sum(1, keepdims=True)
    return weights


def describe_curve(curve: dict[int, list[float]], weights: NDArray[np.float64]) -> dict[str, Any]:
    """Give the success at each n with its interval, and what the largest n loses against the n that does best.

    Args:
        curve: for each n the success of each prompt.
        weights: how much each prompt counts in each draw, shape (draws, prompts).
    """
    values = {n: np.array(found) for n, found in curve.items()}
    top = max(values, key=lambda n: float(values[n].mean()))
    lost = values[top] - values[SIZES[-1]]

    def describe(found: NDArray[np.float64]) -> list[float]:
        low, high = np.quantile(weights @ found, (0.025, 0.975))
        return [float(found.mean()), float(low), float(high)]

    return {
        "success": {n: describe(found) for n, found in values.items()},
        "top": top,
        "lost": describe(lost),
    }


def run_benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """Fit and measure."""
    pairs = export_pairs(options.run)
    known = [pair for pair in pairs if not is_held_out(pair.template)]
    held = [pair for pair in pairs if is_held_out(pair.template)]
    if options.development:
        return {"development": measure(list(cross_validate(load_material(options.run, known))))}
    if options.without is not None:
        known = leave_out(known, options.without)
    start, processor = time.perf_counter(), time.process_time()
    model = fit(options, known)
    training = {"seconds": time.perf_counter() - start, "cpu_s": time.process_time() - processor}

    def score(side: Side) -> LearnedScore:
        return model.score_episode(read_side(options.run, side))

    rng = np.random.default_rng(0)
    judged = judge_pairs([p for p in held if len(read_side(options.run, p.rejected))], score)
    found = {
        "tier": options.tier,
        "templates": {
            "fitted": len({split_key(p.template) for p in known}),
            "held_out": len({split_key(p.template) for p in held}),
        },
        "training": training,
        "transition": measure_latency(model, options.run, held),
        "held_out": measure([judged]),
        "intervals": find_intervals(judged, rng),
    }
    if options.pools is not None:
        found["best_of_n"] = measure_optimisation(
            options.pools, lambda side: model.score_episode(read_side(options.pools, side)), rng
        )
    return found


def write_interval(found: Sequence[float]) -> str:
    """Give a value and its interval."""
    value, low, high = found
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def describe(found: dict[str, Any]) -> str:
    """Give the table."""
    figures = read_figures(found["held_out"])
    lines = [
        f"{found['tier']} tier, {found['templates']['fitted']} templates fitted, {found['templates']['held_out']} held out: "
        f"{found['held_out']['pairs']} pairs of {found['held_out']['episodes']} sides",
        f"{'figure':<20}{'reached':>8}  {'95 %':<16}wanted",
    ]
    for name, value in figures.items():
        low, high = found["intervals"][name]
        lines.append(f"{name:<20}{value:>8.3f}  {low:.3f} to {high:.3f}  {WANTED[name]}")
    others = ("adaptive_calibration_error", "brier", "outcome_accuracy")
    lines.append(", ".join(f"{name} {found['held_out'][name]:.3f}" for name in others))
    lines.append(f"{'ms a transition':<20}{found['transition']['cpu_ms']:>8.2f}  {'':<16}<= 2")
    lines.append(f"{'training, cpu s':<20}{found['training']['cpu_s']:>8.1f}  {'':<16}<= 300 on two cores")
    if "best_of_n" in found:
        curve = found["best_of_n"]
        lines.append(
            f"best of n, {curve['prompts']} prompts, {curve['episodes']} episodes: true success, chosen by"
        )
        names = ("mean", "cautious", "probability")
        lines.append("    " + "".join(f"  {name:<23}" for name in names))
        lines += [
            f"{n:>4}" + "".join(f"  {write_interval(curve[name]['success'][n]):<23}" for name in names)
            for n in SIZES
        ]
        lines.append(
            "lost" + "".join(f"  {write_interval(curve[name]['lost']):<23}" for name in names) + "at 64"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--pools", type=Path, help="a run with 64 episodes for each task and seed")
    parser.add_argument("--without", type=int, choices=range(PARTS), help="a sixth that is not fitted to")
    parser.add_argument("--tier", choices=("small", "text"), default="small")
    parser.add_argument("--epochs", type=int, default=2, help="of the text tier")
    parser.add_argument("--tokens", type=int, default=256, help="that the text tier reads of a step, at most")
    parser.add_argument(
        "--development", action="store_true", help="cross-validate without the held-out templates"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = run_benchmark(options)
    print(json.dumps(found, indent=2) if options.json or options.development else describe(found))


if __name__ == "__main__":
    main()
