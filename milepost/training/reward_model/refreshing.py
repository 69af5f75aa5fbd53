"""Goes on training a reward model on new preferences, without forgetting, and says how far it moved."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from milepost.milestones.learned.ensemble import Ensemble
from milepost.training.reward_model.fitting import Recipe, fit_ensemble
from milepost.training.reward_model.gauging import calibrate, make_points
from milepost.training.reward_model.material import Features, Material, Texts
from milepost.training.reward_model.measurement import Judged, judge_with, measure
from milepost.training.reward_model.pairs import Pair, PreferenceError, Side
from milepost.training.reward_model.text_fitting import TextRecipe, go_on
from milepost.training.reward_model.text_tier import TextModel

_Input = TypeVar("_Input")

REFRESH = Recipe(steps=60, learning_rate=3e-3)
"""Shorter and slower than a first fit."""

TEXT_REFRESH = TextRecipe(epochs=1, learning_rate=3e-4)
"""The same of the text tier, for the tiny trunk."""

TOLERANCE = 0.01
"""How much a figure on the anchors may fall before the new model is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What a refresh changed, on anchors: templates that neither model was fitted to."""

    anchors: tuple[str, ...]
    episodes: int
    pairs: int
    mean_shift: float
    """Mean of new score minus old score."""
    spread_of_shift: float
    rank_correlation: float
    """Spearman's, of the scores of the anchors' episodes."""
    accuracy_before: float
    accuracy_after: float
    hacks_before: float | None
    """Area under the curve, honest episodes against hacks."""
    hacks_after: float | None
    turned_right: int
    """Pairs that the old model had wrong and the new one has right."""
    turned_wrong: int
    new_before: float
    """Accuracy on the new pairs, which the new model was fitted to."""
    new_after: float

    @property
    def objections(self) -> tuple[str, ...]:
        """Why the new model may not take the old one's place; empty when it may."""
        figures = (
            ("accuracy on the anchors", self.accuracy_before, self.accuracy_after),
            ("separation of hacks on the anchors", self.hacks_before, self.hacks_after),
        )
        return tuple(
            f"{name} fell from {before:.3f} to {after:.3f}"
            for name, before, after in figures
            if before is not None and after is not None and after < before - TOLERANCE
        )

    def as_dict(self) -> dict[str, Any]:
        """Give the report for programs."""
        return {**asdict(self), "objections": list(self.objections)}


def refresh(
    model: Ensemble, new: Features, old: Features, *, replay: float = 0.5, recipe: Recipe = REFRESH
) -> tuple[Ensemble, Drift]:
    """Fit the small tier to new pairs and, beside them, to old ones again.

    Args:
        model: the model in use.
        new: pairs that have come in since.
        old: pairs it was fitted to, and those of the templates kept out as anchors.
        replay: part of the loss that old pairs make up, in [0, 1).
        recipe: how it is fitted.

    Raises:
        PreferenceError: no template of `old` was kept out of the model, or all are in the new pairs.
    """
    parts = _part(model.templates, new, old, replay)
    fitted = fit_ensemble(parts.both, recipe, start=model, emphasis=parts.emphasis)
    points = make_points(parts.anchors, fitted.score_features)
    fitted = replace(
        fitted, gauge=calibrate(fitted.gauge, points), templates=parts.templates(model.templates)
    )
    return fitted, _measure_drift(parts, *(judge_with(one.score_features) for one in (model, fitted)))


def refresh_text(
    model: TextModel, new: Texts, old: Texts, *, replay: float = 0.5, recipe: TextRecipe = TEXT_REFRESH
) -> tuple[TextModel, Drift]:
    """Fit the text tier as `refresh` does the small one; the model given is left as it was."""
    parts = _part(model.templates, new, old, replay)
    fitted = go_on(model, parts.both, recipe, emphasis=parts.emphasis)
    fitted.gauge = calibrate(fitted.gauge, make_points(parts.anchors, fitted.score_episode))
    fitted.templates = parts.templates(model.templates)
    return fitted, _measure_drift(parts, *(judge_with(one.score_episode) for one in (model, fitted)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts(Generic[_Input]):
    """What a refresh is fitted to, and what it is measured on."""

    both: Material[_Input]
    added: Material[_Input]
    anchors: Material[_Input]
    emphasis: Mapping[str, float]

    def templates(self, before: Sequence[str]) -> tuple[str, ...]:
        return tuple(sorted({*before, *self.added.keys}))


def _part(
    templates: Sequence[str], new: Material[_Input], old: Material[_Input], replay: float
) -> _Parts[_Input]:
    if not 0 <= replay < 1:
        raise ValueError(f"replay is a part of the loss, expected 0 <= replay < 1, got {replay}")
    anchors = frozenset(old.keys) - frozenset(templates)
    if not anchors:
        raise PreferenceError(
            "no template was kept out of the model, so nothing shows whether a new one is worse; "
            "train with: milepost reward-model train --anchors 5"
        )
    kept = _tag(old.select(frozenset(old.keys) - anchors), "old")
    added = _tag(new.select(frozenset(new.keys) - anchors), "new")
    if not added.pairs:
        raise PreferenceError(
            f"all new pairs are of templates kept as anchors ({', '.join(sorted(anchors))})"
        )
    return _Parts(
        both=Material(pairs=(*kept.pairs, *added.pairs), inputs={**kept.inputs, **added.inputs}),
        added=added,
        # Calibrated on the anchors: what is compared on them is ranks, which a calibration leaves as they are.
        anchors=old.select(anchors),
        emphasis=_weigh(kept.pairs, added.pairs, replay),
    )


def find_rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Give Spearman's rank correlation; ties share their mean rank. 0 when one of them does not vary."""
    ranks = [_rank(np.asarray(values, dtype=float)) for values in (one, other)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _rank(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[inverse]


def _tag(material: Material[_Input], tag: str) -> Material[_Input]:
    """Mark episodes and prompts: the same task and seed may be in both runs."""

    def mark(side: Side) -> Side:
        return replace(side, episode=f"{side.episode}@{tag}")

    pairs = (
        replace(p, prompt=f"{p.prompt}@{tag}", chosen=mark(p.chosen), rejected=mark(p.rejected))
        for p in material.pairs
    )
    inputs = {mark(side): material.inputs[side] for side in material.sides}
    return Material(pairs=tuple(pairs), inputs=inputs)


def _weigh(kept: Sequence[Pair], added: Sequence[Pair], replay: float) -> dict[str, float]:
    """Weigh prompts so that the old ones make up `replay` of the loss, whatever their number."""
    olds, news = ({pair.prompt for pair in part} for part in (kept, added))
    share = {prompt: replay / max(1, len(olds)) for prompt in olds}
    share |= {prompt: (1 - replay) / len(news) for prompt in news}
    total = len(share)
    return {prompt: part * total for prompt, part in share.items()}


def _measure_drift(
    parts: _Parts[_Input],
    old: Callable[[Material[_Input]], Judged],
    fresh: Callable[[Material[_Input]], Judged],
) -> Drift:
    held = parts.anchors
    before, after = (judge(held) for judge in (old, fresh))
    sides = held.sides
    shift = np.array([after.score[side] - before.score[side] for side in sides])
    right = [
        (before.score[p.chosen] > before.score[p.rejected], after.score[p.chosen] > after.score[p.rejected])
        for p in held.pairs
    ]
    figures = [measure([one]) for one in (before, after)]
    new = [measure([judge(parts.added)])["pairwise_accuracy"] for judge in (old, fresh)]
    return Drift(
        anchors=held.keys,
        episodes=len(sides),
        pairs=len(held.pairs),
        mean_shift=float(shift.mean()),
        spread_of_shift=float(shift.std()),
        rank_correlation=find_rank_correlation(
            [before.score[side] for side in sides], [after.score[side] for side in sides]
        ),
        accuracy_before=figures[0]["pairwise_accuracy"],
        accuracy_after=figures[1]["pairwise_accuracy"],
        hacks_before=figures[0]["hack_separation"],
        hacks_after=figures[1]["hack_separation"],
        turned_right=sum(b > a for a, b in right),
        turned_wrong=sum(a > b for a, b in right),
        new_before=new[0],
        new_after=new[1],
    )
