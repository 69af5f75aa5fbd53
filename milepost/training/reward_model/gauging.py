"""Fits what both tiers share: where demonstrations stand, what is familiar, and the calibration."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from milepost.milestones.learned.gauge import Gauge, LearnedScore, sum_rewards
from milepost.training.reward_model.material import Material

_Input = TypeVar("_Input")


def fit_gauge(
    inputs: Sequence[NDArray[np.float64]],
    demonstrations: Sequence[NDArray[np.float64]],
    *,
    familiar: float,
    ridge: float,
) -> Gauge:
    """Note the mean return of demonstrations and the spread of the inputs; nothing is calibrated.

    Bradley-Terry leaves a constant open, so each member's is set by the demonstrations.

    Args:
        inputs: of each training episode what members read, shape (steps, inputs).
        demonstrations: of each demonstration the members' rewards, shape (members, steps).
        familiar: part of the training episodes that counts as familiar.
        ridge: variance that is added to each input's.
    """
    means_NF = np.array([one.mean(0) for one in inputs])
    centre = means_NF.mean(0)
    covariance = np.cov(means_NF.T) + ridge * np.eye(len(centre))
    precision = np.linalg.inv(covariance).astype(np.float64)
    away_NF = means_NF - centre
    distances = np.einsum("nf,fg,ng->n", away_NF, precision, away_NF)
    return Gauge(
        centre_K=np.mean([sum_rewards(rewards) for rewards in demonstrations], axis=0),
        mean_F=centre,
        precision_FF=precision,
        familiar=float(np.quantile(distances, familiar)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What a calibration is fitted to: the score of an episode by a model that was not fitted to its template."""

    score: LearnedScore
    success: bool
    weight: float = 1.0


def make_points(held: Material[_Input], score: Callable[[_Input], LearnedScore]) -> list[Point]:
    """Score what a model was not fitted to, to calibrate it; each template counts as much."""
    balance = held.balance
    return [
        Point(score=score(held.inputs[side]), success=side.success, weight=balance[side])
        for side in held.sides
    ]


def calibrate(gauge: Gauge, points: Sequence[Point]) -> Gauge:
    """Set a calibration."""
    slope, penalty, pull, offset = fit_line(points)
    return replace(gauge, slope=slope, penalty=penalty, pull=pull, offset=offset)


def fit_line(points: Sequence[Point], *, ridge: float = 1e-2) -> tuple[float, float, float, float]:
    """Fit p(success) = sigmoid(slope * (unsuspicious - penalty * spread) + pull * reached + offset).

    Targets are smoothed as Platt 1999 proposes, so that probabilities stay off 0 and 1.

    Args:
        points: scores, and whether the goal was reached.
        ridge: pull towards slope 1 and the others 0.

    Returns:
        Slope, penalty, pull and offset.
    """
    rows = np.array([[p.score.unsuspicious, p.score.spread, p.score.reached, 1.0] for p in points])
    weight = np.array([point.weight for point in points])
    success = np.array([point.success for point in points], dtype=float)
    positive = success.sum()
    target = np.where(success > 0, (positive + 1) / (positive + 2), 1 / (len(points) - positive + 2))
    start = np.array([1.0, 0.0, 0.0, 0.0])
    line = fit_odds(rows, target, weight, start_F=start, ridge_F=np.full(4, ridge))
    slope, spread, pull, offset = (float(n) for n in line)
    return slope, -spread / slope if slope else 0.0, pull, offset


def fit_odds(
    rows_NF: NDArray[np.float64],
    target_N: NDArray[np.float64],
    weight_N: NDArray[np.float64],
    *,
    start_F: NDArray[np.float64],
    ridge_F: NDArray[np.float64],
    rounds: int = 100,
) -> NDArray[np.float64]:
    """Fit p = sigmoid(rows @ w) by Newton's method: least weighted cross-entropy, and ridge * (w - start)^2 / 2.

    Args:
        rows_NF: what is read of each case.
        target_N: in [0, 1].
        weight_N: how much each case counts.
        start_F: where it begins, and what the ridge pulls towards.
        ridge_F: strength of that pull for each weight.
        rounds: of Newton's method, at most.
    """

    def measure_loss(line_F: NDArray[np.float64]) -> float:
        margin_N = rows_NF @ line_F
        loss_N = np.logaddexp(0, margin_N) - target_N * margin_N
        return float(weight_N @ loss_N + (ridge_F * (line_F - start_F) ** 2).sum() / 2)

    line_F = start_F.copy()
    for _ in range(rounds):
        chance_N = 1 / (1 + np.exp(-np.clip(rows_NF @ line_F, -500, 500)))
        slope_F = rows_NF.T @ (weight_N * (chance_N - target_N)) + ridge_F * (line_F - start_F)
        curve_N = weight_N * chance_N * (1 - chance_N)
        step_F = np.linalg.solve((rows_NF * curve_N[:, None]).T @ rows_NF + np.diag(ridge_F), slope_F)
        loss = measure_loss(line_F)
        # A full step may overshoot where the curve is flat.
        lengths = (0.5**n for n in range(30))
        length = next((part for part in lengths if measure_loss(line_F - part * step_F) < loss), 0.0)
        if not length:
            break
        line_F = line_F - length * step_F
    return line_F
