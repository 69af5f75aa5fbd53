from collections.abc import Sequence
from dataclasses import replace

import pytest

from milepost.training.algorithm import Algorithm
from milepost.training.assignment import RewardError
from milepost.training.critic import Critic
from milepost.training.presets import PRESETS
from milepost.training.trajectory import Status, Trajectory
from milepost.training.valuation import credit_by_values, explain_variance
from tests.training.trajectories import from_rewards, make_model, make_trajectory, make_turn


def make_critic() -> Critic:
    return Critic(make_model(), learning_rate=1e-2, token_budget=100)


def unwhitened(name: str) -> Algorithm:
    return Algorithm(advantage=PRESETS[name].algorithm.advantage, lam=1.0)


@pytest.mark.parametrize("name", ["ppo", "ppo_turn", "ppo_bi_level"])
def test_the_first_advantages_of_a_critic_that_knows_nothing_are_returns(name: str) -> None:
    batch = [from_rewards([0.25, 0.5]), from_rewards([9.0], status=Status.TIMEOUT), from_rewards([-1.0])]
    rows, facts = credit_by_values(batch, unwhitened(name), make_critic(), constant=4)
    assert [row.token_advantages for row in rows] == [(0.75, 0.75), (0.5, 0.5), (-1.0, -1.0)]
    assert facts["value_loss"] > 0
    assert facts["explained_variance"] == 0.0


def test_a_turn_without_a_completion_pays_the_one_before() -> None:
    batch = [make_trajectory([make_turn(0.0), make_turn(1.0, completion=())])]
    (row,), _ = credit_by_values(batch, unwhitened("ppo"), make_critic(), constant=4)
    assert row.token_advantages == (1.0, 1.0)


def test_whitened_advantages_have_mean_0_over_the_batch() -> None:
    batch = [from_rewards([1.0]), from_rewards([0.0, 0.0])]
    rows, _ = credit_by_values(batch, PRESETS["ppo"].algorithm, make_critic(), constant=4)
    flat = [a for row in rows for a in row.token_advantages]
    assert sum(flat) == pytest.approx(0.0, abs=1e-9)


def test_a_critic_makes_four_passes_where_the_policy_makes_one_and_as_many_as_it_where_it_makes_more() -> (
    None
):
    batch = [from_rewards([1.0]), from_rewards([0.0, 0.5])]

    def teach(epochs: int) -> list[list[float]]:
        critic = make_critic()
        algorithm = replace(PRESETS["trpo"].algorithm, epochs=epochs)
        rows, _ = credit_by_values(batch, algorithm, critic, constant=4)
        return critic.value_rows(rows)

    plain = make_critic()
    rows, _ = credit_by_values(batch, PRESETS["trpo"].algorithm, make_critic(), constant=4)
    zeros = [[0.0] * len(row.completion_ids) for row in rows]
    returns = token_returns(batch, PRESETS["trpo"].algorithm.lam)
    plain.update(rows, returns, zeros, clip=0.2, epochs=4)
    assert teach(1) == teach(4) == plain.value_rows(rows)
    assert teach(5) != teach(4)


def token_returns(batch: Sequence[Trajectory], lam: float) -> list[list[float]]:
    """Give the lambda-returns of a critic that knows nothing: what is paid, lam times less with each token before."""
    returns: list[list[float]] = []
    for one in batch:
        later, own = 0.0, list[list[float]]()
        for turn in reversed(one.turns):
            found: list[float] = []
            for k in range(len(turn.completion.completion_ids)):
                later = lam * later + (sum(turn.rewards.values()) if k == 0 else 0.0)
                found.insert(0, later)
            own.insert(0, found)
        returns += own
    return returns


def test_nothing_scored_gives_no_rows() -> None:
    assert credit_by_values([], Algorithm(), make_critic(), constant=4)[0] == []


def test_a_reward_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(RewardError, match="the reward 'paid' of turn 0 is nan"):
        credit_by_values([from_rewards([float("nan")])], unwhitened("ppo"), make_critic(), constant=4)


def test_explained_variance_is_1_for_a_critic_that_is_right() -> None:
    assert explain_variance([[1.0], [2.0]], [[1.0], [2.0]]) == 1.0
    assert explain_variance([[0.0], [0.0]], [[1.0], [2.0]]) == 0.0
    assert explain_variance([[0.0], [0.0]], [[1.0], [1.0]]) == 0.0
