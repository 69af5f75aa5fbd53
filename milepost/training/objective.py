"""What a learner minimises and how, as the learner takes it from a configuration."""

from dataclasses import dataclass

from milepost.training.config import Config
from milepost.training.losses import KlKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What a learner minimises and how."""

    clip_low: float = 0.2
    clip_high: float = 0.28
    dual_clip: float | None = None
    kl: KlKind = KlKind.K3
    kl_coef: float = 0.0
    entropy_coef: float = 0.0
    importance_cap: float = 2.0
    """Cap of the sampler correction; 0 switches it off."""
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

    @property
    def needs_all_rows(self) -> bool:
        """Whether a row with advantage 0 still has a loss."""
        return self.kl_coef != 0.0 or self.entropy_coef != 0.0


def build_objective(config: Config) -> Objective:
    """Take the objective out of a configuration."""
    algorithm, optim = config.algorithm, config.optim
    return Objective(
        clip_low=algorithm.clip_low,
        clip_high=algorithm.clip_high,
        dual_clip=algorithm.dual_clip or None,
        kl=algorithm.kl,
        kl_coef=algorithm.kl_coef,
        entropy_coef=algorithm.entropy_coef,
        importance_cap=algorithm.importance_cap,
        epochs=algorithm.epochs,
        minibatches=algorithm.minibatches,
        learning_rate=optim.learning_rate,
        weight_decay=optim.weight_decay,
        grad_clip=optim.grad_clip,
        token_budget=optim.token_budget,
        temperature=config.policy.temperature,
    )
