"""Fits what both tiers share: where demonstrations stand, what is familiar, and the calibration."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from milepost.milestones.learned.gauge import Gauge, LearnedScore, sum_rewards


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


def calibrate(gauge: Gauge, points: Sequence[tuple[LearnedScore, bool]]) -> Gauge:
    """Set a calibration by scores of templates that the scoring models were not fitted to."""
    slope, penalty, offset = fit_line(points)
    return replace(gauge, slope=slope, penalty=penalty, offset=offset)


def fit_line(
    points: Sequence[tuple[LearnedScore, bool]], *, rounds: int = 100, ridge: float = 1e-2
) -> tuple[float, float, float]:
    """Fit p(success) = sigmoid(slope * (mean - penalty * spread) + offset) by Newton's method.

    Targets are smoothed as Platt 1999 proposes, so that probabilities stay off 0 and 1.

    Args:
        points: scores, and whether the goal was reached.
        rounds: of Newton's method.
        ridge: pull towards slope 1, penalty 0 and offset 0.

    Returns:
        Slope, penalty and offset.
    """
    score = np.array([[one.mean, one.spread, 1.0] for one, _ in points])
    success = np.array([reached for _, reached in points], dtype=float)
    positive = success.sum()
    target = np.where(success > 0, (positive + 1) / (positive + 2), 1 / (len(points) - positive + 2))
    start = np.array([1.0, 0.0, 0.0])

    def measure_loss(line: NDArray[np.float64]) -> float:
        margin = score @ line
        loss = np.logaddexp(0, margin) - target * margin
        return float(loss.sum() + ridge * ((line - start) ** 2).sum() / 2)

    line = start.copy()
    for _ in range(rounds):
        chance = 1 / (1 + np.exp(-np.clip(score @ line, -500, 500)))
        pull = score.T @ (chance - target) + ridge * (line - start)
        curve = (score * (chance * (1 - chance))[:, None]).T @ score + ridge * np.eye(3)
        step = np.linalg.solve(curve, pull)
        # A full step may overshoot where the curve is flat.
        length = next(
            (0.5**n for n in range(30) if measure_loss(line - 0.5**n * step) < measure_loss(line)), 0.0
        )
        if not length:
            break
        line = line - length * step
    slope, spread, offset = (float(n) for n in line)
    return slope, -spread / slope if slope else 0.0, offset
