"""Corrections for data that the current policy would not have drawn, over a flat list of completion tokens.

`row_N` says which row a token belongs to; measures of whole rows are sums or means over the tokens of a row.
"""

import torch
from torch import Tensor

from milepost.training.algorithm import Correction

_LOG_LIMIT = 20.0
"""Log-ratios beyond it are cut, so that nothing overflows."""
_BAND = 1.5
"""A divergence is as aimed at up to this many times its target, and down to as small a part of it."""


def sum_rows(values_N: Tensor, row_N: Tensor) -> Tensor:
    """Sum over the tokens of each row, shape (R,); R is the highest row plus one."""
    rows = int(row_N.max()) + 1 if row_N.numel() else 0
    return values_N.new_zeros(rows).index_add(0, row_N, values_N)


def mean_rows(values_N: Tensor, row_N: Tensor) -> Tensor:
    """Average over the tokens of each row, shape (R,)."""
    return sum_rows(values_N, row_N) / sum_rows(torch.ones_like(values_N), row_N).clamp(min=1.0)


def importance_weights(
    old_logp_N: Tensor,
    sampler_logp_N: Tensor,
    *,
    correction: Correction = Correction.TOKEN_TRUNCATE,
    cap: float = 2.0,
    floor: float = 0.0,
    row_N: Tensor | None = None,
) -> Tensor:
    """Compute the weight of each token against the mismatch of sampler and learner, shape (N,), no gradient.

    Args:
        old_logp_N: log-probabilities under the learner at the start of the batch.
        sampler_logp_N: the same as the sampler (another engine, older weights) gave them.
        correction: over tokens or rows, truncated or masked.
        cap: upper bound.
        floor: lower bound.
        row_N: row of each token; sequence corrections need it.

    Raises:
        ValueError: a sequence correction without rows.
    """
    if correction is Correction.NONE:
        return torch.ones_like(old_logp_N)
    log_N = (old_logp_N - sampler_logp_N).detach()
    if correction in (Correction.SEQUENCE_TRUNCATE, Correction.SEQUENCE_MASK):
        if row_N is None:
            raise ValueError(f"{correction} needs to know the row of each token; row_N is missing")
        log_N = sum_rows(log_N, row_N)[row_N]
    weight_N = torch.exp(log_N.clamp(-_LOG_LIMIT, _LOG_LIMIT))
    if correction in (Correction.TOKEN_TRUNCATE, Correction.SEQUENCE_TRUNCATE):
        return weight_N.clamp(min=floor, max=cap)
    return weight_N.masked_fill((weight_N < floor) | (weight_N > cap), 0.0)


def off_policy_mask(
    logp_N: Tensor, sampler_logp_N: Tensor, advantage_N: Tensor, row_N: Tensor, *, threshold: float
) -> Tensor:
    """Say which tokens to keep, 1 or 0, shape (N,) (DeepSeek-V3.2 2025, off-policy sequence masking).

    A token with a negative advantage is dropped when the mean of sampler - logp over its row exceeds the threshold:
    the policy has left such rows already.
    """
    drift_R = mean_rows((sampler_logp_N - logp_N).detach(), row_N)
    return ((advantage_N >= 0) | (drift_R <= threshold)[row_N]).to(logp_N.dtype)


def exceeds_band(divergence: float, *, target: float) -> bool:
    """Say whether a divergence lies above the band around its target, within which the coefficient of a KL term rests."""
    return divergence > target * _BAND


def adapt_coefficient(coef: float, *, divergence: float, target: float) -> float:
    """Halve a KL coefficient below target / 1.5, double it above 1.5 times the target (Schulman et al. 2017, section 4).

    Raises:
        ValueError: the target is not above 0.
    """
    if target <= 0:
        raise ValueError(f"the divergence aimed at must be above 0, got {target}")
    if divergence < target / _BAND:
        return coef / 2.0
    return coef * 2.0 if exceeds_band(divergence, target=target) else coef
