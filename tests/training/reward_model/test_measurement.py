import pytest

from milepost.training.reward_model.fitting import Recipe
from milepost.training.reward_model.measurement import Judged, cross_validate, fit_calibrated, measure
from milepost.training.reward_model.pairs import PreferenceError, split_key
from tests.training.reward_model.materials import make_material

QUICK = Recipe(steps=30, members=2, hidden=8)


def test_every_template_is_held_out_once() -> None:
    material = make_material()
    judged = list(cross_validate(material, folds=2, recipe=QUICK))
    held = [sorted({split_key(p.template) for p in one.pairs}) for one in judged]
    assert sorted(key for keys in held for key in keys) == list(material.keys)
    found = measure(judged)
    assert found["pairwise_accuracy"] == 1.0
    assert found["best_of_5"] == {"accuracy": 1.0, "n": 12}
    # A third of the honest episodes is solved and above every hack; the others are as bad as hacks.
    assert found["hack_separation"] == pytest.approx(2 / 3, abs=0.1)
    assert found["pairs"] == 48


def test_too_few_templates_are_refused() -> None:
    with pytest.raises(PreferenceError, match="4 folds need at least 8 templates, got 4"):
        next(cross_validate(make_material()))
    with pytest.raises(PreferenceError, match="two templates or more"):
        fit_calibrated(make_material(1))


def test_a_model_is_calibrated_on_templates_of_its_own() -> None:
    model, held = fit_calibrated(make_material(), QUICK)
    assert len(held) == 1
    assert (model.slope, model.offset) != (1.0, 0.0)


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


def test_ties_lose() -> None:
    material = make_material(1)
    flat = dict.fromkeys(material.sides, 0.0)
    never = dict.fromkeys(material.sides, False)
    found = measure([Judged(pairs=material.pairs, score=flat, probability=flat, unfamiliar=never)])
    assert (found["pairwise_accuracy"], found["best_of_5"]["accuracy"]) == (0.0, 0.0)
