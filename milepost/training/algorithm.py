"""An algorithm is data: an advantage, a loss, where the KL terms go, and a few flags."""

from dataclasses import dataclass
from enum import StrEnum

from milepost.training.advantages import Estimator, Scale
from milepost.training.aggregation import Aggregation
from milepost.training.corrections import Correction
from milepost.training.losses import KlKind, Loss, Ratio


class KlPlace(StrEnum):
    """Where the divergence from the reference goes."""

    LOSS = "loss"
    """Into the loss."""
    CORRECTED_LOSS = "corrected_loss"
    """Into the loss, times the ratio, so that it stays unbiased after the first step."""
    REWARD = "reward"
    """Into the reward of each turn, before advantages are computed."""


class Flag(StrEnum):
    """What any algorithm may do besides."""

    DYNAMIC_SAMPLING = "dynamic_sampling"
    """Groups that all fared alike are replaced by new ones, in at most three rounds (DAPO)."""
    OVERLONG_FILTER = "overlong_filter"
    """Episodes that were cut off take part in baselines but not in the loss (DAPO, GRPO+)."""
    SOFT_OVERLONG = "soft_overlong"
    """A completion within a fifth of the longest loses up to 1 (DAPO)."""
    LENGTH_PENALTY = "length_penalty"
    """A completion loses up to 0.1, in proportion to its length."""
    ZERO_ADVANTAGE_FILTER = "zero_advantage_filter"
    """Turns without an advantage are left out, even where a KL or entropy term would act on them."""
    WHITEN = "whiten"
    """Token advantages of a critic are shifted and scaled to mean 0 and variance 1 over the batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """All parts of a policy-gradient method. The defaults are those of `milestone_grpo`."""

    advantage: Estimator = Estimator.MILESTONE_LOO
    scale: Scale = Scale.NONE
    gamma: float = 1.0
    shrinkage: float = 0.0
    loss: Loss = Loss.PPO
    ratio: Ratio = Ratio.TOKEN
    clip_low: float = 0.2
    clip_high: float = 0.28
    dual_clip: float = 0.0
    """0 is off."""
    aggregation: Aggregation = Aggregation.ROLLOUT_SUM
    kl: KlKind = KlKind.K3
    kl_place: KlPlace = KlPlace.LOSS
    kl_coef: float = 0.0
    """Divergence from the reference; 0 is off, and then no reference is kept."""
    entropy_coef: float = 0.0
    correction: Correction = Correction.TOKEN_TRUNCATE
    importance_cap: float = 2.0
    flags: tuple[Flag, ...] = ()
    reference_every: int = 0
    """Iterations after which the reference becomes the current policy; 0 is never."""
    epochs: int = 1
    minibatches: int = 1

    lam: float = 0.95
    """Lambda of a critic's advantages."""
    value_clip: float = 0.2
    """How far a value may gain from moving; 0 is off."""
    step_kl_coef: float = 0.0
    """Weight of KL(old || policy), the divergence from the policy of the batch's start; 0 is off."""
    step_kl_target: float = 0.0
    """The divergence at which that weight is held by doubling and halving it; 0 leaves it as it is."""
    delta: float = 0.0
    """Bound of the ratio on the side that PPO leaves open; 0 is off."""
    off_policy_threshold: float = 0.0
    """Mean log-ratio of sampler and policy above which bad rows are dropped; 0 is off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A published method by name."""

    name: str
    summary: str
    """One sentence."""
    source: str
    """Where its formula stands."""
    algorithm: Algorithm
    group_size: int = 0
    """Members of a group, where the method fixes it; 0 leaves it open."""
