"""From the rewards of several members to one score: what both tiers of the learned model share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LENGTH_POWER = 0.5
"""rho of G(tau) = T^-rho * sum_t r(o_t, a_t, o_t+1): between a sum (0) and a mean (1)."""

READING = 0.25
"""How much of the log odds by the reading of the whole episode a return gains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedScore:
    """What a reward model says."""

    mean: float
    """Mean of the members; demonstrations average 0."""
    spread: float
    """Standard deviation over the members."""
    unfamiliar: bool
    """Whether the input lies outside what the model was trained on."""
    probability: float
    """Calibrated probability that the episode is a success."""
    reached: float = 0.0
    """Log odds of success by the reading of the whole episode, not calibrated; 0 where a tier has none."""
    suspicion: float = 0.0
    """What has been taken off the mean for looking like a hack; 0 where a tier does not read that."""

    @property
    def unsuspicious(self) -> float:
        """The mean of the steps' rewards alone, which the calibration reads: suspicion has no bound, the reading is its own."""
        return self.mean + self.suspicion - READING * self.reached


NOTHING_DONE = LearnedScore(mean=-100.0, spread=0.0, unfamiliar=True, probability=0.0)
"""Of an episode without steps: below whatever a network gives, for 0 would be as good as a demonstration."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gauge:
    """Where demonstrations stand, what is familiar, and the calibration, for K members and inputs of F numbers."""

    centre_K: NDArray[np.float64]
    """Mean return of demonstrations, taken off every return, so that theirs average 0.

    It is taken off the return and not off each step: a constant for each step would pay for length.
    """
    mean_F: NDArray[np.float64]
    """Mean of an episode's mean inputs over the training episodes."""
    precision_FF: NDArray[np.float64]
    """Inverse of their regularised covariance."""
    familiar: float
    """Largest squared Mahalanobis distance that counts as familiar (Lee et al. 2018)."""
    slope: float = 1.0
    """Of p = sigmoid(slope * (unsuspicious - penalty * spread) + pull * reached + offset), Platt 1999."""
    offset: float = 0.0
    penalty: float = 0.0
    pull: float = 0.0

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers by name, as they are stored."""
        return {name: float(getattr(self, name)) for name in _NUMBERS}

    @property
    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """The arrays by name, as they are stored."""
        return {name: getattr(self, name) for name in _ARRAYS}

    def read(
        self,
        rewards_KT: NDArray[np.float64],
        inputs_TF: NDArray[np.float64],
        *,
        suspicion: float = 0.0,
        reached: float = 0.0,
    ) -> LearnedScore:
        """Score an episode.

        Args:
            rewards_KT: each member's reward for each step.
            inputs_TF: what the members read of each step.
            suspicion: taken off the mean for looking like a hack.
            reached: log odds of success by a reading of the whole episode.
        """
        if not len(inputs_TF):
            return NOTHING_DONE
        returns_K = sum_rewards(rewards_KT) - self.centre_K
        mean, spread = float(returns_K.mean()), float(returns_K.std())
        away_F = inputs_TF.mean(0) - self.mean_F
        margin = self.slope * (mean - self.penalty * spread) + self.pull * reached + self.offset
        return LearnedScore(
            mean=mean + READING * reached - suspicion,
            spread=spread,
            unfamiliar=bool(away_F @ self.precision_FF @ away_F > self.familiar),
            probability=float(1 / (1 + np.exp(-np.clip(margin, -50, 50)))),
            reached=reached,
            suspicion=suspicion,
        )


def sum_rewards(rewards_KT: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the members' length-normalised returns of an episode of one step or more, shape (members,)."""
    returns_K: NDArray[np.float64] = rewards_KT.sum(1) / rewards_KT.shape[1] ** LENGTH_POWER
    return returns_K


def open_gauge(members: int, inputs: int) -> Gauge:
    """Give the gauge of a model that is still being fitted: it takes nothing off and knows everything."""
    return Gauge(
        centre_K=np.zeros(members),
        mean_F=np.zeros(inputs),
        precision_FF=np.eye(inputs),
        familiar=float("inf"),
    )


def make_gauge(stored: Mapping[str, Any]) -> Gauge:
    """Make a gauge of what `numbers` and `arrays` give; other keys are left alone.

    Raises:
        KeyError: a key is missing.
    """
    numbers: dict[str, Any] = {name: float(stored[name]) for name in _NUMBERS}
    return Gauge(**numbers, **{name: stored[name] for name in _ARRAYS})


_NUMBERS = ("familiar", "slope", "offset", "penalty", "pull")
_ARRAYS = ("centre_K", "mean_F", "precision_FF")
