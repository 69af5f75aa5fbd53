import math

import numpy as np
import pytest

from milepost.milestones.learned.features import NAMES
from milepost.milestones.learned.reading import WEIGHTS, find_suspicion, summarize

STEP = sum(not name.startswith("last_") for name in NAMES)


def rows(**features: list[float]) -> np.ndarray:
    found = np.zeros((len(next(iter(features.values()))), len(NAMES)))
    for name, values in features.items():
        found[:, NAMES.index(name)] = values
    return found


def test_a_summary_is_mean_end_greatest_least_and_what_the_end_alone_says() -> None:
    summary = summarize(rows(verb_click=[1.0, 0.0, 0.5, 0.5], last_keys_left=[0.0, 0.0, 0.0, 0.25]))
    assert summary[[0, STEP, 2 * STEP, 3 * STEP]] == pytest.approx([0.5, 0.5, 1.0, 0.0])
    assert summary[4 * STEP :] == pytest.approx([0.25, 0.0, 0.0, 1.0])
    assert (len(summary), summary.sum()) == (WEIGHTS, pytest.approx(3.25))


def test_a_summary_does_not_say_how_many_steps_there_were() -> None:
    once = rows(verb_click=[0.25], keys_done=[1.0], last_keys_done=[1.0], last_=[1.0])
    again = np.repeat(once, 7, axis=0)
    again[:-1, [name.startswith("last_") for name in NAMES]] = 0.0
    assert summarize(once) == pytest.approx(summarize(again))


def test_suspicion_is_what_an_honest_episode_is_spared() -> None:
    assert find_suspicion(0.0) == pytest.approx(2 * math.log(2))
    assert find_suspicion(50.0) == pytest.approx(0.0, abs=1e-12)
    assert find_suspicion(-900.0) == pytest.approx(1800.0)
