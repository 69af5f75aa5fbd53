"""Advantages of whole outcomes: how a trajectory's return compares with those of its group.

Pure functions over the returns of one group; every turn of a trajectory gets the same advantage.
"""

import math
import statistics
from collections.abc import Hashable, Mapping, Sequence

from milepost.training.returns import returns_to_go

STD_EPSILON = 1e-4
"""Added to a standard deviation before dividing by it, as TRL does."""

GIGPO_EPSILON = 1e-6
"""The same in GiGPO."""


def deviation(values: Sequence[float]) -> float:
    """Compute the standard deviation with Bessel's correction, 0 for fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def grpo(returns_G: Sequence[float]) -> list[float]:
    """Compute r_i - mean(r), 0 for a lone member (GRPO without its division, as Dr. GRPO).

    The mean holds the own return, so the gradient is (G - 1) / G of the exact one.
    """
    if len(returns_G) < 2:
        return [0.0] * len(returns_G)
    mean = statistics.fmean(returns_G)
    return [value - mean for value in returns_G]


def rloo(returns_G: Sequence[float]) -> list[float]:
    """Compute r_i - mean of the others, 0 for a lone member (Ahmadian et al. 2024); unbiased."""
    if len(returns_G) < 2:
        return [0.0] * len(returns_G)
    total = sum(returns_G)
    return [value - (total - value) / (len(returns_G) - 1) for value in returns_G]


def standardize(values: Sequence[float]) -> list[float]:
    """Shift and scale to mean 0 and population deviation 1; zeros where all values are equal.

    Two different values become exactly 1 and -1.
    """
    if not values:
        return []
    mean, spread = statistics.fmean(values), statistics.pstdev(values)
    return [(value - mean) / spread if spread else 0.0 for value in values]


def normalize_then_sum(
    rewards_GK: Sequence[Sequence[float]], weights_K: Sequence[float] | None = None
) -> list[float]:
    """Standardise each of K rewards inside the group before they are summed, shape (G,) (GDPO 2026).

    z_k = (r_k - mean) / (deviation + 1e-4) with Bessel's correction; a reward that varies little then counts as much
    as one that varies widely. A reward that is not a number is left out; a member without any gives NaN.
    """
    kinds = len(rewards_GK[0]) if rewards_GK else 0
    weights_K = weights_K if weights_K is not None else [1.0] * kinds
    sums_G = [math.nan] * len(rewards_GK)
    for k, weight in enumerate(weights_K):
        known = [row[k] for row in rewards_GK if not math.isnan(row[k])]
        mean, spread = (statistics.fmean(known), deviation(known)) if known else (0.0, 0.0)
        for i, row in enumerate(rewards_GK):
            if math.isnan(row[k]):
                continue
            score = (row[k] - mean) / (spread + STD_EPSILON) if len(known) > 1 else 0.0
            sums_G[i] = weight * score + (0.0 if math.isnan(sums_G[i]) else sums_G[i])
    return sums_G


def normalize_batch(values: Sequence[float]) -> list[float]:
    """Compute (x - mean) / (deviation + 1e-4) over a batch; what is not a number becomes 0."""
    known = [value for value in values if not math.isnan(value)]
    if len(known) < 2:
        return [0.0] * len(values)
    mean, spread = statistics.fmean(known), deviation(known)
    return [0.0 if math.isnan(value) else (value - mean) / (spread + STD_EPSILON) for value in values]


def grpo_process(rewards_GT: Sequence[Sequence[float]]) -> list[list[float]]:
    """Compute GRPO's process supervision, ragged (G, T) (Shao et al. 2024, section 4.1.3).

    Rewards of all turns of all members are standardised together, and a turn's advantage is the sum of its own and
    all later ones. Biased: what is left to come holds one mean for every turn that is left, so where the mean is
    above 0 it pays to go on, and where it is below 0 it pays to stop.
    """
    flat = standardize([reward for rewards_T in rewards_GT for reward in rewards_T])
    found: list[list[float]] = []
    at = 0
    for rewards_T in rewards_GT:
        found.append(returns_to_go(flat[at : at + len(rewards_T)]))
        at += len(rewards_T)
    return found


def gigpo(
    rewards_GT: Sequence[Sequence[float]],
    anchors_GT: Sequence[Sequence[Hashable]],
    *,
    gamma: float = 0.95,
    step_weight: float = 1.0,
    over_rows: bool = True,
    divide: bool = False,
) -> list[list[float]]:
    """Compute an advantage of the episode plus one of the step, ragged (G, T) (Feng et al. 2025, GiGPO).

    A = (S_i - mean S) + w (R_t - mean of R over all turns of the group with the same anchor).

    Args:
        rewards_GT: rewards of each member's turns.
        anchors_GT: what the state was before each turn: a hash of the observation, or the milestones reached.
        gamma: discount of the step returns R_t; the episode's return S_i has none.
        step_weight: the w.
        over_rows: the episode's mean runs over turns, as in the authors' code, so long episodes weigh more; otherwise
            over trajectories.
        divide: divide both parts by their deviations, plus 1e-6.
    """
    returns_GT = [returns_to_go(rewards_T, gamma=gamma) for rewards_T in rewards_GT]
    totals_G = [sum(rewards_T) for rewards_T in rewards_GT]
    copies = [
        total
        for total, rewards_T in zip(totals_G, rewards_GT, strict=True)
        for _ in (rewards_T if over_rows else [0])
    ]
    places: dict[Hashable, list[float]] = {}
    for anchors_T, returns_T in zip(anchors_GT, returns_GT, strict=True):
        for anchor, value in zip(anchors_T, returns_T, strict=True):
            places.setdefault(anchor, []).append(value)
    steps = {anchor: _center(values, divide) for anchor, values in places.items()}
    # One turn in all: its return is its own, as in the authors' code.
    mean, spread = _center(copies, divide) if len(copies) > 1 else (0.0, 1.0)
    found: list[list[float]] = []
    for total, anchors_T, returns_T in zip(totals_G, anchors_GT, returns_GT, strict=True):
        episode = (total - mean) / spread
        found.append(
            [
                episode + step_weight * (value - steps[anchor][0]) / steps[anchor][1]
                for anchor, value in zip(anchors_T, returns_T, strict=True)
            ]
        )
    return found


def _center(values: Sequence[float], divide: bool) -> tuple[float, float]:
    """Give a mean, and what to divide by."""
    several = divide and len(values) > 1
    return statistics.fmean(values), deviation(values) + GIGPO_EPSILON if several else 1.0


def soft_overlong(length: int, *, longest: int, cache: int) -> float:
    """Compute DAPO's soft punishment of length (Yu et al. 2025, equation 13): 0, then falling to -1.

    Args:
        length: tokens generated.
        longest: where the punishment is whole.
        cache: over how many tokens it grows.

    Raises:
        ValueError: the cache is not between 1 and the longest.
    """
    if not 0 < cache <= longest:
        raise ValueError(f"cache must be between 1 and {longest} tokens, got {cache}")
    return -min(1.0, max(0.0, (length - (longest - cache)) / cache))


def length_penalty(length: int, *, longest: int, coef: float) -> float:
    """Compute -coef min(1, length / longest): what a completion's length costs."""
    return -coef * min(1.0, length / longest)


def sum_parts(parts_G: Sequence[Mapping[str, float]]) -> list[list[float]]:
    """Lay named rewards of a group's members out as (G, K), a reward that did not come as 0."""
    names = sorted({name for parts in parts_G for name in parts})
    return [[parts.get(name, 0.0) for name in names] for parts in parts_G]
