import numpy as np

from milepost.training.control import SHUFFLED, shuffle_rewards
from milepost.training.trajectory import Status
from tests.training.trajectories import from_rewards

BATCH = [
    from_rewards([0.0, 1.0, 0.5], member=0),
    from_rewards([0.25], member=1),
    from_rewards([9.0], member=2, status=Status.TIMEOUT),
    from_rewards([0.0, 0.0], member=3),
]


def test_shuffling_keeps_the_returns_of_the_batch_but_not_their_owners() -> None:
    owners = set()
    for seed in range(20):
        dealt = shuffle_rewards(BATCH, np.random.default_rng(seed))
        assert sorted(t.ret for t in dealt if t.scored) == [0.0, 0.25, 1.5]
        assert [len(t.turns) for t in dealt] == [3, 1, 1, 2]
        owners.add(next(i for i, t in enumerate(dealt) if t.ret == 1.5))
    assert owners == {0, 1, 3}


def test_rewards_beyond_the_last_turn_are_paid_there() -> None:
    deals = (shuffle_rewards(BATCH, np.random.default_rng(seed)) for seed in range(100))
    dealt = next(deal for deal in deals if deal[1].ret == 1.5)
    assert dealt[1].step_rewards() == [1.5]
    assert dealt[1].reward_parts == {SHUFFLED: 1.5}


def test_an_unscored_trajectory_neither_gives_nor_takes() -> None:
    assert shuffle_rewards(BATCH, np.random.default_rng(0))[2] == BATCH[2]
