"""Spaces of text."""

import numpy as np

from milepost.envs.spaces import Unicode, observation_space
from milepost.sandbox.observation import Observation


def test_any_string_that_is_not_too_long_belongs() -> None:
    space = Unicode(max_length=5)
    assert space.contains("äß→")
    assert space.contains("")
    assert not space.contains("123456")
    assert not space.contains(5)


def test_samples_belong_and_follow_the_seed() -> None:
    first, second = Unicode(seed=3), Unicode(seed=3)
    drawn = [first.sample() for _ in range(5)]
    assert drawn == [second.sample() for _ in range(5)]
    assert all(first.contains(text) for text in drawn)


def test_an_observation_belongs_to_the_observation_space() -> None:
    view = Observation(goal="g", url="u", title="t", tabs=("* t",), changes=("x",))
    assert observation_space().contains(view.as_dict())


def test_spaces_of_one_length_are_equal() -> None:
    assert Unicode(max_length=5) == Unicode(max_length=5, seed=np.random.default_rng(0))
    assert Unicode(max_length=5) != Unicode(max_length=6)
