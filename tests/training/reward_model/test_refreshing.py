from dataclasses import replace

import pytest
import torch

from milepost.milestones.learned.features import NAMES
from milepost.training.reward_model.fitting import Recipe, fit_ensemble
from milepost.training.reward_model.material import Features, Material
from milepost.training.reward_model.measurement import judge_with, measure
from milepost.training.reward_model.pairs import PreferenceError
from milepost.training.reward_model.refreshing import find_rank_correlation, refresh, refresh_text
from milepost.training.reward_model.text_fitting import TextRecipe, fit_text
from tests.training.reward_model.materials import CLAIMING, TELLING, make_material
from tests.training.reward_model.test_text_fitting import make_texts

QUICK = Recipe(steps=60, members=2, hidden=8)
OTHER = NAMES.index("text_in_goal")


def turn_round(material: Features, *, feature: int = TELLING, sign: float = -1) -> Features:
    """Make what was good bad: what tells the episodes apart changes its sign, and its place when one is given."""
    features = {}
    for side, rows in material.inputs.items():
        rows = rows.copy()
        told = rows[:, TELLING].copy()
        rows[:, TELLING] = 0
        rows[:, CLAIMING] = 0
        rows[:, feature] = sign * told
        features[side] = rows
    return Material(pairs=material.pairs, inputs=features)


@pytest.fixture(scope="module")
def old() -> Features:
    return make_material(4)


def test_new_preferences_are_learned_and_old_ones_kept(old: Features) -> None:
    model = fit_ensemble(old.select(frozenset(old.keys[1:])), QUICK)
    # What a model makes of a feature it has not learned is chance: take the sign that it has wrong.
    both = (turn_round(make_material(3, seed=1), feature=OTHER, sign=sign) for sign in (-1, 1))
    new = min(
        both, key=lambda one: float(measure([judge_with(model.score_features)(one)])["pairwise_accuracy"])
    )
    fresh, drift = refresh(model, new.select(frozenset(old.keys[1:3])), old, recipe=QUICK)
    assert drift.anchors == old.keys[:1]
    assert (drift.pairs, drift.episodes) == (12, 15)
    assert drift.accuracy_before == 1.0
    assert drift.accuracy_after > 0.9
    assert drift.new_before < 0.5
    assert drift.new_after > drift.new_before + 0.4
    assert drift.rank_correlation > 0.5
    assert fresh.digest != model.digest
    assert set(fresh.templates) == set(old.keys[1:])


def test_a_model_that_got_worse_is_objected_to(old: Features) -> None:
    model = fit_ensemble(old.select(frozenset(old.keys[1:])), QUICK)
    new = turn_round(make_material(3, seed=1)).select(frozenset(old.keys[1:3]))
    _, drift = refresh(model, new, old, replay=0.0, recipe=Recipe(steps=60, members=2, hidden=8))
    assert drift.accuracy_after < 0.8
    assert (drift.turned_right, drift.turned_wrong) == (0, round(12 * (1 - drift.accuracy_after)))
    assert drift.objections[0].startswith("accuracy on the anchors fell from 1.000 to 0.")
    assert drift.as_dict()["objections"] == list(drift.objections)


def test_a_fall_within_the_tolerance_is_no_objection(old: Features) -> None:
    model = fit_ensemble(old.select(frozenset(old.keys[1:])), QUICK)
    _, drift = refresh(model, old.select(frozenset(old.keys[1:])), old, recipe=replace(QUICK, steps=0))
    same = replace(drift, accuracy_before=0.9, accuracy_after=0.891, hacks_before=None, hacks_after=None)
    assert same.objections == ()
    assert replace(same, accuracy_after=0.889).objections == (
        "accuracy on the anchors fell from 0.900 to 0.889",
    )
    hacked = replace(same, hacks_before=0.9, hacks_after=0.5)
    assert hacked.objections == ("separation of hacks on the anchors fell from 0.900 to 0.500",)


def test_without_anchors_there_is_nothing_to_compare_on(old: Features) -> None:
    with pytest.raises(PreferenceError, match="--anchors 5"):
        refresh(fit_ensemble(old, QUICK), old, old, recipe=QUICK)
    model = fit_ensemble(old.select(frozenset(old.keys[1:])), QUICK)
    with pytest.raises(PreferenceError, match="all new pairs are of templates kept as anchors"):
        refresh(model, old.select(frozenset(old.keys[:1])), old, recipe=QUICK)
    with pytest.raises(ValueError, match="0 <= replay < 1, got 1"):
        refresh(model, old, old, replay=1.0)


def test_rank_correlation_by_hand() -> None:
    assert find_rank_correlation([1, 2, 3], [10, 20, 90]) == pytest.approx(1.0)
    assert find_rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    # Ranks 1.5, 1.5, 3 and 1, 2, 3: covariance .75, variances .75 and 1.
    assert find_rank_correlation([5, 5, 6], [1, 2, 3]) == pytest.approx(0.75 / (0.75 * 1) ** 0.5)
    assert find_rank_correlation([1, 1], [1, 2]) == 0.0


def test_the_text_tier_goes_on_and_leaves_the_model_in_use_as_it_was() -> None:
    quick = TextRecipe(epochs=2, heads=2, max_tokens=48)
    old = make_texts(4)
    model = fit_text(old, quick)
    before = model.digest
    fresh, drift = refresh_text(model, old.select(frozenset(model.templates)), old, recipe=quick)
    assert drift.anchors == tuple(sorted(set(old.keys) - set(model.templates)))
    assert (drift.pairs, drift.episodes) == (2, 3)
    assert fresh.templates == model.templates
    assert (model.digest, fresh.digest == before) == (before, False)
    still, drift = refresh_text(model, old, old, recipe=replace(quick, epochs=0))
    assert (drift.mean_shift, drift.rank_correlation) == pytest.approx((0.0, 1.0), abs=1e-5)
    assert torch.equal(still.head_KH, model.head_KH)
