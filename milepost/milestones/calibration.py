"""From confidences to thresholds that keep a promise, and how well a probability means what it says."""

import math
from collections.abc import Sequence

MIN_POINTS = 30
"""Fewest calibration points above a threshold on which anything is promised."""

GRID = (*(1 - i / 1000 for i in range(10)), *(1 - i / 100 for i in range(1, 51)))
"""Thresholds that are tested, from the highest down."""


def bound_error(errors: int, trials: int, delta: float) -> float:
    """Give the upper confidence bound of an error rate: Clopper and Pearson 1934, one-sided, level 1 - delta.

    Returns:
        The largest rate at which seeing `errors` or fewer still has probability delta; 1 without trials.
    """
    if errors >= trials:
        return 1.0
    low, high = errors / trials, 1.0
    for _ in range(60):
        rate = (low + high) / 2
        if _chance_of_at_most(errors, trials, rate) > delta:
            low = rate
        else:
            high = rate
    return high


def _chance_of_at_most(errors: int, trials: int, rate: float) -> float:
    logs = [
        math.lgamma(trials + 1)
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + k * math.log(rate)
        + (trials - k) * math.log1p(-rate)
        if 0 < rate < 1
        else (0.0 if (k == 0) == (rate == 0) else -math.inf)
        for k in range(errors + 1)
    ]
    return math.fsum(math.exp(value) for value in logs)


def find_threshold(
    confidences: Sequence[float],
    correct: Sequence[bool],
    *,
    risk: float = 0.02,
    delta: float = 0.1,
    grid: Sequence[float] = GRID,
    min_points: int = MIN_POINTS,
) -> float | None:
    """Find the lowest confidence at which the error rate stays below `risk`, with probability 1 - delta.

    A fixed-sequence test (Jung et al., *Trust or Escalate*, 2024): thresholds are tested from the highest
    down, and the first that fails ends the search, so that no correction for many tests is needed. Thresholds
    with too few points above them are passed over.

    Args:
        confidences: shape (points,), on data that nothing was fitted to.
        correct: whether each was right, same shape.
        risk: error rate that may not be passed.
        delta: probability that the promise is broken.
        grid: thresholds, from the highest down.
        min_points: fewest points on which a threshold is tested.

    Returns:
        The threshold, or None when none keeps the promise: then the tier must abstain always.
    """
    found = None
    for threshold in grid:
        kept = [
            right for confidence, right in zip(confidences, correct, strict=True) if confidence >= threshold
        ]
        if len(kept) < min_points:
            continue
        if bound_error(len(kept) - sum(kept), len(kept), delta) > risk:
            break
        found = threshold
    return found


def measure_calibration(probabilities: Sequence[float], outcomes: Sequence[bool], *, bins: int = 15) -> float:
    """Give the expected calibration error: equal-width bins, weighted by count (Guo et al. 2017, equation 3)."""
    if not probabilities:
        return 0.0
    members: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for probability, outcome in zip(probabilities, outcomes, strict=True):
        members[min(bins - 1, int(probability * bins))].append((probability, outcome))
    gaps = (abs(sum(p for p, _ in m) - sum(o for _, o in m)) for m in members if m)
    return sum(gaps) / len(probabilities)


def measure_adaptive_calibration(
    probabilities: Sequence[float], outcomes: Sequence[bool], *, bins: int = 15
) -> float:
    """Give the calibration error over bins of equal count (Nguyen and O'Connor 2015): none is nearly empty.

    Cases of the same probability are taken in the order given; the first bins have one case more where they must.
    """
    if not probabilities:
        return 0.0
    cases = sorted(zip(probabilities, outcomes, strict=True), key=lambda case: case[0])
    size, more = divmod(len(cases), bins)
    gap, start = 0.0, 0
    for number in range(bins):
        end = start + size + (number < more)
        gap += abs(sum(p - o for p, o in cases[start:end]))
        start = end
    return gap / len(cases)


def rank_separation(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Give the area under the ROC curve: how often a positive scores above a negative, ties counting half."""
    if not positive or not negative:
        raise ValueError(f"both classes are needed, got {len(positive)} positive, {len(negative)} negative")
    wins = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    return wins / (len(positive) * len(negative))
