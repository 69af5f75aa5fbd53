import math

import numpy as np
import pytest

from milepost.milestones.learned.reading import count_weights, find_suspicion, summarize


def test_a_summary_is_mean_end_greatest_least_and_a_constant() -> None:
    episode = np.array([[1.0, -1.0], [0.0, 0.5], [0.5, 0.0], [0.5, 0.0]])
    assert summarize(episode) == pytest.approx([0.5, -0.125, 0.5, 0.0, 1.0, 0.5, 0.0, -1.0, 1.0])
    assert len(summarize(episode)) == count_weights(2)


def test_a_summary_does_not_say_how_many_steps_there_were() -> None:
    step = np.array([[0.25, -1.0]])
    assert summarize(step) == pytest.approx(summarize(np.repeat(step, 7, axis=0)))


def test_suspicion_is_what_an_honest_episode_is_spared() -> None:
    assert find_suspicion(0.0) == pytest.approx(2 * math.log(2))
    assert find_suspicion(50.0) == pytest.approx(0.0, abs=1e-12)
    assert find_suspicion(-900.0) == pytest.approx(1800.0)
