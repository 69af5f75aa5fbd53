"""Losses over a flat list of completion tokens.

Every tensor has one entry for each completion token (`_N`), so there is no padding and nothing to mask. How
tokens, rows and rollouts weigh against each other is in `weight_N`, fixed for a whole batch before it is cut
into micro-batches: the loss is `sum(weight_N * loss_N)` however it is cut. A row is one completion; ratios of
whole rows need `row_N`, the row of each token.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from milepost.training.algorithm import KlKind, Loss, Ratio
from milepost.training.corrections import mean_rows, sum_rows

_LOG_LIMIT = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLoss:
    """Per-token policy loss and what it says about the step; all detached but `loss_N`."""

    loss_N: Tensor
    ratio_N: Tensor
    clipped_low_N: Tensor
    """1 where a falling ratio met its bound and the gradient is cut."""
    clipped_high_N: Tensor
    """1 where a rising ratio met its bound and the gradient is cut."""


def ratios(
    logp_N: Tensor, old_logp_N: Tensor, kind: Ratio = Ratio.TOKEN, row_N: Tensor | None = None
) -> Tensor:
    """Compute the ratio of each token, shape (N,).

    Raises:
        ValueError: a ratio of rows without `row_N`.
    """
    log_N = logp_N - old_logp_N
    if kind is Ratio.TOKEN:
        return torch.exp(log_N.clamp(-_LOG_LIMIT, _LOG_LIMIT))
    if row_N is None:
        raise ValueError(f"the ratio {kind} is of a row; row_N is missing")
    gather = sum_rows if kind is Ratio.TRAJECTORY else mean_rows
    whole_N = gather(log_N, row_N)[row_N]
    if kind is Ratio.SEQUENCE_TOKEN:
        whole_N = whole_N.detach() + logp_N - logp_N.detach()
    return torch.exp(whole_N.clamp(-_LOG_LIMIT, _LOG_LIMIT))


def policy_loss(
    logp_N: Tensor,
    old_logp_N: Tensor,
    advantage_N: Tensor,
    *,
    loss: Loss = Loss.PPO,
    ratio: Ratio = Ratio.TOKEN,
    row_N: Tensor | None = None,
    clip_low: float = 0.2,
    clip_high: float = 0.28,
    dual_clip: float | None = None,
    delta: float | None = None,
    importance_N: Tensor | None = None,
) -> PolicyLoss:
    """Compute what each token loses.

    The default is PPO's clipped surrogate with separate bounds (clip-higher, DAPO 2025).

    Args:
        logp_N: log-probabilities under the current policy, with gradient.
        old_logp_N: the same under the policy at the start of the batch.
        advantage_N: advantages.
        loss: which loss.
        ratio: of what the ratio is.
        row_N: row of each token; ratios of rows and `vespo` need it.
        clip_low: how far the ratio may fall.
        clip_high: how far the ratio may rise; for `cispo` the bound of the ratio itself.
        dual_clip: c of the bound -c A on the loss of tokens with A < 0, above 1 (Ye et al. 2020); `ppo` only.
        delta: bound of the ratio on the side that PPO leaves open, above 1 + clip_high (INTELLECT-2 2025); `ppo` only.
        importance_N: weights against the mismatch of sampler and learner, which `vespo` takes inside; the others
            are multiplied with them by the caller.

    Raises:
        ValueError: a bound is out of its range, or rows are missing.
    """
    _check_bounds(dual_clip, delta, clip_high)
    ratio_N = ratios(logp_N, old_logp_N, ratio, row_N)
    if loss is Loss.PPO:
        loss_N = _clip(ratio_N, advantage_N, clip_low, clip_high, dual_clip, delta)
    elif loss is Loss.SURROGATE:
        loss_N = -ratio_N * advantage_N
    elif loss is Loss.POLICY_GRADIENT:
        loss_N = -advantage_N * logp_N
    elif loss is Loss.CISPO:
        loss_N = -ratio_N.clamp(max=clip_high).detach() * advantage_N * logp_N
    elif loss is Loss.SAPO:
        sharpness_N = torch.where(advantage_N > 0, 1.0, 1.05).to(ratio_N.dtype)
        loss_N = -4.0 / sharpness_N * torch.sigmoid(sharpness_N * (ratio_N - 1.0)) * advantage_N
    else:
        gate_N = _vespo_gate(logp_N, old_logp_N, advantage_N, row_N, importance_N)
        loss_N = -gate_N * advantage_N * logp_N
    seen_N, cuts = ratio_N.detach(), loss is Loss.PPO
    return PolicyLoss(
        loss_N=loss_N,
        ratio_N=seen_N,
        clipped_low_N=((seen_N < 1.0 - clip_low) & (advantage_N < 0) & cuts).float(),
        clipped_high_N=((seen_N > 1.0 + clip_high) & (advantage_N > 0) & cuts).float(),
    )


def _check_bounds(dual_clip: float | None, delta: float | None, clip_high: float) -> None:
    if dual_clip is not None and dual_clip <= 1.0:
        raise ValueError(f"dual_clip bounds a ratio from above and must exceed 1, got {dual_clip}")
    if delta is not None and delta <= 1.0 + clip_high:
        raise ValueError(f"delta must exceed 1 + clip_high, which is {1.0 + clip_high:g}, got {delta}")


def _clip(
    ratio_N: Tensor,
    advantage_N: Tensor,
    clip_low: float,
    clip_high: float,
    dual_clip: float | None,
    delta: float | None,
) -> Tensor:
    bounded_N = ratio_N.clamp(1.0 - clip_low, 1.0 + clip_high)
    free_N = ratio_N if delta is None else ratio_N.clamp(max=delta)
    loss_N = torch.maximum(-free_N * advantage_N, -bounded_N * advantage_N)
    if dual_clip is None:
        return loss_N
    return torch.where(advantage_N < 0, torch.minimum(loss_N, -dual_clip * advantage_N), loss_N)


def _vespo_gate(
    logp_N: Tensor,
    old_logp_N: Tensor,
    advantage_N: Tensor,
    row_N: Tensor | None,
    importance_N: Tensor | None,
) -> Tensor:
    """Compute phi(W), with k and l of 2 and 3 for good rows, 3 and 2 for others."""
    if row_N is None:
        raise ValueError("vespo weighs whole rows; row_N is missing")
    low = math.log(1e-8)
    log_R = sum_rows((logp_N - old_logp_N).detach().clamp(-_LOG_LIMIT, _LOG_LIMIT), row_N)
    if importance_N is not None:
        log_R = log_R + sum_rows(importance_N.log().clamp(low, _LOG_LIMIT), row_N)
    log_N = log_R.clamp(low, _LOG_LIMIT)[row_N]
    power_N = torch.where(advantage_N >= 0, 2.0, 3.0)
    decay_N = torch.where(advantage_N >= 0, 3.0, 2.0)
    return torch.exp(decay_N + power_N * log_N - decay_N * log_N.exp())


def kl_divergence(logp_N: Tensor, reference_logp_N: Tensor, kind: KlKind = KlKind.K3) -> Tensor:
    """Estimate KL(policy || reference) per token, shape (N,)."""
    difference_N = logp_N - reference_logp_N
    if kind is KlKind.K1:
        return difference_N
    if kind is KlKind.K2:
        return 0.5 * difference_N.square()
    return torch.exp((-difference_N).clamp(max=_LOG_LIMIT)) + difference_N - 1.0


def value_loss(
    value_N: Tensor, return_N: Tensor, old_value_N: Tensor | None = None, *, clip: float | None = None
) -> Tensor:
    """Compute half the squared error of a critic per token, shape (N,).

    With `clip` c it is the larger of the errors of the value and of old + clip(value - old, -c, c), so that a value
    gains nothing from moving further (Schulman et al.'s PPO2 code).

    Raises:
        ValueError: a clip without the old values.
    """
    error_N = (value_N - return_N).square()
    if clip is not None:
        if old_value_N is None:
            raise ValueError("clipping a value needs the old values, none were given")
        bounded_N = old_value_N + (value_N - old_value_N).clamp(-clip, clip)
        error_N = torch.maximum(error_N, (bounded_N - return_N).square())
    return 0.5 * error_N
