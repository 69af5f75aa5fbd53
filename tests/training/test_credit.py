from dataclasses import replace

import numpy as np
import pytest

from milepost.training.algorithm import Flag
from milepost.training.credit import credit_batch
from milepost.training.sections import AlgorithmSection
from milepost.training.trajectory import Status
from tests.training.trajectories import from_rewards

BATCH = [
    from_rewards([0.0, 1.0], group="g", member=0),
    from_rewards([0.0], group="g", member=1),
    from_rewards([1.0], group="h", member=0),
    from_rewards([1.0], group="h", member=1),
]


def test_a_batch_becomes_rows_with_advantages_and_weights() -> None:
    rows, facts = credit_batch(BATCH, AlgorithmSection(), constant=10, rng=np.random.default_rng(0))
    # the second turn of the first has reached nothing yet: its peer stood there at its first turn
    assert [row.advantage for row in rows] == [1.0, 1.0, -1.0, 0.0, 0.0]
    assert {row.weight for row in rows} == {1 / 40}
    assert facts == {
        "baseline_anchor": 1.0,
        "flat_groups": 0.5,
        "mean_size": pytest.approx(3 / 5),
    }


def test_a_cut_off_episode_is_a_peer_but_not_a_lesson() -> None:
    cut = replace(BATCH[1], status=Status.TRUNCATED)
    batch = [BATCH[0], cut, *BATCH[2:]]
    flags = AlgorithmSection(flags=[Flag.OVERLONG_FILTER])
    rows, _ = credit_batch(batch, flags, constant=10, rng=np.random.default_rng(0))
    # the others keep the advantages they have against it; three rollouts weigh 1 / (10 x 3) a token
    assert [row.advantage for row in rows] == [1.0, 1.0, 0.0, 0.0]
    assert {row.weight for row in rows} == {1 / 30}
    whole, _ = credit_batch(batch, AlgorithmSection(), constant=10, rng=np.random.default_rng(0))
    assert [row.advantage for row in whole] == [1.0, 1.0, -1.0, 0.0, 0.0]


def test_the_control_shuffles_rewards_before_they_become_credit() -> None:
    shuffled = AlgorithmSection(flags=[Flag.SHUFFLED_REWARDS])
    seen = {
        tuple(
            row.advantage
            for row in credit_batch(BATCH, shuffled, constant=10, rng=np.random.default_rng(s))[0]
        )
        for s in range(20)
    }
    assert len(seen) > 1
