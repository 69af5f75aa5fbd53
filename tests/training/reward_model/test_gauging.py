import math

import numpy as np
import pytest

from milepost.milestones.learned.gauge import LearnedScore
from milepost.training.reward_model.gauging import fit_gauge, fit_line


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
        (score(sign * 30.0), n % 4 > 0 if sign > 0 else n % 4 == 0) for sign in (1, -1) for n in range(400)
    ]
    slope, penalty, offset = fit_line(points)
    assert slope * 30 + offset == pytest.approx(math.log(3), abs=0.02)
    assert -slope * 30 + offset == pytest.approx(-math.log(3), abs=0.02)
    assert penalty == pytest.approx(0, abs=1e-6)


def test_a_spread_that_goes_with_failure_is_held_against_a_score() -> None:
    points = [(score(1.0, spread=0.0), n % 10 > 0) for n in range(200)]
    points += [(score(1.0, spread=1.0), n % 10 == 0) for n in range(200)]
    slope, penalty, _ = fit_line(points)
    assert slope * penalty > 2
