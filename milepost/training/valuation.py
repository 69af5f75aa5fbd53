"""Credit by a critic: its values become token advantages, and the returns become its next lesson."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from milepost.training.advantages import Baseline, Estimator
from milepost.training.algorithm import Algorithm, Flag
from milepost.training.assignment import check_rewards
from milepost.training.batch import Row, build_rows
from milepost.training.critic import Critic
from milepost.training.gae import bi_level_gae, token_gae, turn_gae, whiten
from milepost.training.trajectory import Trajectory

Ragged = list[list[float]]

CRITIC_EPOCHS = 4
"""Least passes of the critic: a policy that takes a single step of a batch would leave it all but untaught."""


def credit_by_values(
    trajectories: Sequence[Trajectory], algorithm: Algorithm, critic: Critic, *, constant: int
) -> tuple[list[Row], dict[str, float]]:
    """Give a batch's rows with token advantages, and teach the critic the returns.

    Values and returns are those of the critic before it learns: they are fixed over all its passes. An episode that
    was cut off is taken to be worth nothing after its last turn, as its reward says.

    Args:
        trajectories: the batch.
        algorithm: which of the generalised advantages, and its gamma, lambda, value clip and passes.
        critic: changed in place.
        constant: the constant of `rollout_sum`.

    Raises:
        RewardError: a reward is not a finite number.
    """
    for one in trajectories:
        if one.scored:
            check_rewards(one)
    nothing = [[0.0] * len(one.turns) for one in trajectories]
    rows = build_rows(trajectories, nothing, aggregation=algorithm.aggregation, constant=constant)
    if not rows:
        return [], {"flat_groups": 0.0, "mean_size": 0.0}
    values = critic.value_rows(rows)
    advantages = list(_estimate(trajectories, values, algorithm))
    returns = [
        [a + v for a, v in zip(own, value, strict=True)]
        for own, value in zip(advantages, values, strict=True)
    ]
    lesson = critic.update(
        rows,
        returns,
        values,
        clip=algorithm.value_clip or None,
        epochs=max(CRITIC_EPOCHS, algorithm.epochs),
    )
    scaled = _whiten_rows(advantages) if Flag.WHITEN in algorithm.flags else advantages
    found = [replace(row, token_advantages=tuple(own)) for row, own in zip(rows, scaled, strict=True)]
    sizes = [abs(a) for own in scaled for a in own]
    return found, {
        f"baseline_{Baseline.CRITIC}": 1.0,
        "flat_groups": float(not any(sizes)),
        "mean_size": sum(sizes) / len(sizes),
        "value_loss": lesson,
        "explained_variance": explain_variance(values, returns),
    }


def _estimate(
    trajectories: Sequence[Trajectory], values: Ragged, algorithm: Algorithm
) -> Iterator[list[float]]:
    """Give the advantages of each row, in the order of the rows."""
    at = 0
    for one in trajectories:
        if not one.scored:
            continue
        spoken = [bool(turn.completion.completion_ids) for turn in one.turns]
        rewards_K = _join_rewards(one.step_rewards(), spoken)
        own = values[at : at + sum(spoken)]
        at += len(own)
        if algorithm.advantage is Estimator.BI_LEVEL_GAE:
            yield from bi_level_gae(
                rewards_K, own, gamma=algorithm.gamma, lam=algorithm.lam, token_lam=algorithm.lam
            )
        elif algorithm.advantage is Estimator.TURN_GAE:
            yield from turn_gae(rewards_K, own, gamma=algorithm.gamma, lam=algorithm.lam)
        else:
            yield from token_gae(rewards_K, own, gamma=algorithm.gamma, lam=algorithm.lam)


def _join_rewards(rewards_T: Sequence[float], spoken_T: Sequence[bool]) -> list[float]:
    """Give what a turn without an LLM call earned to the last turn with one."""
    joined: list[float] = []
    for reward, spoken in zip(rewards_T, spoken_T, strict=True):
        if spoken:
            joined.append(reward)
        elif joined:
            joined[-1] += reward
    return joined


def _whiten_rows(advantages: Ragged) -> Ragged:
    flat = iter(whiten([a for own in advantages for a in own]))
    return [[next(flat) for _ in own] for own in advantages]


def explain_variance(values: Ragged, returns: Ragged) -> float:
    """Compute 1 - Var(return - value) / Var(return) over all tokens; 0 where returns do not vary."""
    flat_v = [v for own in values for v in own]
    flat_r = [r for own in returns for r in own]
    spread = _variance(flat_r)
    return 1.0 - _variance([r - v for r, v in zip(flat_r, flat_v, strict=True)]) / spread if spread else 0.0


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / len(values)
