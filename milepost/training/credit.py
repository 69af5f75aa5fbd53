"""From trajectories to weighted rows: rewards, advantages, and what they say about the batch."""

from collections.abc import Sequence

import numpy as np

from milepost.training.algorithm import Flag
from milepost.training.assignment import assign_credit
from milepost.training.batch import Row, build_rows
from milepost.training.control import shuffle_rewards
from milepost.training.critic import Critic
from milepost.training.penalties import add_penalties, is_cut_off
from milepost.training.sections import AlgorithmSection
from milepost.training.trajectory import Trajectory
from milepost.training.valuation import credit_by_values


def credit_batch(
    trajectories: Sequence[Trajectory],
    algorithm: AlgorithmSection,
    *,
    constant: int,
    rng: np.random.Generator,
    critic: Critic | None = None,
) -> tuple[list[Row], dict[str, float]]:
    """Give a batch's rows and `flat_groups`, `mean_size` of advantages, and the share of each baseline.

    Args:
        trajectories: the batch, as it was played.
        algorithm: which advantage, how tokens weigh, and whether rewards are shuffled first.
        constant: the constant of `rollout_sum`, which is the longest completion in tokens.
        rng: draws the shuffle.
        critic: gives values where the advantage needs them, and then learns the returns of this batch.

    Raises:
        ValueError: the advantage needs a critic and there is none.
        RewardError: a reward is not a finite number.
    """
    if Flag.SHUFFLED_REWARDS in algorithm.flags:
        trajectories = shuffle_rewards(trajectories, rng)
    trajectories = add_penalties(trajectories, algorithm.flags, longest=constant)
    if algorithm.advantage.needs_critic:
        if critic is None:
            raise ValueError(f"advantage {algorithm.advantage} needs a critic, none was given")
        return credit_by_values(
            _drop_cut_off(trajectories, algorithm), algorithm.resolve(), critic, constant=constant
        )
    credit = assign_credit(
        trajectories,
        estimator=algorithm.advantage,
        scale=algorithm.scale,
        gamma=algorithm.gamma,
        shrinkage=algorithm.shrinkage,
    )
    kept = [
        (one, values)
        for one, values in zip(trajectories, credit.advantages, strict=True)
        if not (Flag.OVERLONG_FILTER in algorithm.flags and is_cut_off(one))
    ]
    rows = build_rows(
        [one for one, _ in kept],
        [values for _, values in kept],
        aggregation=algorithm.aggregation,
        constant=constant,
    )
    turns = max(1, credit.baselines.total())
    sizes = [abs(value) for values in credit.advantages for value in values]
    facts = {f"baseline_{name}": count / turns for name, count in credit.baselines.items()}
    return rows, facts | {
        "flat_groups": credit.flat_groups,
        "mean_size": sum(sizes) / max(1, len(sizes)),
    }


def _drop_cut_off(trajectories: Sequence[Trajectory], algorithm: AlgorithmSection) -> list[Trajectory]:
    """Leave cut-off episodes out, where the flag says so; a critic compares nobody with them."""
    dropped = Flag.OVERLONG_FILTER in algorithm.flags
    return [one for one in trajectories if not (dropped and is_cut_off(one))]
