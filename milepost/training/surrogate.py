"""What a micro-batch loses under an objective, and what is reported of it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from milepost.training.algorithm import Correction, KlPlace, Loss
from milepost.training.batch import MicroBatch
from milepost.training.corrections import importance_weights, off_policy_mask
from milepost.training.losses import kl_divergence, policy_loss
from milepost.training.objective import Objective
from milepost.training.policy import TokenScores
from milepost.training.tally import TokenSums


@dataclass(slots=True)
class Prepared:
    """A micro-batch with what stays fixed over all optimiser steps."""

    batch: MicroBatch
    old_logp_N: Tensor | None = None
    """None: the policy has not changed since, take its own."""
    reference_logp_N: Tensor | None = None
    counted: bool = True
    """False: another rank learns it, and this one keeps step."""


def measure_loss(
    scores: TokenScores, prepared: Prepared, objective: Objective, *, step_kl_coef: float, sums: TokenSums
) -> Tensor:
    """Compute the weighted loss of a micro-batch, a scalar with gradient.

    Args:
        scores: what the policy says about the micro-batch's tokens.
        prepared: the micro-batch.
        objective: what is minimised.
        step_kl_coef: the present weight of KL(old || policy), which may have been adapted.
        sums: takes `ratio, clip_low, clip_high, kl_step, kl_sampler, entropy`, and `kl_reference`.
    """
    batch = prepared.batch
    logp_N, entropy_N = scores.logp_U[batch.token_N], scores.entropy_U[batch.token_N]
    old_logp_N = logp_N.detach() if prepared.old_logp_N is None else prepared.old_logp_N
    importance_N = _correct(old_logp_N, batch, objective)
    policy = policy_loss(
        logp_N,
        old_logp_N,
        batch.advantage_N,
        loss=objective.loss,
        ratio=objective.ratio,
        row_N=batch.row_N,
        clip_low=objective.clip_low,
        clip_high=objective.clip_high,
        dual_clip=objective.dual_clip,
        delta=objective.delta,
        importance_N=importance_N,
    )
    loss_N = policy.loss_N
    if objective.off_policy_threshold is not None:
        loss_N = loss_N * off_policy_mask(
            logp_N,
            batch.sampler_logp_N,
            batch.advantage_N,
            batch.row_N,
            threshold=objective.off_policy_threshold,
        )
    if importance_N is not None and objective.loss is not Loss.VESPO:
        loss_N = loss_N * importance_N
    if prepared.reference_logp_N is not None:
        kl_N = kl_divergence(logp_N, prepared.reference_logp_N, objective.kl)
        corrected = objective.kl_place is KlPlace.CORRECTED_LOSS
        ratio_N = torch.exp((logp_N - old_logp_N).clamp(-20.0, 20.0)) if corrected else 1.0
        loss_N = loss_N + objective.kl_coef * kl_N * ratio_N
        sums.add(0, kl_reference=kl_N)
    if step_kl_coef:
        loss_N = loss_N + step_kl_coef * kl_divergence(old_logp_N, logp_N)
    if objective.entropy_coef:
        loss_N = loss_N - objective.entropy_coef * entropy_N
    sums.add(
        len(logp_N),
        ratio=policy.ratio_N,
        clip_low=policy.clipped_low_N,
        clip_high=policy.clipped_high_N,
        kl_step=kl_divergence(old_logp_N, logp_N.detach()),
        kl_sampler=kl_divergence(batch.sampler_logp_N, old_logp_N),
        entropy=entropy_N,
    )
    return (loss_N * batch.weight_N).sum()


def _correct(old_logp_N: Tensor, batch: MicroBatch, objective: Objective) -> Tensor | None:
    if not objective.importance_cap or objective.correction is Correction.NONE:
        return None
    return importance_weights(
        old_logp_N,
        batch.sampler_logp_N,
        correction=objective.correction,
        cap=objective.importance_cap,
        row_N=batch.row_N,
    )
