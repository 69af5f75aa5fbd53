"""From trajectories to weighted rows: rewards, advantages, and what they say about the batch."""

from collections.abc import Sequence

import numpy as np

from milepost.training.advantages import assign_credit
from milepost.training.batch import Row, build_rows
from milepost.training.config import AlgorithmSection
from milepost.training.control import shuffle_rewards
from milepost.training.trajectory import Trajectory


def credit_batch(
    trajectories: Sequence[Trajectory],
    algorithm: AlgorithmSection,
    *,
    constant: int,
    rng: np.random.Generator,
) -> tuple[list[Row], dict[str, float]]:
    """Give a batch's rows and `flat_groups`, `mean_size` of advantages, and the share of each baseline.

    Args:
        trajectories: the batch, as it was played.
        algorithm: which advantage, how tokens weigh, and whether rewards are shuffled first.
        constant: the constant of `rollout_sum`.
        rng: draws the shuffle.
    """
    if algorithm.control == "shuffled_rewards":
        trajectories = shuffle_rewards(trajectories, rng)
    credit = assign_credit(
        trajectories,
        estimator=algorithm.advantage,
        scale=algorithm.scale,
        gamma=algorithm.gamma,
        shrinkage=algorithm.shrinkage,
    )
    rows = build_rows(trajectories, credit.advantages, aggregation=algorithm.aggregation, constant=constant)
    turns = max(1, credit.baselines.total())
    sizes = [abs(value) for values in credit.advantages for value in values]
    facts = {f"baseline_{name}": count / turns for name, count in credit.baselines.items()}
    return rows, facts | {
        "flat_groups": credit.flat_groups,
        "mean_size": sum(sizes) / max(1, len(sizes)),
    }
