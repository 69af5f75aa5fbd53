from dataclasses import replace

import numpy as np
import pytest

from milepost.milestones.learned.gauge import NOTHING_DONE, Gauge, make_gauge, open_gauge, sum_rewards

REWARDS_KT = np.array([[1.0, 1.0, 0.0, 0.0], [3.0, 3.0, 0.0, 0.0]])
INPUTS_TF = np.array([[1.0, 0.0]] * 4)


def test_a_return_is_the_sum_over_the_root_of_the_length() -> None:
    assert sum_rewards(REWARDS_KT) == pytest.approx([1.0, 3.0])
    score = open_gauge(2, 2).read(REWARDS_KT, INPUTS_TF)
    assert (score.mean, score.spread, score.unfamiliar) == (2.0, 1.0, False)
    assert score.probability == pytest.approx(1 / (1 + np.exp(-2.0)))


def test_demonstrations_and_spread_are_taken_off() -> None:
    gauge = replace(open_gauge(2, 2), centre_K=np.array([1.0, 1.0]), slope=2.0, penalty=0.25, offset=-1.0)
    score = gauge.read(REWARDS_KT, INPUTS_TF)
    assert (score.mean, score.spread) == (1.0, 1.0)
    assert score.probability == pytest.approx(1 / (1 + np.exp(-(2.0 * (1.0 - 0.25) - 1.0))))


def test_suspicion_is_taken_off_the_mean_alone_and_a_reading_moves_both() -> None:
    gauge = replace(open_gauge(2, 2), pull=0.5)
    plain, told = (gauge.read(REWARDS_KT, INPUTS_TF, suspicion=1.5, reached=r) for r in (0.0, -4.0))
    assert (plain.mean, plain.spread, plain.reached) == (0.5, 1.0, 0.0)
    assert (told.mean, told.spread, told.reached) == (-0.5, 1.0, -4.0)
    assert plain.unsuspicious == told.unsuspicious == 2.0
    # The probability is of the mean of the steps' rewards, 2.
    assert plain.probability == pytest.approx(1 / (1 + np.exp(-2.0)))
    assert told.probability == pytest.approx(0.5)


def test_what_lies_far_away_is_unfamiliar_and_nothing_is_below_all() -> None:
    gauge = replace(open_gauge(2, 2), mean_F=np.array([0.0, 1.0]), familiar=1.9)
    assert gauge.read(REWARDS_KT, INPUTS_TF).unfamiliar
    assert not replace(gauge, familiar=2.0).read(REWARDS_KT, INPUTS_TF).unfamiliar
    assert gauge.read(np.zeros((2, 0)), np.zeros((0, 2))) == NOTHING_DONE


def test_it_is_made_again_from_what_is_stored() -> None:
    gauge = replace(open_gauge(2, 2), familiar=3.0, slope=2.0, centre_K=np.array([0.5, -0.5]))
    again = make_gauge({**gauge.numbers, **gauge.arrays, "other": 1})
    assert isinstance(again, Gauge)
    assert again.read(REWARDS_KT, INPUTS_TF) == gauge.read(REWARDS_KT, INPUTS_TF)
    with pytest.raises(KeyError):
        make_gauge(gauge.numbers)
