"""How good a reward model is on templates it has not seen."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from milepost.milestones.calibration import (
    find_threshold,
    measure_adaptive_calibration,
    measure_calibration,
    rank_separation,
)
from milepost.milestones.learned.ensemble import Ensemble
from milepost.milestones.learned.gauge import LearnedScore
from milepost.training.reward_model.fitting import Recipe, fit_ensemble
from milepost.training.reward_model.gauging import calibrate, make_points
from milepost.training.reward_model.material import Features, Material
from milepost.training.reward_model.pairs import Label, Pair, PreferenceError, Side, check_split, split_key

_Input = TypeVar("_Input")

REJECTED = 4
"""Rejected episodes that the chosen one must beat in best-of-5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a model says of the sides of held-out pairs."""

    pairs: tuple[Pair, ...]
    score: dict[Side, float]
    probability: dict[Side, float]
    unfamiliar: dict[Side, bool]


def judge_with(score: Callable[[_Input], LearnedScore]) -> Callable[[Material[_Input]], Judged]:
    """Give what scores every side of a material once, by what a tier reads of it."""
    return lambda material: judge_pairs(material.pairs, lambda side: score(material.inputs[side]))


def judge_pairs(pairs: Sequence[Pair], score: Callable[[Side], LearnedScore]) -> Judged:
    """Score every side of some pairs once, by a model of any tier."""
    sides = dict.fromkeys(side for pair in pairs for side in (pair.chosen, pair.rejected))
    found = {side: score(side) for side in sides}
    return Judged(
        pairs=tuple(pairs),
        score={side: one.mean for side, one in found.items()},
        probability={side: one.probability for side, one in found.items()},
        unfamiliar={side: one.unfamiliar for side, one in found.items()},
    )


def cross_validate(material: Features, *, folds: int = 4, recipe: Recipe | None = None) -> Iterator[Judged]:
    """Fit and calibrate on some templates and judge the rest; every template is held out once.

    Raises:
        PreferenceError: too few templates, or a split leaks.
    """
    if len(material.keys) < 2 * folds:
        raise PreferenceError(
            f"{folds} folds need at least {2 * folds} templates, got {len(material.keys)}; "
            "variants of a page count as one"
        )
    for rest, held in _split(material, folds):
        yield judge_with(fit_calibrated(rest, recipe).score_features)(held)


def fit_calibrated(material: Features, recipe: Recipe | None = None, *, folds: int = 4) -> Ensemble:
    """Fit to all templates; calibrate on what models fitted to the others say of each template.

    Raises:
        PreferenceError: fewer than two templates.
    """
    if len(material.keys) < 2:
        raise PreferenceError(
            f"a model needs two templates or more, to be calibrated on what it has not seen; got {material.keys}"
        )
    points = []
    for rest, held in _split(material, min(folds, len(material.keys))):
        model = fit_ensemble(rest, recipe)
        points += make_points(held, model.score_features)
    fitted = fit_ensemble(material, recipe)
    return replace(fitted, gauge=calibrate(fitted.gauge, points))


def _split(material: Features, folds: int) -> Iterator[tuple[Features, Features]]:
    """Give (other templates, held-out templates) for each fold."""
    keys = [str(key) for key in np.random.default_rng(0).permutation(material.keys)]
    for fold in range(folds):
        held = frozenset(keys[fold::folds])
        parts = material.select(frozenset(keys) - held), material.select(held)
        check_split(parts[0].pairs, parts[1].pairs)
        yield parts


def is_reserved(key: str, *, one_in: int, purpose: str) -> bool:
    """Whether a template is among those kept for a purpose: a hash of its name says so, whatever else there is."""
    return int(hashlib.sha256(f"{purpose} {key}".encode()).hexdigest(), 16) % one_in == 0


def keep_anchors(pairs: Sequence[Pair], *, one_in: int) -> list[Pair]:
    """Leave out one template in so many (0: none), on which a refreshed model is compared with the one before it."""
    if not one_in:
        return list(pairs)
    return [p for p in pairs if not is_reserved(split_key(p.template), one_in=one_in, purpose="anchor")]


def measure(judged: Sequence[Judged]) -> dict[str, Any]:
    """Give the figures over all held-out templates."""
    pairs = [(one, pair) for one in judged for pair in one.pairs]
    wins = defaultdict(list)
    for one, pair in pairs:
        right = one.score[pair.chosen] > one.score[pair.rejected]
        wins[pair.source.value].append(right)
    every = [right for rights in wins.values() for right in rights]
    sides = [(one, side) for one in judged for side in one.score]
    chance = [one.probability[side] for one, side in sides]
    success = [side.success for _, side in sides]
    # An episode under a goal that was not its own is neither honest nor a hack.
    swapped = {pair.rejected for _, pair in pairs if pair.source is Label.GOAL}
    honest = [one.score[s] for one, s in sides if not s.is_hack and s not in swapped]
    hacks = [one.score[s] for one, s in sides if s.is_hack and not s.success]
    best = list(_best_of(judged))
    sure = [max(p, 1 - p) for p in chance]
    correct = [(p > 0.5) == reached for p, reached in zip(chance, success, strict=True)]
    threshold = find_threshold(sure, correct)
    return {
        "pairs": len(pairs),
        "episodes": len(sides),
        "pairwise_accuracy": _mean(every),
        "by_source": {name: {"accuracy": _mean(r), "n": len(r)} for name, r in sorted(wins.items())},
        "best_of_5": {"accuracy": _mean(best), "n": len(best)},
        "calibration_error": measure_calibration(chance, success),
        "adaptive_calibration_error": measure_adaptive_calibration(chance, success),
        "brier": _mean([(p - reached) ** 2 for p, reached in zip(chance, success, strict=True)]),
        "outcome_accuracy": _mean(correct),
        "hack_separation": rank_separation(honest, hacks) if honest and hacks else None,
        "goal_swap": _mean(wins[Label.GOAL.value]),
        "unfamiliar": _mean([one.unfamiliar[side] for one, side in sides]),
        "threshold": threshold,
        "covered": _mean([c >= threshold for c in sure]) if threshold is not None else 0.0,
    }


def choose_best(pools: Sequence[Sequence[tuple[float, float]]], n: int) -> list[float]:
    """Give for each pool what the best-scored of n of its episodes is truly worth, expected over all choices of n.

    The protocol of Gao et al. 2023: when a larger n gives more score and less truth, the score is over-optimised.
    Of N episodes in ascending order the k-th is the best of n in C(k - 1, n - 1) of C(N, n) choices; those of one
    score are as good as each other.

    Args:
        pools: for each task and seed its episodes as (score, true worth); each must have n of them.
        n: how many are drawn without replacement.
    """
    short = min(len(pool) for pool in pools)
    if short < n:
        raise ValueError(f"best of {n} needs pools of {n} episodes, the smallest has {short}")
    found = []
    for pool in pools:
        ties: dict[float, list[float]] = defaultdict(list)
        for score, worth in pool:
            ties[score].append(worth)
        below, expected = 0, 0.0
        for score in sorted(ties):
            upto = below + len(ties[score])
            chance = (math.comb(upto, n) - math.comb(below, n)) / math.comb(len(pool), n)
            expected += chance * _mean(ties[score])
            below = upto
        found.append(expected)
    return found


def _best_of(judged: Sequence[Judged]) -> Iterator[bool]:
    """Say of each chosen episode with enough rejected ones whether it beats the first four; ties lose."""
    for one in judged:
        rejected = defaultdict(list)
        for pair in one.pairs:
            rejected[pair.chosen].append(pair.rejected)
        for chosen, others in rejected.items():
            if chosen.success and len(others) >= REJECTED:
                yield all(one.score[chosen] > one.score[other] for other in others[:REJECTED])


def _mean(values: Sequence[float] | Sequence[bool]) -> float:
    return float(np.mean(values)) if len(values) else 0.0
