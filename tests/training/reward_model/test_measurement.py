import numpy as np
import pytest

from milepost.training.reward_model.fitting import Recipe, fit_ensemble
from milepost.training.reward_model.measurement import (
    Judged,
    choose_best,
    cross_validate,
    fit_calibrated,
    is_reserved,
    keep_anchors,
    measure,
)
from milepost.training.reward_model.pairs import PreferenceError, split_key
from tests.training.reward_model.materials import make_material

QUICK = Recipe(steps=40, members=2, hidden=8)


def test_every_template_is_held_out_once() -> None:
    material = make_material()
    judged = list(cross_validate(material, folds=2, recipe=QUICK))
    held = [sorted({split_key(p.template) for p in one.pairs}) for one in judged]
    assert sorted(key for keys in held for key in keys) == list(material.keys)
    found = measure(judged)
    assert found["pairwise_accuracy"] > 0.95
    assert found["best_of_5"]["n"] == 12
    assert found["hack_separation"] > 0.8
    assert found["pairs"] == 48


def test_too_few_templates_are_refused() -> None:
    with pytest.raises(PreferenceError, match="4 folds need at least 8 templates, got 4"):
        next(cross_validate(make_material()))
    with pytest.raises(PreferenceError, match="two templates or more"):
        fit_calibrated(make_material(1))


def test_a_model_is_calibrated_on_what_models_of_other_templates_say() -> None:
    material = make_material()
    model = fit_calibrated(material, QUICK)
    assert model.templates == material.keys
    assert (model.gauge.slope, model.gauge.offset) != (1.0, 0.0)
    plain = fit_ensemble(material, QUICK)
    assert np.array_equal(model.w1_KFH, plain.w1_KFH)


def test_what_is_kept_for_a_purpose_depends_on_the_name_alone() -> None:
    kept = {key for key in "abcdefghijklmnop" if is_reserved(key, one_in=3, purpose="held out")}
    assert kept == {key for key in kept if is_reserved(key, one_in=3, purpose="held out")}
    assert 1 <= len(kept) <= 10
    pairs = make_material(12).pairs
    left = keep_anchors(pairs, one_in=3)
    gone = {split_key(p.template) for p in pairs} - {split_key(p.template) for p in left}
    assert gone == {
        key
        for key in map(split_key, (p.template for p in pairs))
        if is_reserved(key, one_in=3, purpose="anchor")
    }
    assert gone
    assert keep_anchors(pairs, one_in=0) == list(pairs)


def test_choosing_by_a_wrong_score_costs_more_the_more_there_is_to_choose_from() -> None:
    right = [[(float(k), float(k)) for k in range(4)]]
    wrong = [[(float(k), -float(k)) for k in range(4)]]
    assert choose_best([*right, *wrong], 4) == [3.0, -3.0]
    # The better of two out of 0..3 is 1, 2 or 3 in 1, 2 and 3 of 6 choices: on average 14/6.
    assert choose_best([*right, *wrong], 2) == [pytest.approx(14 / 6), pytest.approx(-14 / 6)]
    assert choose_best(right, 1) == [pytest.approx(1.5)]
    # Of equal scores none is better: one of the two counts for each of the three pairs, half the time each.
    assert choose_best([[(1.0, 0.0), (1.0, 4.0), (0.0, 9.0)]], 2) == [pytest.approx(2.0)]
    with pytest.raises(ValueError, match="best of 5 needs pools of 5 episodes, the smallest has 4"):
        choose_best(right, 5)


def test_figures_of_a_model_that_is_wrong() -> None:
    material = make_material(2)
    score = {side: -1.0 if side.success else 1.0 for side in material.sides}
    chance = {side: 0.1 if side.success else 0.9 for side in material.sides}
    never = dict.fromkeys(material.sides, False)
    found = measure([Judged(pairs=material.pairs, score=score, probability=chance, unfamiliar=never)])
    assert (found["pairwise_accuracy"], found["outcome_accuracy"], found["threshold"]) == (0.0, 0.0, None)
    assert found["best_of_5"]["accuracy"] == 0.0
    assert found["brier"] == pytest.approx(0.81)
    assert found["calibration_error"] == pytest.approx(0.9)
    assert found["adaptive_calibration_error"] == pytest.approx(0.9)


def test_ties_lose() -> None:
    material = make_material(1)
    flat = dict.fromkeys(material.sides, 0.0)
    never = dict.fromkeys(material.sides, False)
    found = measure([Judged(pairs=material.pairs, score=flat, probability=flat, unfamiliar=never)])
    assert (found["pairwise_accuracy"], found["best_of_5"]["accuracy"]) == (0.0, 0.0)
