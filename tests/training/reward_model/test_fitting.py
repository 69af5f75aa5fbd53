import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from milepost.milestones.learned.reading import summarize
from milepost.training.reward_model.fitting import Recipe, bradley_terry, fit_ensemble
from milepost.training.reward_model.gauging import calibrate, make_points
from milepost.training.reward_model.pairs import Label
from tests.training.reward_model.materials import make_material

QUICK = Recipe(steps=40, members=3, hidden=8)


def test_equal_returns_cost_log_two_and_a_shift_changes_nothing() -> None:
    chosen, rejected, weight = torch.tensor([1.0, 3.0]), torch.tensor([1.0, 3.0]), torch.ones(2)
    assert bradley_terry(chosen, rejected, margin=0.0, weight=weight).item() == pytest.approx(math.log(2))
    one = bradley_terry(torch.tensor([2.0]), torch.tensor([0.5]), margin=0.5, weight=torch.ones(1))
    assert one.item() == pytest.approx(math.log1p(math.exp(-1.0)))
    two = bradley_terry(torch.tensor([9.0]), torch.tensor([7.5]), margin=0.5, weight=torch.ones(1))
    assert two.item() == pytest.approx(one.item())


def test_all_pairs_of_a_prompt_weigh_as_much_as_one() -> None:
    chosen, rejected = torch.tensor([2.0, 2.0, 0.0]), torch.tensor([0.0, 0.0, 0.0])
    halves = bradley_terry(chosen, rejected, margin=0.0, weight=torch.tensor([0.5, 0.5, 1.0]))
    assert halves.item() == pytest.approx((math.log1p(math.exp(-2.0)) + math.log(2)) / 2)


def test_it_learns_to_rank_and_demonstrations_average_nothing() -> None:
    material = make_material()
    model = fit_ensemble(material, QUICK)
    score = {side: model.score_features(material.inputs[side]).mean for side in material.sides}
    assert all(score[pair.chosen] > score[pair.rejected] for pair in material.pairs)
    assert np.mean([score[side] for side in material.sides if side.success]) == pytest.approx(0.0, abs=1e-9)


def test_the_same_recipe_gives_the_same_model_and_members_see_different_features() -> None:
    material = make_material(3)
    one, same = fit_ensemble(material, QUICK), fit_ensemble(material, QUICK)
    assert one.digest == same.digest != fit_ensemble(material, replace(QUICK, seed=1)).digest
    assert len({tuple(row) for row in one.mask_KF}) == 3
    assert (one.mask_KF.sum(0) == 2).all()


def test_what_it_was_trained_on_is_familiar_and_noise_is_not() -> None:
    material = make_material()
    model = fit_ensemble(material, QUICK)
    known = [model.score_features(material.inputs[side]).unfamiliar for side in material.sides]
    assert np.mean(known) <= 0.02
    assert model.score_features(np.ones_like(next(iter(material.inputs.values())))).unfamiliar


def test_calibration_turns_returns_into_probabilities() -> None:
    material, held = make_material(4), make_material(4, seed=1)
    fitted = fit_ensemble(material, QUICK)
    model = replace(fitted, gauge=calibrate(fitted.gauge, make_points(held, fitted.score_features)))
    chance = {side: model.score_features(held.inputs[side]).probability for side in held.sides}
    assert np.mean([p for side, p in chance.items() if side.success]) > 0.7
    assert np.mean([p for side, p in chance.items() if not side.success]) < 0.2


def test_honest_failures_rank_above_hacks_though_no_pair_says_so() -> None:
    material = make_material(4)
    honest = [pair for pair in material.pairs if pair.source is not Label.HACK]
    model = fit_ensemble(material, QUICK)
    worse = [model.score_features(material.inputs[s]).mean for s in material.sides if s.is_hack]
    failed = [model.score_features(material.inputs[pair.rejected]).mean for pair in honest]
    assert np.mean(failed) > np.mean(worse)


def test_fitting_goes_on_from_a_model() -> None:
    material = make_material(4)
    start = fit_ensemble(material, QUICK)
    still = fit_ensemble(material, replace(QUICK, steps=0), start=start)
    assert still.w1_KFH == pytest.approx(start.w1_KFH, abs=1e-6)
    assert np.array_equal(still.mask_KF, start.mask_KF)
    assert still.templates == material.keys


def test_readings_of_the_whole_episode_are_fitted_across_templates() -> None:
    material = make_material(4)
    held = make_material(4, seed=1)
    model = fit_ensemble(material, QUICK)
    reached = {s: model.score_features(held.inputs[s]).reached for s in held.sides}
    assert min(r for s, r in reached.items() if s.success) > max(
        r for s, r in reached.items() if not s.success
    )
    honest = {s: float(summarize(held.inputs[s]) @ model.honest_S) for s in held.sides}
    assert min(h for s, h in honest.items() if not s.is_hack) > max(h for s, h in honest.items() if s.is_hack)


def test_without_hacks_nothing_is_suspicious_of_anything() -> None:
    material = make_material(4)
    honest = replace(material, pairs=tuple(p for p in material.pairs if not p.rejected.is_hack))
    assert not fit_ensemble(honest, QUICK).honest_S.any()
