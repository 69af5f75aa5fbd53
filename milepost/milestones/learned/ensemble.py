"""The small tier: several little networks that see different features, read with numpy in microseconds."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from milepost.milestones.learned.features import NAMES, featurize_all
from milepost.milestones.learned.transition import Transition
from milepost.milestones.router import Opinion, Standing

LENGTH_POWER = 0.5
"""rho of G(tau) = T^-rho * sum_t r(o_t, a_t, o_t+1): between a sum (0) and a mean (1)."""

_STEPS = 10_000
"""Scores are rounded to this fraction, so that a recorded score is exact."""


class ModelFormatError(ValueError):
    """A stored reward model cannot be used."""


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


NOTHING_DONE = LearnedScore(mean=-100.0, spread=0.0, unfamiliar=True, probability=0.0)
"""Of an episode without steps: below whatever a network gives, for 0 would be as good as a demonstration."""


class RewardModel(Protocol):
    """R_phi of any size."""

    @property
    def digest(self) -> str:
        """Hash of the weights."""

    def score_steps(self, transitions: Sequence[Transition]) -> NDArray[np.float64]:
        """Give each member's reward for each step, shape (members, steps)."""

    def score_episode(self, transitions: Sequence[Transition]) -> LearnedScore:
        """Score a whole episode."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ensemble:
    """Weights of K two-layer networks over F features with H hidden units, and their calibration."""

    mask_KF: NDArray[np.float64]
    """Which features each member sees."""
    w1_KFH: NDArray[np.float64]
    b1_KH: NDArray[np.float64]
    w2_KH: NDArray[np.float64]
    centre_K: NDArray[np.float64]
    """Mean return of demonstrations, taken off every return, so that theirs average 0.

    It is taken off the return and not off each step: a constant for each step would pay for length.
    """
    mean_F: NDArray[np.float64]
    """Mean of an episode's mean features over the training episodes."""
    precision_FF: NDArray[np.float64]
    """Inverse of their regularised covariance."""
    familiar: float
    """Largest squared Mahalanobis distance that counts as familiar."""
    slope: float = 1.0
    """Of the calibration p = sigmoid(slope * (mean - penalty * spread) + offset), Platt 1999."""
    offset: float = 0.0
    penalty: float = 0.0
    templates: tuple[str, ...] = ()
    """Names of the templates it was fitted to; nothing is computed from them."""

    @property
    def digest(self) -> str:
        """Hash of the weights and the calibration (hex sha256)."""
        found = hashlib.sha256(orjson.dumps([self.familiar, self.slope, self.offset, self.penalty]))
        for name in _ARRAYS:
            found.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return found.hexdigest()

    def reward_features(self, features_TF: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give each member's reward, shape (members, steps)."""
        seen_KTF = features_TF[None] * self.mask_KF[:, None]
        hidden_KTH = np.tanh(np.einsum("ktf,kfh->kth", seen_KTF, self.w1_KFH) + self.b1_KH[:, None])
        rewards: NDArray[np.float64] = np.einsum("kth,kh->kt", hidden_KTH, self.w2_KH)
        return rewards

    def score_steps(self, transitions: Sequence[Transition]) -> NDArray[np.float64]:
        """Give each member's reward for each step, shape (members, steps)."""
        return self.reward_features(featurize_all(transitions))

    def score_episode(self, transitions: Sequence[Transition]) -> LearnedScore:
        """Score a whole episode; one without steps is unfamiliar."""
        return self.score_features(featurize_all(transitions))

    def score_features(self, features_TF: NDArray[np.float64]) -> LearnedScore:
        """Score an episode by its features, shape (steps, features)."""
        if not len(features_TF):
            return NOTHING_DONE
        returns_K = (
            self.reward_features(features_TF).sum(1) / len(features_TF) ** LENGTH_POWER - self.centre_K
        )
        mean, spread = float(returns_K.mean()), float(returns_K.std())
        away_F = features_TF.mean(0) - self.mean_F
        margin = self.slope * (mean - self.penalty * spread) + self.offset
        return LearnedScore(
            mean=mean,
            spread=spread,
            unfamiliar=bool(away_F @ self.precision_FF @ away_F > self.familiar),
            probability=float(1 / (1 + np.exp(-np.clip(margin, -50, 50)))),
        )

    def save(self, path: Path) -> None:
        """Write the model as one `.npz` file that holds arrays and nothing that could run."""
        numbers = np.array([self.familiar, self.slope, self.offset, self.penalty])
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        with path.open("wb") as file:
            np.savez(
                file,
                numbers=numbers,
                names=np.array(NAMES),
                templates=np.array(self.templates, dtype=str),
                **arrays,
            )


_ARRAYS = ("mask_KF", "w1_KFH", "b1_KH", "w2_KH", "centre_K", "mean_F", "precision_FF")


def load_ensemble(path: Path) -> Ensemble:
    """Read a stored model.

    Raises:
        ModelFormatError: it cannot be read, or was made for other features.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            names = tuple(str(name) for name in stored["names"])
            templates = tuple(str(name) for name in stored["templates"])
            familiar, slope, offset, penalty = (float(n) for n in stored["numbers"])
            arrays = {name: stored[name] for name in _ARRAYS}
    except (OSError, ValueError, KeyError) as broken:
        raise ModelFormatError(
            f"{path} is no reward model: {broken}; train one with: milepost reward-model train"
        ) from None
    if names != NAMES:
        raise ModelFormatError(
            f"{path} was made for other features; train it anew with: milepost reward-model train"
        )
    return Ensemble(
        **arrays, familiar=familiar, slope=slope, offset=offset, penalty=penalty, templates=templates
    )


def form_opinion(score: LearnedScore, *, digest: str) -> Opinion:
    """Make a score the router's: the probability is the value, and how far it is from a coin toss the confidence.

    Args:
        score: of an episode.
        digest: the model's, kept as evidence.
    """
    evidence = (f"phi:{digest[:16]}",)
    if score.unfamiliar:
        return Opinion(
            standing=Standing.ABSTAINED, evidence=evidence, reason="unlike anything it was trained on"
        )
    return Opinion(
        standing=Standing.SCORED,
        value=_round(score.probability),
        confidence=_round(max(score.probability, 1 - score.probability)),
        evidence=evidence,
        reason=f"mean {score.mean:.3f}, spread {score.spread:.3f}",
    )


def _round(value: float) -> Fraction:
    return Fraction(round(value * _STEPS), _STEPS)
