import copy

import pytest
import torch

from milepost.training.batch import Row
from milepost.training.config import build_config
from milepost.training.critic import Critic, build_critic
from tests.training.trajectories import make_model

ROWS = [
    Row(prompt_ids=(2, 3), completion_ids=(5, 6), sampler_logps=(0.0, 0.0)),
    Row(prompt_ids=(4,), completion_ids=(7,), sampler_logps=(0.0,)),
]
RETURNS = [[1.0, 0.5], [-1.0]]


def flat(ragged: list[list[float]]) -> list[float]:
    return [value for row in ragged for value in row]


def test_a_critic_begins_at_0_learns_the_returns_and_leaves_the_policy_alone() -> None:
    model = make_model()
    before = [p.clone() for p in model.parameters()]
    critic = Critic(model, learning_rate=1e-2, token_budget=100)
    assert flat(critic.value_rows(ROWS)) == [0.0, 0.0, 0.0]
    nothing = [[0.0, 0.0], [0.0]]
    first = critic.update(ROWS, RETURNS, nothing)
    assert first == pytest.approx(0.5 * (1.0 + 0.25 + 1.0) / 3)
    losses = [critic.update(ROWS, RETURNS, nothing) for _ in range(60)]
    assert losses[-1] < 0.01
    assert flat(critic.value_rows(ROWS)) == pytest.approx(flat(RETURNS), abs=0.2)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_a_critic_comes_back_from_its_state() -> None:
    critic = Critic(make_model(), learning_rate=1e-2, token_budget=100)
    critic.update(ROWS, RETURNS, RETURNS)
    other = Critic(make_model(seed=3), learning_rate=1e-2, token_budget=100)
    other.load_state_dict(copy.deepcopy(critic.state_dict()))  # a state is alive until it is written
    assert other.value_rows(ROWS) == critic.value_rows(ROWS)
    critic.update(ROWS, RETURNS, RETURNS)
    other.update(ROWS, RETURNS, RETURNS)
    assert other.value_rows(ROWS) == critic.value_rows(ROWS)


def test_a_critic_is_made_only_where_the_advantage_needs_one() -> None:
    assert build_critic(make_model(), build_config({})) is None
    assert build_critic(make_model(), build_config({"algorithm": {"preset": "ppo"}})) is not None
