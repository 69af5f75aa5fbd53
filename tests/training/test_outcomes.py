import math

import pytest

from milepost.training.outcomes import (
    gigpo,
    grpo,
    grpo_process,
    length_penalty,
    normalize_batch,
    normalize_then_sum,
    rloo,
    soft_overlong,
    standardize,
)

VISITS = [["home", "cart", "pay"], ["home", "cart"], ["home", "help"]]
PAID = [[0.0, 0.5, 1.0], [0.0, 0.5], [0.0, 0.0]]


def flat(ragged: list[list[float]]) -> list[float]:
    return [value for row in ragged for value in row]


def test_grpo_subtracts_the_mean_and_rloo_the_mean_of_the_others() -> None:
    assert grpo([1.0, 0.0, 0.5]) == [0.5, -0.5, 0.0]
    assert rloo([1.0, 0.0, 0.5]) == [0.75, -0.75, 0.0]
    assert grpo([3.0]) == rloo([3.0]) == [0.0]


def test_the_mean_that_holds_the_own_outcome_gives_g_minus_one_in_g_of_leave_one_out() -> None:
    returns = [0.1, 0.7, -0.3, 1.0, 0.0]
    assert grpo(returns) == pytest.approx([value * 4 / 5 for value in rloo(returns)])


def test_standardised_values_have_mean_0_and_population_deviation_1() -> None:
    assert standardize([1.0, 0.0]) == [1.0, -1.0]
    assert standardize([2.0, 2.0, 2.0]) == [0.0, 0.0, 0.0]
    assert standardize([]) == []


def test_process_supervision_sums_standardised_rewards_forward() -> None:
    advantages = grpo_process([[0.0, 1.0], [0.0, 0.0], [1.0]])
    each = standardize([0.0, 1.0, 0.0, 0.0, 1.0])
    assert sum(each) == pytest.approx(0.0, abs=1e-12)
    assert flat(advantages) == pytest.approx(
        [each[0] + each[1], each[1], each[2] + each[3], each[3], each[4]]
    )
    assert sum(flat(advantages)) != pytest.approx(0.0, abs=0.1)


def test_process_supervision_of_single_turns_is_outcome_supervision() -> None:
    assert flat(grpo_process([[1.0], [0.0], [0.25]])) == pytest.approx(standardize([1.0, 0.0, 0.25]))


# Numbers of the authors' code for three trajectories, its mean taken over turns.
@pytest.mark.parametrize(
    ("divide", "expected"),
    [
        (False, [1.4742858, 1.1892858, 0.7142857, -0.4282143, -0.7607143, -1.4032142, -0.7857143]),
        (True, [2.1085451, 1.7295015, 1.0223958, -0.6126113, -1.116064, -2.0071316, -1.1246353]),
    ],
)
def test_gigpo_gives_the_numbers_of_its_authors(divide: bool, expected: list[float]) -> None:
    assert flat(gigpo(PAID, VISITS, divide=divide)) == pytest.approx(expected, abs=1e-6)


def test_gigpo_may_count_trajectories_instead_of_turns() -> None:
    advantages = gigpo(PAID, VISITS, over_rows=False, step_weight=0.0)
    assert flat(advantages) == pytest.approx([5 / 6] * 3 + [-1 / 6] * 2 + [-2 / 3] * 2)


def test_a_turn_alone_at_its_anchor_has_only_the_advantage_of_its_episode() -> None:
    assert gigpo([[1.0], [0.0]], [["a"], ["b"]]) == [[0.5], [-0.5]]


def test_each_reward_is_standardised_before_they_are_summed() -> None:
    sums = normalize_then_sum([[1.0, 10.0], [0.0, 0.0]])
    assert sums == pytest.approx([2**0.5, -(2**0.5)], rel=1e-3)
    weighted = normalize_then_sum([[1.0, 10.0], [0.0, 0.0]], [1.0, 0.0])
    assert weighted[0] == pytest.approx(0.5 / (0.5**0.5 + 1e-4))


def test_rewards_that_are_not_known_are_left_out() -> None:
    sums = normalize_then_sum([[1.0, math.nan], [0.0, math.nan], [math.nan, math.nan]])
    assert sums[0] == -sums[1] > 0
    assert math.isnan(sums[2])
    assert normalize_batch(sums)[2] == 0.0
    assert normalize_batch([math.nan, 1.0]) == [0.0, 0.0]


@pytest.mark.parametrize(
    ("length", "expected"),
    [(16_384, 0.0), (16_385, -1 / 4096), (18_432, -0.5), (20_480, -1.0), (99_999, -1.0)],
)
def test_soft_overlong_grows_from_0_to_1_over_its_cache(length: int, expected: float) -> None:
    assert soft_overlong(length, longest=20_480, cache=4_096) == pytest.approx(expected, abs=1e-12)


def test_soft_overlong_refuses_a_cache_that_is_none() -> None:
    with pytest.raises(ValueError, match="cache must be between 1 and 10 tokens, got 0"):
        soft_overlong(5, longest=10, cache=0)


def test_length_costs_in_proportion_up_to_its_coefficient() -> None:
    assert length_penalty(5, longest=10, coef=0.1) == pytest.approx(-0.05)
    assert length_penalty(99, longest=10, coef=0.1) == pytest.approx(-0.1)
