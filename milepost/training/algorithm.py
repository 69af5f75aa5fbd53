"""An algorithm is data: an advantage, a loss, where the KL terms go, and a few flags."""

from dataclasses import dataclass
from enum import StrEnum

from milepost.training.advantages import Estimator, Scale
from milepost.training.aggregation import Aggregation


class Loss(StrEnum):
    """What a token loses, with r the ratio of the policy to that of the batch's start and A the advantage."""

    PPO = "ppo"
    """-min(r A, clip(r, 1 - low, 1 + high) A) (Schulman et al. 2017)."""
    SURROGATE = "surrogate"
    """-r A, without a bound: what TRPO and PPO's penalty form optimise."""
    POLICY_GRADIENT = "policy_gradient"
    """-A log p (Williams 1992); its gradient ignores how far the policy has moved."""
    CISPO = "cispo"
    """-stop(min(r, high)) A log p: the bound cuts the weight, never the gradient (MiniMax-M1 2025)."""
    SAPO = "sapo"
    """-4/t sigmoid(t (r - 1)) A: a soft gate for a clip, t = 1 for good tokens and 1.05 for others (Qwen 2025)."""
    VESPO = "vespo"
    """-stop(phi(W)) A log p with the ratio W of the row, phi(W) = W^k exp(l (1 - W)) (VESPO 2026)."""


class Ratio(StrEnum):
    """Of what the ratio is."""

    TOKEN = "token"
    """p / p_old of the token."""
    SEQUENCE = "sequence"
    """The geometric mean over its row, gradient included (GSPO, Zheng et al. 2025, equation 7)."""
    SEQUENCE_TOKEN = "sequence_token"
    """The same value, but each token carries its own gradient (GSPO-token, equation 14)."""
    TRAJECTORY = "trajectory"
    """The product over its row (RLOO)."""


class KlKind(StrEnum):
    """Estimator of KL(policy || reference) from tokens drawn by the policy (Schulman 2020)."""

    K1 = "k1"
    """log p - log q: unbiased value, but its gradient as a loss is zero on average."""
    K2 = "k2"
    """(log p - log q)^2 / 2: biased value, unbiased gradient."""
    K3 = "k3"
    """q/p - log(q/p) - 1: unbiased value, never negative; its gradient is that of KL(reference || policy)."""


class Correction(StrEnum):
    """How the mismatch between sampler and learner is corrected, with w = exp(old - sampler)."""

    NONE = "none"
    TOKEN_TRUNCATE = "token_truncate"
    """Each token weighs w, within the bounds (truncated importance sampling, Ionides 2008)."""
    TOKEN_MASK = "token_mask"
    """Each token weighs w, and nothing outside of the bounds."""
    SEQUENCE_TRUNCATE = "sequence_truncate"
    """Each token weighs the product of w over its row, within the bounds."""
    SEQUENCE_MASK = "sequence_mask"
    """Each token weighs the product of w over its row, and nothing outside of the bounds."""


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
    ADAPTIVE_KL = "adaptive_kl"
    """The weight of KL(old || policy) is doubled and halved so that a batch leads about as far as `step_kl` says, and a batch ends
    after the pass that leads half as far again (PPO's penalty)."""
    DUAL_CLIP = "dual_clip"
    """A token with A < 0 loses at most 3 |A|, however far its ratio has risen (Ye et al. 2020)."""
    TWO_SIDED_CLIP = "two_sided_clip"
    """The ratio is at most 4 on the side that PPO leaves open (INTELLECT-2 2025)."""
    OFF_POLICY_MASK = "off_policy_mask"
    """Bad rows that the policy has left by more than 2 nats a token are dropped (DeepSeek-V3.2 2025)."""
    FRONTIER = "frontier"
    """Templates whose groups fared differently are drawn more often."""
    BAND = "band"
    """Templates of medium difficulty, by pass@4, are drawn more often."""
    HORIZON = "horizon"
    """Episodes may take half a template's steps at first, and one more after every two iterations (AgentGym-RL 2025)."""
    SHUFFLED_REWARDS = "shuffled_rewards"
    """Rewards of a batch are dealt out to other trajectories: a control experiment, which must not learn."""


DUAL_CLIP = 3.0
"""The c of `dual_clip`."""
TWO_SIDED_CLIP = 4.0
"""The bound of `two_sided_clip`."""
OFF_POLICY_THRESHOLD = 2.0
"""Mean log-ratio of sampler and policy above which `off_policy_mask` drops a row."""


class Step(StrEnum):
    """How a batch's gradient becomes a change of the policy."""

    ADAMW = "adamw"
    TRUST_REGION = "trust_region"
    """The natural gradient, as far as a bound on KL(old || policy) lets it go (Schulman et al. 2015)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """All parts of a policy-gradient method. The defaults are those of `milestone_grpo`."""

    advantage: Estimator = Estimator.MILESTONE_LOO
    scale: Scale = Scale.NONE
    gamma: float = 1.0
    shrinkage: float = 0.0
    loss: Loss = Loss.PPO
    ratio: Ratio = Ratio.TOKEN
    clip: tuple[float, float] = (0.2, 0.28)
    """How far the ratio may fall, and how far it may rise; for `cispo` the second bounds the ratio itself."""
    aggregation: Aggregation = Aggregation.ROLLOUT_SUM
    kl: KlKind = KlKind.K3
    kl_place: KlPlace = KlPlace.LOSS
    kl_coef: float = 0.0
    """Divergence from the reference; 0 is off, and then no reference is kept."""
    entropy_coef: float = 0.0
    correction: Correction = Correction.TOKEN_TRUNCATE
    flags: tuple[Flag, ...] = ()
    reference_every: int = 0
    """Iterations after which the reference becomes the current policy; 0 is never."""
    step_kl: tuple[float, float] = (0.0, 0.01)
    """Weight of KL(old || policy), the divergence from the policy of the batch's start, where 0 is off; and the divergence
    a batch may lead to: where `adaptive_kl` holds it, what a trust region bounds (nats a token)."""
    rehearsal_coef: float = 0.0
    """Weight of the likelihood of the oracles' demonstrations beside the loss (PPO-ptx); 0 is off."""
    epochs: int = 1
    minibatches: int = 1

    step: Step = Step.ADAMW
    importance_cap: float = 2.0
    """Upper bound of the sampler correction."""
    lam: float = 0.95
    """Lambda of a critic's advantages."""
    value_clip: float = 0.2
    """How far a value may gain from moving; 0 is off."""


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
