"""A control experiment: what is learnt when rewards are dealt out to other trajectories."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from milepost.training.trajectory import Trajectory, Turn

SHUFFLED = "shuffled"
"""Name of a reward that came from another trajectory."""


def shuffle_rewards(trajectories: Sequence[Trajectory], rng: np.random.Generator) -> list[Trajectory]:
    """Permute the sequences of rewards between the scored trajectories of a batch.

    The returns of the batch stay as they are, but no longer say anything about what was done; a policy that
    still improves is not taught by its rewards. What a longer sequence pays beyond the last turn of its new
    owner is paid at that turn.
    """
    scored = [i for i, trajectory in enumerate(trajectories) if trajectory.scored and trajectory.turns]
    donors = [scored[i] for i in rng.permutation(len(scored)).tolist()]
    dealt = list(trajectories)
    for owner, donor in zip(scored, donors, strict=True):
        turns = _pay(trajectories[owner].turns, trajectories[donor].step_rewards())
        parts = {SHUFFLED: float(sum(turn.rewards.get(SHUFFLED, 0.0) for turn in turns))}
        dealt[owner] = replace(trajectories[owner], turns=turns, reward_parts=parts)
    return dealt


def _pay(turns: Sequence[Turn], rewards: Sequence[float]) -> tuple[Turn, ...]:
    kept = list(rewards[: len(turns)]) + [0.0] * (len(turns) - len(rewards))
    kept[-1] += sum(rewards[len(turns) :])
    return tuple(
        replace(turn, rewards={SHUFFLED: value} if value else {})
        for turn, value in zip(turns, kept, strict=True)
    )
