"""The small tier: several little networks and two linear readings of the episode, all read with numpy."""

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
from milepost.milestones.learned.gauge import NOTHING_DONE, Gauge, LearnedScore, make_gauge
from milepost.milestones.learned.reading import WEIGHTS, find_suspicion, summarize
from milepost.milestones.learned.transition import Transition
from milepost.milestones.router import Opinion, Standing

_STEPS = 10_000
"""Scores are rounded to this fraction, so that a recorded score is exact."""


class ModelFormatError(ValueError):
    """A stored reward model cannot be used."""


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
    """Weights of K two-layer networks over F features with H hidden units, two readings, and the calibration."""

    mask_KF: NDArray[np.float64]
    """Which features each member sees."""
    w1_KFH: NDArray[np.float64]
    b1_KH: NDArray[np.float64]
    w2_KH: NDArray[np.float64]
    reached_S: NDArray[np.float64]
    """Of the reading of a summary as log odds that the goal was reached."""
    honest_S: NDArray[np.float64]
    """Of the reading as log odds that the episode is no hack."""
    gauge: Gauge
    templates: tuple[str, ...] = ()
    """Names of the templates it was fitted to; nothing is computed from them."""

    @property
    def digest(self) -> str:
        """Hash of the weights and the calibration (hex sha256)."""
        found = hashlib.sha256(orjson.dumps(self.gauge.numbers))
        for array in self._arrays().values():
            found.update(np.ascontiguousarray(array).tobytes())
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
        """Score an episode by its features, shape (steps, features).

        What looks like a hack loses of its return; the probability is read without that.
        """
        if not len(features_TF):
            return NOTHING_DONE
        summary_S = summarize(features_TF)
        return self.gauge.read(
            self.reward_features(features_TF),
            features_TF,
            suspicion=find_suspicion(float(summary_S @ self.honest_S)),
            reached=float(summary_S @ self.reached_S),
        )

    def save(self, path: Path) -> None:
        """Write the model as one `.npz` file that holds arrays and nothing that could run."""
        path.parent.mkdir(parents=True, exist_ok=True)
        stored: dict[str, Any] = {**self._arrays(), **self.gauge.numbers}
        with path.open("wb") as file:
            np.savez(file, names=np.array(NAMES), templates=np.array(self.templates, dtype=str), **stored)

    def _arrays(self) -> dict[str, NDArray[np.float64]]:
        return {**{name: getattr(self, name) for name in _WEIGHTS}, **self.gauge.arrays}


_WEIGHTS = ("mask_KF", "w1_KFH", "b1_KH", "w2_KH", "reached_S", "honest_S")


def load_ensemble(path: Path) -> Ensemble:
    """Read a stored model.

    Raises:
        ModelFormatError: it cannot be read, or was made for other features.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            names = tuple(str(name) for name in stored["names"])
            templates = tuple(str(name) for name in stored["templates"])
            weights = {name: stored[name] for name in _WEIGHTS}
            gauge = make_gauge(stored)
    except (OSError, ValueError, KeyError) as broken:
        raise ModelFormatError(
            f"{path} is no reward model: {broken}; train one with: milepost reward-model train"
        ) from None
    if names != NAMES or any(weights[name].shape != (WEIGHTS,) for name in ("reached_S", "honest_S")):
        raise ModelFormatError(
            f"{path} was made for other features; train it anew with: milepost reward-model train"
        )
    return Ensemble(**weights, gauge=gauge, templates=templates)


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
