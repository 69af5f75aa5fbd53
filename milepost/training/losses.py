"""Losses over a flat list of completion tokens.

Every tensor has one entry for each completion token (`_N`), so there is no padding and nothing to mask. How
tokens, rows and rollouts weigh against each other is in `weight_N`, fixed for a whole batch before it is cut
into micro-batches: the loss is `sum(weight_N * loss_N)` however it is cut.
"""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor


class KlKind(StrEnum):
    """Estimator of KL(policy || reference) from tokens drawn by the policy (Schulman 2020)."""

    K1 = "k1"
    """log p - log q: unbiased value, but its gradient as a loss is zero on average."""
    K2 = "k2"
    """(log p - log q)^2 / 2: biased value, unbiased gradient."""
    K3 = "k3"
    """q/p - log(q/p) - 1: unbiased value, never negative."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLoss:
    """Per-token policy loss and what it says about the step; all detached but `loss_N`."""

    loss_N: Tensor
    ratio_N: Tensor
    clipped_low_N: Tensor
    """1 where a falling ratio met its bound and the gradient is cut."""
    clipped_high_N: Tensor
    """1 where a rising ratio met its bound and the gradient is cut."""


def policy_loss(
    logp_N: Tensor,
    old_logp_N: Tensor,
    advantage_N: Tensor,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.28,
    dual_clip: float | None = None,
) -> PolicyLoss:
    """Compute PPO's clipped surrogate with separate bounds (Schulman 2017; clip-higher from DAPO 2025).

    loss = -min(r A, clip(r, 1 - clip_low, 1 + clip_high) A) with r = exp(logp - old_logp). With `dual_clip` c
    the loss of a token with A < 0 is at most -c A (Ye 2020).

    Args:
        logp_N: log-probabilities under the current policy, with gradient.
        old_logp_N: the same under the policy at the start of the batch.
        advantage_N: advantages.
        clip_low: how far the ratio may fall.
        clip_high: how far the ratio may rise.
        dual_clip: bound of the ratio for negative advantages, above 1.
    """
    ratio_N = torch.exp((logp_N - old_logp_N).clamp(-20.0, 20.0))
    bounded_N = ratio_N.clamp(1.0 - clip_low, 1.0 + clip_high)
    loss_N = torch.maximum(-ratio_N * advantage_N, -bounded_N * advantage_N)
    if dual_clip is not None:
        if dual_clip <= 1.0:
            raise ValueError(f"dual_clip bounds a ratio from above and must exceed 1, got {dual_clip}")
        loss_N = torch.where(advantage_N < 0, torch.minimum(loss_N, -dual_clip * advantage_N), loss_N)
    seen_N = ratio_N.detach()
    return PolicyLoss(
        loss_N=loss_N,
        ratio_N=seen_N,
        clipped_low_N=((seen_N < 1.0 - clip_low) & (advantage_N < 0)).float(),
        clipped_high_N=((seen_N > 1.0 + clip_high) & (advantage_N > 0)).float(),
    )


def kl_divergence(logp_N: Tensor, reference_logp_N: Tensor, kind: KlKind = KlKind.K3) -> Tensor:
    """Estimate KL(policy || reference) per token, shape (N,)."""
    difference_N = logp_N - reference_logp_N
    if kind is KlKind.K1:
        return difference_N
    if kind is KlKind.K2:
        return 0.5 * difference_N.square()
    return torch.exp((-difference_N).clamp(max=20.0)) + difference_N - 1.0


def importance_weights(old_logp_N: Tensor, sampler_logp_N: Tensor, *, cap: float = 2.0) -> Tensor:
    """Compute min(exp(old - sampler), cap) per token: truncated importance sampling (Ionides 2008).

    It corrects for a sampler (another engine, older weights) whose log-probabilities are not the learner's.
    """
    return torch.exp((old_logp_N - sampler_logp_N).clamp(-20.0, 20.0)).clamp(max=cap).detach()
