"""Fits the small tier: Bradley-Terry over length-normalised sums, all pairs of a prompt in one element; two readings."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from milepost.milestones.learned.ensemble import Ensemble
from milepost.milestones.learned.features import NAMES
from milepost.milestones.learned.gauge import LENGTH_POWER, READING, Gauge, open_gauge
from milepost.milestones.learned.reading import WEIGHTS, find_suspicion, summarize
from milepost.training.reward_model.gauging import fit_gauge, fit_odds
from milepost.training.reward_model.material import Features
from milepost.training.reward_model.pairs import split_key

_RIDGE = 0.02
"""Variance added to each feature's, which are in [-1, 1]: one that never varied in training may vary a little."""

_SAMPLE = 160
"""Honest episodes and hacks that are set against each other in one step of fitting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a model is fitted."""

    members: int = 5
    hidden: int = 24
    kept: float = 0.8
    """Part of the members that see a feature; which ones is drawn for each feature."""
    steps: int = 120
    learning_rate: float = 1e-2
    weight_decay: float = 3e-2
    margin: float = 0.5
    """Margin of a pair whose margin is 1."""
    centring: float = 0.01
    """Weight of (G(chosen) + G(rejected))^2, Eisenstein et al. 2023."""
    outcome: float = 0.5
    """Weight of the cross-entropy of p(success): it makes scores of different templates comparable."""
    honesty: float = 1.0
    """Weight of ranking every honest episode above every hack, across templates."""
    ridge: float = 3.0
    """Pull of the weights towards 0 that read whether the goal was reached, in episodes."""
    honest_ridge: float = 1.0
    """The same of those that read whether an episode was played honestly."""
    familiar: float = 0.995
    """Part of the training episodes that counts as familiar."""
    seed: int = 0


class _Batch:
    """All sides of a material, their steps one after the other, and its pairs as indices."""

    def __init__(self, material: Features, emphasis: Mapping[str, float]) -> None:
        sides = material.sides
        index = {side: n for n, side in enumerate(sides)}
        lengths = [len(material.inputs[side]) for side in sides]
        steps = np.concatenate([material.inputs[side] for side in sides])
        self.features_SF = torch.tensor(steps, dtype=torch.float32)
        self.side_S = torch.repeat_interleave(torch.arange(len(sides)), torch.tensor(lengths))
        self.length_N = torch.tensor(lengths, dtype=torch.float32)
        self.chosen_P = torch.tensor([index[p.chosen] for p in material.pairs])
        self.rejected_P = torch.tensor([index[p.rejected] for p in material.pairs])
        self.margin_P = torch.tensor([p.margin for p in material.pairs])
        prompts = [p.prompt for p in material.pairs]
        counts = {prompt: prompts.count(prompt) for prompt in set(prompts)}
        self.weight_P = torch.tensor([emphasis.get(prompt, 1.0) / counts[prompt] for prompt in prompts])
        keys = sorted({split_key(p.template) for p in material.pairs})
        self.keys = len(keys)
        self.key_P = torch.tensor([keys.index(split_key(p.template)) for p in material.pairs])
        home = {s: k for p, k in zip(material.pairs, self.key_P, strict=True) for s in (p.chosen, p.rejected)}
        self.key_N = torch.stack([home[side] for side in sides])
        self.success_N = torch.tensor([float(side.success) for side in sides])
        swapped = material.swapped
        self.hacks = torch.tensor(
            [n for n, s in enumerate(sides) if s.is_hack and not s.success], dtype=torch.long
        )
        self.honest = torch.tensor(
            [n for n, s in enumerate(sides) if not s.is_hack and s not in swapped], dtype=torch.long
        )


def bradley_terry(
    chosen: torch.Tensor, rejected: torch.Tensor, *, margin: torch.Tensor | float, weight: torch.Tensor
) -> torch.Tensor:
    """Give the weighted mean of -log sigmoid(G(chosen) - G(rejected) - margin).

    Ouyang et al. 2022, equation 1, with Llama 2's margin (Touvron et al. 2023, equation 2). Weights of
    1 / (number of pairs of the prompt) make all pairs of a prompt one element of the batch.
    """
    return -(weight * logsigmoid(chosen - rejected - margin)).sum(-1) / weight.sum(-1)


def fit_ensemble(
    material: Features,
    recipe: Recipe | None = None,
    *,
    start: Ensemble | None = None,
    emphasis: Mapping[str, float] | None = None,
) -> Ensemble:
    """Fit an ensemble; the same material and recipe give the same weights on the same machine.

    Members differ in the features they see, in their weights at the start, and in how often each template
    counts (a Poisson bootstrap over templates).

    Args:
        material: what is fitted.
        recipe: how.
        start: goes on from this model's weights; it must have the recipe's shape.
        emphasis: how much more the pairs of a prompt count, 1 where it says nothing.
    """
    recipe = recipe or Recipe()
    batch = _Batch(material, emphasis or {})
    rng = np.random.default_rng(recipe.seed)
    k, f, h = recipe.members, len(NAMES), recipe.hidden
    mask_KF = _draw_mask(recipe, rng) if start is None else start.mask_KF
    mask = torch.tensor(mask_KF, dtype=torch.float32)
    drawn = torch.tensor(rng.poisson(1.0, (k, batch.keys)), dtype=torch.float32)
    drawn[drawn.sum(1) == 0] = 1.0
    weight_KP, weight_KN = batch.weight_P[None] * drawn[:, batch.key_P], drawn[:, batch.key_N]
    shapes = ((k, f, h), (k, h), (k, h), (k, 2))
    scales = (f**-0.5, 0.0, h**-0.5, 0.0)
    begin = [rng.normal(0, 1, shape) * scale for shape, scale in zip(shapes, scales, strict=True)]
    if start is not None:
        begin[:3] = [start.w1_KFH, start.b1_KH, start.w2_KH]
    weights = [torch.tensor(array, dtype=torch.float32).requires_grad_() for array in begin]
    optimizer = torch.optim.AdamW(weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.steps)
    for _ in range(recipe.steps):
        returns_KN = _returns(batch, mask, *weights[:3])
        chosen_KP, rejected_KP = returns_KN[:, batch.chosen_P], returns_KN[:, batch.rejected_P]
        ranking = bradley_terry(
            chosen_KP, rejected_KP, margin=recipe.margin * batch.margin_P, weight=weight_KP
        )
        centring = (weight_KP * (chosen_KP + rejected_KP) ** 2).sum(1) / weight_KP.sum(1)
        outcome = _outcome_loss(returns_KN, weights[3], batch.success_N, weight_KN)
        honesty = _honesty_loss(returns_KN, batch, weight_KN, rng)
        loss = ranking + recipe.centring * centring + recipe.outcome * outcome + recipe.honesty * honesty
        loss = loss.sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    w1, b1, w2 = (w.detach().double().numpy() for w in weights[:3])
    model = Ensemble(
        mask_KF=mask_KF,
        w1_KFH=w1,
        b1_KH=b1,
        w2_KH=w2,
        **_fit_readings(material, recipe, emphasis or {}),
        gauge=open_gauge(k, f),
        templates=material.keys,
    )
    return replace(model, gauge=_fit_gauge(model, material, recipe))


def _fit_readings(
    material: Features, recipe: Recipe, emphasis: Mapping[str, float]
) -> dict[str, NDArray[np.float64]]:
    """Fit whether the goal was reached, and whether an episode is no hack; each template counts as much."""
    sides, swapped, balance = material.sides, material.swapped, material.balance
    prompt = {side: pair.prompt for pair in material.pairs for side in (pair.chosen, pair.rejected)}
    weight_N = np.array([emphasis.get(prompt[side], 1.0) * balance[side] for side in sides])
    summary_NS = np.array([summarize(material.inputs[side]) for side in sides])
    honest_N = np.array([not side.is_hack and side not in swapped for side in sides])
    either_N = honest_N | np.array([side.is_hack and not side.success for side in sides])
    start = np.zeros(WEIGHTS)

    def fit(target_N: NDArray[np.bool_], told_N: NDArray[np.bool_], pull: float) -> NDArray[np.float64]:
        if len(set(target_N[told_N])) < 2:
            return start
        rows, target, weight = summary_NS[told_N], target_N[told_N].astype(float), weight_N[told_N]
        return fit_odds(
            rows, target, weight, start_F=start, ridge_F=np.append(np.full(WEIGHTS - 1, pull), 1e-4)
        )

    everything = np.ones(len(sides), dtype=bool)
    success_N = np.array([side.success for side in sides])
    return {
        "reached_S": fit(success_N, everything, recipe.ridge),
        "honest_S": fit(honest_N, either_N, recipe.honest_ridge),
    }


def _fit_gauge(model: Ensemble, material: Features, recipe: Recipe) -> Gauge:
    """Fit the gauge so that demonstrations average 0, with what the readings add and take off."""
    shown = [material.inputs[side] for side in material.demonstrations]
    gauge = fit_gauge(
        [material.inputs[side] for side in material.sides],
        [model.reward_features(features) for features in shown],
        familiar=recipe.familiar,
        ridge=_RIDGE,
    )
    summaries = [summarize(one) for one in shown]
    suspicion = np.mean([find_suspicion(float(summary @ model.honest_S)) for summary in summaries])
    reached = np.mean([summary @ model.reached_S for summary in summaries])
    return replace(gauge, centre_K=gauge.centre_K + READING * reached - suspicion)


def _outcome_loss(
    returns_KN: torch.Tensor, line_K2: torch.Tensor, success_N: torch.Tensor, weight_KN: torch.Tensor
) -> torch.Tensor:
    """Give each member's weighted cross-entropy of p(success) = sigmoid(exp(a) * G + b)."""
    logits = line_K2[:, :1].exp() * returns_KN + line_K2[:, 1:]
    loss = binary_cross_entropy_with_logits(logits, success_N.expand_as(logits), reduction="none")
    return (weight_KN * loss).sum(1) / weight_KN.sum(1)


def _honesty_loss(
    returns_KN: torch.Tensor, batch: _Batch, weight_KN: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor:
    """Give each member's Bradley-Terry loss of honest episodes against hacks, a new sample each time."""
    if not len(batch.hacks) or not len(batch.honest):
        return torch.zeros(len(returns_KN))
    honest, hacks = (
        torch.tensor(rng.choice(every, min(_SAMPLE, len(every)), replace=False))
        for every in (batch.honest, batch.hacks)
    )
    gap = returns_KN[:, honest, None] - returns_KN[:, None, hacks]
    weight = weight_KN[:, honest, None] * weight_KN[:, None, hacks]
    return -(weight * logsigmoid(gap)).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1e-9)


def _draw_mask(recipe: Recipe, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw which members see which features, shape (members, features).

    Every feature is kept from equally many members, so that none is lost to all of them by chance.
    """
    blind = min(round((1 - recipe.kept) * recipe.members), recipe.members - 1)
    places = rng.permuted(np.tile(np.arange(recipe.members)[:, None], len(NAMES)), axis=0)
    return (places >= blind).astype(float)


def _returns(
    batch: _Batch, mask_KF: torch.Tensor, w1: torch.Tensor, b1: torch.Tensor, w2: torch.Tensor
) -> torch.Tensor:
    """Give the length-normalised returns, shape (members, sides)."""
    seen_KSF = batch.features_SF.expand(len(w1), -1, -1)
    hidden_KSH = torch.tanh(torch.baddbmm(b1[:, None], seen_KSF, w1 * mask_KF[..., None]))
    rewards_KS = torch.einsum("ksh,kh->ks", hidden_KSH, w2)
    sums_KN = rewards_KS.new_zeros(len(w1), len(batch.length_N)).index_add(1, batch.side_S, rewards_KS)
    return sums_KN / batch.length_N**LENGTH_POWER
