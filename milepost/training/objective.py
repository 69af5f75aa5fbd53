"""What a learner minimises and how, as the learner takes it from a configuration."""

from dataclasses import dataclass

from milepost.training.algorithm import (
    DUAL_CLIP,
    OFF_POLICY_THRESHOLD,
    TWO_SIDED_CLIP,
    Correction,
    Flag,
    KlKind,
    KlPlace,
    Loss,
    Ratio,
    Step,
)
from milepost.training.config import Config, Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What a learner minimises and how."""

    loss: Loss = Loss.PPO
    ratio: Ratio = Ratio.TOKEN
    clip_low: float = 0.2
    clip_high: float = 0.28
    dual_clip: float | None = None
    delta: float | None = None
    """Bound of the ratio on the side that PPO leaves open."""
    kl: KlKind = KlKind.K3
    kl_place: KlPlace = KlPlace.LOSS
    kl_coef: float = 0.0
    step_kl_coef: float = 0.0
    """Weight of KL(old || policy) at first."""
    step_kl: float = 0.01
    """The divergence a batch may lead to."""
    adapts: bool = False
    """Whether that weight follows the divergence, so that it stays at `step_kl`."""
    rehearsal_coef: float = 0.0
    """Weight of the demonstrations' negative log-likelihood per token."""
    step: Step = Step.ADAMW
    entropy_coef: float = 0.0
    correction: Correction = Correction.TOKEN_TRUNCATE
    importance_cap: float = 2.0
    """Cap of the sampler correction; 0 switches it off."""
    off_policy_threshold: float | None = None
    """Mean log-ratio of sampler and policy above which bad rows are dropped."""
    skip_silent: bool = False
    """Leave rows without an advantage out even beside a KL or entropy term."""
    epochs: int = 1
    """Passes over a batch."""
    minibatches: int = 1
    """Optimiser steps per pass."""
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    grad_clip: float = 1.0
    """Largest gradient norm."""
    token_budget: int = 16_384
    """Most tokens of a micro-batch, padding included."""
    temperature: float = 1.0
    """Sampling temperature of the rollouts."""
    precision: Precision = "float32"
    """What it is computed in."""
    recompute: bool = False
    """Keep only the layers' inputs, and compute them again for the backward pass."""

    @property
    def penalizes(self) -> bool:
        """Whether the divergence from the reference is in the loss."""
        return self.kl_coef != 0.0 and self.kl_place is not KlPlace.REWARD

    @property
    def needs_all_rows(self) -> bool:
        """Whether a row with advantage 0 still has a loss."""
        if self.step is Step.TRUST_REGION:
            return True  # the divergence is bounded over all that was visited
        terms = self.penalizes or self.entropy_coef != 0.0 or self.step_kl_coef != 0.0
        return terms and not self.skip_silent


def build_objective(config: Config) -> Objective:
    """Take the objective out of a configuration."""
    algorithm, optim = config.algorithm.resolve(), config.optim
    flags = algorithm.flags
    return Objective(
        loss=algorithm.loss,
        ratio=algorithm.ratio,
        clip_low=algorithm.clip[0],
        clip_high=algorithm.clip[1],
        dual_clip=DUAL_CLIP if Flag.DUAL_CLIP in flags else None,
        delta=TWO_SIDED_CLIP if Flag.TWO_SIDED_CLIP in flags else None,
        kl=algorithm.kl,
        kl_place=algorithm.kl_place,
        kl_coef=algorithm.kl_coef,
        # An adaptive weight must start somewhere.
        step_kl_coef=algorithm.step_kl[0] or float(Flag.ADAPTIVE_KL in flags),
        step_kl=algorithm.step_kl[1],
        adapts=Flag.ADAPTIVE_KL in flags,
        rehearsal_coef=algorithm.rehearsal_coef,
        step=algorithm.step,
        entropy_coef=algorithm.entropy_coef,
        correction=algorithm.correction,
        importance_cap=algorithm.importance_cap,
        off_policy_threshold=OFF_POLICY_THRESHOLD if Flag.OFF_POLICY_MASK in flags else None,
        skip_silent=Flag.ZERO_ADVANTAGE_FILTER in flags,
        epochs=algorithm.epochs,
        minibatches=algorithm.minibatches,
        learning_rate=optim.learning_rate,
        token_budget=optim.token_budget,
        temperature=config.policy.temperature,
        precision=optim.precision,
        recompute=optim.recompute,
    )
