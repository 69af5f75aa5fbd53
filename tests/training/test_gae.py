import numpy as np
import pytest

from milepost.training.gae import bi_level_gae, gae, token_gae, turn_gae, whiten
from milepost.training.returns import returns_to_go

# Two trajectories of three and two turns of two tokens, and the numbers of published implementations for them.
VALUES = [[[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], [[0.05, 0.1], [0.2, 0.25]]]
REWARDS = [[0.25, 0.0, 1.0], [0.25, -0.1]]


def flat(ragged: list[list[float]]) -> list[float]:
    return [value for row in ragged for value in row]


@pytest.mark.parametrize(
    ("gamma", "lam", "expected"),
    [
        (1.0, 1.0, [1.15, 1.05, 0.7, 0.6, 0.5, 0.4, 0.1, 0.05, -0.3, -0.35]),
        (
            0.99,
            0.95,
            [0.9561908, 0.9124835, 0.6012583, 0.5372231, 0.4702, 0.4, 0.1271412, 0.0830847, -0.281675, -0.35],
        ),
    ],
)
def test_token_gae_gives_the_numbers_of_areal(gamma: float, lam: float, expected: list[float]) -> None:
    found = [token_gae(r, v, gamma=gamma, lam=lam) for r, v in zip(REWARDS, VALUES, strict=True)]
    assert [value for one in found for value in flat(one)] == pytest.approx(expected, abs=1e-6)


def test_whitened_token_gae_gives_the_numbers_of_verl() -> None:
    found = [flat(token_gae(r, v, gamma=0.99, lam=0.95)) for r, v in zip(REWARDS, VALUES, strict=True)]
    expected = [1.3620499, 1.2645533, 0.5703112, 0.4274696, 0.277963, 0.1213695]
    expected += [-0.4872896, -0.5855653, -1.3992254, -1.5516361]
    assert whiten(flat(found)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("gamma", "lam", "expected"),
    [
        (1.0, 1.0, [1.15, 0.7, 0.5, 0.1, -0.3]),
        (0.99, 0.95, [1.0726677, 0.66525, 0.5, 0.11585, -0.3]),
    ],
)
def test_turn_gae_gives_the_numbers_of_areal_to_every_token_of_a_turn(
    gamma: float, lam: float, expected: list[float]
) -> None:
    found = [turn_gae(r, v, gamma=gamma, lam=lam) for r, v in zip(REWARDS, VALUES, strict=True)]
    turns = [turn for one in found for turn in one]
    assert [turn[0] for turn in turns] == pytest.approx(expected, abs=1e-6)
    assert all(len(set(turn)) == 1 for turn in turns)


def test_bi_level_gae_gives_the_returns_of_ragen() -> None:
    rewards = [[0.25, 0.1, 1.0], [0.25, -0.1]]
    found = [bi_level_gae(r, v, gamma=0.99, lam=0.95) for r, v in zip(rewards, VALUES, strict=True)]
    returns = [
        a + v
        for own, value in zip(found, VALUES, strict=True)
        for a, v in zip(flat(own), flat(value), strict=True)
    ]
    expected = [1.2225071, 1.2763233, 1.03669, 1.0702001, 0.98, 1.0, 0.1649088, 0.168325, -0.0825, -0.1]
    assert returns == pytest.approx(expected, abs=1e-6)


def test_bi_level_gae_takes_a_last_turn_that_pays_nothing() -> None:
    found = bi_level_gae([0.25, 0.0], VALUES[1])
    assert [len(turn) for turn in found] == [2, 2]
    assert found[1][1] == pytest.approx(0.0 - 0.25)


def test_value_and_advantage_make_the_lambda_return() -> None:
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=7).tolist(), rng.normal(size=7).tolist()
    gamma, lam, last = 0.93, 0.8, 0.6
    advantages = gae(rewards, values, gamma=gamma, lam=lam, last_value=last)
    bootstrap = [*values, last]
    for t in range(7):
        steps = 7 - t
        n_step = [
            sum(gamma**k * rewards[t + k] for k in range(n)) + gamma**n * bootstrap[t + n]
            for n in range(1, steps + 1)
        ]
        mixed = sum((1 - lam) * lam ** (n - 1) * n_step[n - 1] for n in range(1, steps))
        mixed += lam ** (steps - 1) * n_step[-1]
        assert values[t] + advantages[t] == pytest.approx(mixed, abs=1e-14)


def test_lambda_1_is_monte_carlo_only_where_nothing_follows_and_lambda_0_is_one_step() -> None:
    rewards, values = [0.5, -1.0, 2.0], [0.3, 0.1, -0.7]
    whole = gae(rewards, values, gamma=0.9, lam=1.0)
    assert [v + a for v, a in zip(values, whole, strict=True)] == pytest.approx(
        returns_to_go(rewards, gamma=0.9)
    )
    cut = gae(rewards, values, gamma=0.9, lam=1.0, last_value=1.0)
    assert values[0] + cut[0] == pytest.approx(returns_to_go(rewards, gamma=0.9)[0] + 0.9**3)
    one = gae(rewards, values, gamma=0.9, lam=0.0)
    assert [v + a for v, a in zip(values, one, strict=True)] == pytest.approx(
        [0.5 + 0.9 * 0.1, -1.0 + 0.9 * -0.7, 2.0]
    )


def test_fewer_than_two_values_cannot_be_whitened() -> None:
    assert whiten([]) == []
    assert whiten([3.0]) == [0.0]
    assert whiten([2.0, 2.0]) == [0.0, 0.0]


def test_lengths_that_differ_and_empty_turns_are_refused() -> None:
    with pytest.raises(ValueError, match="got 2 rewards and 1 values"):
        gae([0.0, 1.0], [0.0])
    with pytest.raises(ValueError, match="got 1 rewards for 2 turns"):
        turn_gae([0.0], [[0.0], [0.0]])
    with pytest.raises(ValueError, match="turn 1 has no tokens"):
        token_gae([0.0, 0.0], [[0.0], []])
