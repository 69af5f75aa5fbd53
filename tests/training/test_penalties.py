from dataclasses import replace

import pytest

from milepost.training.algorithm import Flag
from milepost.training.penalties import add_penalties, is_cut_off
from milepost.training.trajectory import Status
from tests.training.trajectories import make_trajectory, make_turn

TURNS = [make_turn(1.0, completion=(4,) * 9), make_turn(completion=(4,) * 2)]


def test_lengths_are_charged_as_named_rewards_of_their_turn() -> None:
    (charged,) = add_penalties(
        [make_trajectory(TURNS)], [Flag.SOFT_OVERLONG, Flag.LENGTH_PENALTY], longest=10
    )
    assert charged.turns[0].rewards == pytest.approx({"paid": 1.0, "overlong": -0.5, "length": -0.09})
    assert charged.turns[1].rewards == pytest.approx({"length": -0.02})


def test_without_a_flag_nothing_is_charged() -> None:
    batch = [make_trajectory(TURNS)]
    assert add_penalties(batch, [Flag.WHITEN], longest=10) == batch


def test_an_episode_is_cut_off_by_its_steps_or_in_its_last_completion() -> None:
    whole = make_trajectory(TURNS)
    cut = replace(TURNS[1], completion=replace(TURNS[1].completion, stop="length"))
    assert not is_cut_off(whole)
    assert is_cut_off(replace(whole, status=Status.TRUNCATED))
    assert is_cut_off(make_trajectory([TURNS[0], cut]))
    assert not is_cut_off(make_trajectory([cut, TURNS[0]]))
    assert not is_cut_off(make_trajectory([]))
