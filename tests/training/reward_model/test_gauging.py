import math
from dataclasses import replace

import numpy as np
import pytest

from milepost.milestones.learned.gauge import READING, LearnedScore
from milepost.training.reward_model.gauging import Point, fit_gauge, fit_line, fit_odds, make_points
from tests.training.reward_model.materials import make_material


def test_demonstrations_average_nothing_and_what_was_there_is_familiar() -> None:
    inputs = [np.array([[-1.0, 0.0]]), np.array([[1.0, 0.0]]), np.array([[0.0, 0.0], [0.0, 0.0]])]
    # Returns of the two members: 2 / sqrt(1) and 4 / sqrt(4), 0 and 1.
    shown = [np.array([[2.0], [0.0]]), np.array([[1.0, 1.0, 1.0, 1.0], [0.5, 0.5, 0.5, 0.5]])]
    gauge = fit_gauge(inputs, shown, familiar=1.0, ridge=1.0)
    assert gauge.centre_K == pytest.approx([2.0, 0.5])
    assert gauge.read(shown[0], inputs[0]).mean == pytest.approx((0.0 - 0.5) / 2)
    # The variances are 1 and 0, and the ridge adds 1 to both: the farthest lies 1 / 2 away, (0, 1) twice as far.
    assert gauge.familiar == pytest.approx(0.5)
    assert not gauge.read(shown[0], inputs[0]).unfamiliar
    assert gauge.read(shown[0], np.array([[0.0, 1.0]])).unfamiliar
    assert (gauge.slope, gauge.penalty, gauge.offset) == (1.0, 0.0, 0.0)


def score(mean: float, spread: float = 0.0) -> LearnedScore:
    return LearnedScore(mean=mean, spread=spread, unfamiliar=False, probability=0.5)


def test_the_line_of_a_calibration_converges_however_large_the_scores_are() -> None:
    # Log odds of 3 to 1 at a score of 30 and of 1 to 3 at -30, many times over.
    points = [
        Point(score=score(sign * 30.0), success=n % 4 > 0 if sign > 0 else n % 4 == 0)
        for sign in (1, -1)
        for n in range(400)
    ]
    slope, penalty, pull, offset = fit_line(points)
    assert slope * 30 + offset == pytest.approx(math.log(3), abs=0.02)
    assert -slope * 30 + offset == pytest.approx(-math.log(3), abs=0.02)
    assert penalty == pytest.approx(0, abs=1e-6)
    assert pull == 0.0


def test_a_spread_that_goes_with_failure_is_held_against_a_score() -> None:
    points = [Point(score=score(1.0, spread=0.0), success=n % 10 > 0) for n in range(200)]
    points += [Point(score=score(1.0, spread=1.0), success=n % 10 == 0) for n in range(200)]
    slope, penalty, _, _ = fit_line(points)
    assert slope * penalty > 2


def test_a_reading_of_the_whole_episode_can_be_all_that_tells() -> None:
    points = [
        # The mean is what it gains by the reading, so that the steps' rewards tell nothing.
        Point(
            score=replace(score(sign * 2.0 * READING), reached=sign * 2.0),
            success=n % 4 > 0 if sign > 0 else n % 4 == 0,
        )
        for sign in (1, -1)
        for n in range(400)
    ]
    _, _, pull, offset = fit_line(points)
    assert pull * 2 + offset == pytest.approx(math.log(3), abs=0.02)
    assert -pull * 2 + offset == pytest.approx(-math.log(3), abs=0.02)


def test_odds_follow_the_weights_and_the_pull_holds_them_back() -> None:
    rows, target = np.ones((2, 1)), np.array([1.0, 0.0])
    start, none = np.zeros(1), np.array([1e-9])
    (odds,) = fit_odds(rows, target, np.array([3.0, 1.0]), start_F=start, ridge_F=none)
    assert odds == pytest.approx(math.log(3))
    (held,) = fit_odds(rows, target, np.array([3.0, 1.0]), start_F=start, ridge_F=np.array([1.0]))
    # Where the slope is 0: 4 * sigmoid(w) - 3 + w = 0.
    assert 4 / (1 + math.exp(-held)) - 3 + held == pytest.approx(0, abs=1e-9)
    assert 0 < held < odds


def test_a_template_of_many_episodes_counts_no_more_than_one_of_few() -> None:
    material = make_material(2)
    few = [pair for pair in material.pairs if pair.template == "Ta-v0"][:4]
    many = [pair for pair in material.pairs if pair.template == "Tb-v0"]
    points = make_points(replace(material, pairs=(*few, *many)), lambda rows: score(float(rows.mean())))
    # Five sides of one prompt against fifteen of three, twenty in all: ten for each template.
    assert [point.weight for point in points] == pytest.approx([2.0] * 5 + [2 / 3] * 15)
    assert sum(point.success for point in points) == 4
