import itertools
import math
from collections import Counter

import pytest

from milepost.training.advantages import Baseline, Estimator, Scale
from milepost.training.assignment import RewardError, assign_credit, decompose, measure_priors
from milepost.training.trajectory import Status
from tests.training.trajectories import from_rewards, make_trajectory, make_turn

NO: frozenset[str] = frozenset()
A = frozenset({"a"})
AB = frozenset({"a", "b"})


def test_groups_that_fared_alike_teach_when_others_of_their_template_fared_otherwise() -> None:
    batch = [
        *(from_rewards([1.0], group="g", member=i) for i in range(2)),
        *(from_rewards([0.0], group="h", member=i) for i in range(2)),
        *(from_rewards([1.0], group="k", member=i, task_id="Other-v0") for i in range(2)),
    ]
    assert assign_credit(batch).flat_groups == 1.0
    credit = assign_credit(batch, shrinkage=1.0)
    # g: one peer with 1 and a prior of 0; h: one peer with 0 and a prior of 1; k has no other group
    assert credit.advantages == [[0.5], [0.5], [-0.5], [-0.5], [0.0], [0.0]]
    assert credit.flat_groups == pytest.approx(1 / 3)


def test_the_prior_of_a_group_leaves_the_group_out() -> None:
    groups = {
        "g": [from_rewards([1.0]), from_rewards([0.0, 0.5])],
        "h": [from_rewards([0.25])],
    }
    assert measure_priors(groups) == {"g": {NO: 0.25}, "h": {NO: 0.75}}
    assert measure_priors(groups, gamma=0.5) == {"g": {NO: 0.25}, "h": {NO: 0.625}}


def test_grpo_divides_by_the_deviation_of_its_group_with_bessels_correction() -> None:
    batch = [from_rewards([r], group="g", member=i) for i, r in enumerate([1.0, 0.0, 0.5])]
    credit = assign_credit(batch, estimator=Estimator.GRPO, scale=Scale.GROUP)
    assert credit.advantages == [[0.5 / 0.5001], [-0.5 / 0.5001], [0.0]]


def test_the_batch_scale_takes_the_deviation_over_all_groups() -> None:
    batch = [from_rewards([r], group=g) for g, r in [("g", 1.0), ("g", 0.0), ("h", 1.0), ("h", 0.0)]]
    credit = assign_credit(batch, estimator=Estimator.RLOO, scale=Scale.BATCH)
    deviation = (1 / 3) ** 0.5
    assert credit.advantages[0][0] == pytest.approx(1.0 / (deviation + 1e-4), rel=1e-12)


def test_an_unscored_trajectory_is_no_peer_and_gets_no_advantage() -> None:
    batch = [
        from_rewards([1.0], member=0),
        from_rewards([0.0], member=1),
        from_rewards([0.0, 0.0], member=2, status=Status.INFRASTRUCTURE),
    ]
    for estimator in (one for one in Estimator if not one.needs_critic):
        credit = assign_credit(batch, estimator=estimator)
        scored = assign_credit(batch[:2], estimator=estimator)
        assert credit.advantages == [*scored.advantages, [0.0, 0.0]]


def test_credit_counts_its_baselines_and_its_flat_groups() -> None:
    batch = [
        from_rewards([1.0], group="g", member=0),
        from_rewards([0.0], group="g", member=1),
        from_rewards([1.0], group="h", member=0),
        from_rewards([1.0], group="h", member=1),
        from_rewards([1.0], group="lone"),
    ]
    credit = assign_credit(batch)
    assert credit.advantages == [[1.0], [-1.0], [0.0], [0.0], [0.0]]
    assert credit.baselines == Counter({Baseline.ANCHOR: 4, Baseline.NONE: 1})
    assert credit.flat_groups == pytest.approx(2 / 3)


def mean_gradient(estimator: Estimator) -> tuple[float, float]:
    """The exact mean of the estimated gradient with 3 members, by going through all outcomes.

    Turn 0 goes on (p = 1/2, reward 1/4) or stops; turn 1 succeeds (p = 1/2, reward 1) or fails.
    """
    outcomes = [([0.0], -0.5, 0.0, 0.5), ([0.25, 0.0], 0.5, -0.5, 0.25), ([0.25, 1.0], 0.5, 0.5, 0.25)]
    go = succeed = 0.0
    for group in itertools.product(outcomes, repeat=3):
        chance = group[0][3] * group[1][3] * group[2][3]
        batch = [
            make_trajectory(
                [make_turn(r, reached=(NO, A)[t], prompt=(1 + t,)) for t, r in enumerate(rewards)], member=i
            )
            for i, (rewards, *_) in enumerate(group)
        ]
        for (_, score_0, score_1, _), advantage in zip(
            group, assign_credit(batch, estimator=estimator).advantages, strict=True
        ):
            go += chance * score_0 * advantage[0] / 3
            succeed += chance * score_1 * (advantage[1] if len(advantage) > 1 else 0.0) / 3
    return go, succeed


UNBIASED = (
    Estimator.MILESTONE_LOO,
    Estimator.RETURN_TO_GO_LOO,
    Estimator.REINFORCE,
    Estimator.RLOO,
)


@pytest.mark.parametrize("estimator", UNBIASED)
def test_baselines_that_never_see_the_own_outcome_give_the_exact_policy_gradient(
    estimator: Estimator,
) -> None:
    assert mean_gradient(estimator) == pytest.approx((0.1875, 0.125), abs=1e-12)


def test_a_mean_that_includes_the_own_outcome_shrinks_the_gradient_by_one_in_g() -> None:
    assert mean_gradient(Estimator.GRPO) == pytest.approx((0.125, 0.25 / 3), abs=1e-12)


@pytest.mark.parametrize(
    ("estimator", "gradient"),
    [
        (Estimator.GRPO_PROCESS, (0.2813778386, 0.2946869448)),
        (Estimator.GIGPO, (0.2515625, 0.1260416667)),
        (Estimator.GIGPO_MILESTONES, (0.2515625, 0.1260416667)),
        (Estimator.GDPO, (0.2637255278, 0.0833216204)),
    ],
)
def test_the_bias_of_the_others_is_as_documented(estimator: Estimator, gradient: tuple[float, float]) -> None:
    assert mean_gradient(estimator) == pytest.approx(gradient, abs=1e-9)
    assert gradient[0] / gradient[1] != pytest.approx(1.5, abs=0.1)  # not even its direction


@pytest.mark.parametrize("estimator", [one for one in Estimator if not one.needs_critic])
@pytest.mark.parametrize("scale", list(Scale))
def test_every_estimator_is_finite_where_there_is_nothing_to_compare(
    estimator: Estimator, scale: Scale
) -> None:
    equal = [from_rewards([0.5, 0.5], group="g", member=i) for i in range(3)]
    lone = [from_rewards([1.0], group="h")]
    failed = [from_rewards([1.0], group="k", member=i, status=Status.TIMEOUT) for i in range(2)]
    for batch in (equal, lone, failed, [*equal, *lone, *failed], [make_trajectory([])], []):
        credit = assign_credit(batch, estimator=estimator, scale=scale)
        assert [len(row) for row in credit.advantages] == [len(one.turns) for one in batch]
        assert all(math.isfinite(value) for row in credit.advantages for value in row)
    assert assign_credit(failed, estimator=estimator, scale=scale).advantages == [[0.0], [0.0]]


@pytest.mark.parametrize("estimator", [Estimator.GRPO, Estimator.RLOO, Estimator.MILESTONE_LOO])
@pytest.mark.parametrize("scale", [Scale.GROUP, Scale.POPULATION])
def test_a_group_that_all_fared_alike_has_no_advantage(estimator: Estimator, scale: Scale) -> None:
    batch = [from_rewards([0.5], group="g", member=i) for i in range(4)]
    assert assign_credit(batch, estimator=estimator, scale=scale).advantages == [[0.0]] * 4


def test_two_outcomes_become_one_and_minus_one_by_the_population_deviation() -> None:
    batch = [from_rewards([r], group="g", member=i) for i, r in enumerate([1.0, 0.0])]
    scaled = assign_credit(batch, estimator=Estimator.GRPO, scale=Scale.POPULATION)
    assert scaled.advantages == [[1.0], [-1.0]]
    bessel = assign_credit(batch, estimator=Estimator.GRPO, scale=Scale.GROUP)
    assert bessel.advantages[0][0] == pytest.approx(0.5 / (0.5**0.5 + 1e-4), rel=1e-12)
    assert assign_credit(batch, estimator=Estimator.GRPO).advantages == [[0.5], [-0.5]]


@pytest.mark.parametrize("wins", [1, 4])
def test_binary_outcomes_scale_with_how_rare_they_are(wins: int) -> None:
    batch = [from_rewards([float(i < wins)], group="g", member=i) for i in range(8)]
    advantages = assign_credit(batch, estimator=Estimator.GRPO, scale=Scale.POPULATION).advantages
    p = wins / 8
    assert advantages[0][0] == pytest.approx(math.sqrt((1 - p) / p))
    assert advantages[-1][0] == pytest.approx(-math.sqrt(p / (1 - p)))
    assert sum(abs(row[0]) for row in advantages) / 8 == pytest.approx(2 * math.sqrt(p * (1 - p)))


def test_standardised_outcomes_do_not_depend_on_the_scale_of_rewards_and_centred_ones_do() -> None:
    def advantages(map_to: list[float], scale: Scale) -> list[float]:
        batch = [from_rewards([r], group="g", member=i) for i, r in enumerate(map_to)]
        return [row[0] for row in assign_credit(batch, estimator=Estimator.GRPO, scale=scale).advantages]

    rewards, moved = [1.0, 0.25, 0.0], [3.0, 1.5, 1.0]
    assert advantages(moved, Scale.POPULATION) == pytest.approx(advantages(rewards, Scale.POPULATION))
    assert advantages(moved, Scale.NONE) == pytest.approx([2 * a for a in advantages(rewards, Scale.NONE)])


def test_reinforce_takes_the_mean_outcome_of_the_other_groups() -> None:
    batch = [
        from_rewards([0.0, 1.0], group="g"),
        from_rewards([0.5], group="h", member=0),
        from_rewards([0.0], group="h", member=1),
    ]
    credit = assign_credit(batch, estimator=Estimator.REINFORCE)
    assert credit.advantages == [[0.75, 0.75], [-0.5], [-1.0]]
    assert credit.baselines == Counter({Baseline.BATCH: 4})
    alone = assign_credit(batch[:1], estimator=Estimator.REINFORCE)
    assert alone.advantages == [[1.0, 1.0]]
    assert alone.baselines == Counter({Baseline.NONE: 2})


def test_gdpo_lets_a_rare_small_milestone_count_as_much_as_a_large_one() -> None:
    batch = [
        make_trajectory([make_turn(small, name="small"), make_turn(large, name="large")], member=i)
        for i, (small, large) in enumerate([(0.1, 0.0), (0.0, 1.0), (0.0, 0.0)])
    ]
    first, second, third = (row[0] for row in assign_credit(batch, estimator=Estimator.GDPO).advantages)
    assert first == pytest.approx(second, rel=1e-2)
    assert third < 0


def test_a_gigpo_anchor_is_what_was_seen_or_what_was_reached() -> None:
    batch = [
        make_trajectory([make_turn(1.0, reached=A, prompt=(7,))], member=0),
        make_trajectory([make_turn(0.0, reached=A, prompt=(8,))], member=1),
    ]
    seen = assign_credit(batch, estimator=Estimator.GIGPO).advantages
    reached = assign_credit(batch, estimator=Estimator.GIGPO_MILESTONES).advantages
    assert seen == [[0.5], [-0.5]]
    assert reached == [[1.0], [-1.0]]


@pytest.mark.parametrize("estimator", UNBIASED)
def test_the_parts_of_milestones_add_up_to_the_advantage(estimator: Estimator) -> None:
    batch = [
        make_trajectory(
            [make_turn(0.25, name="first"), make_turn(second, reached=A, name="second")],
            group=f"g{i % 2}",
            member=i,
        )
        for i, second in enumerate([0.75, 0.0, -0.5, 0.75])
    ]
    parts = decompose(batch, estimator=estimator)
    assert set(parts) == {"first", "second"}
    for i, whole in enumerate(assign_credit(batch, estimator=estimator).advantages):
        assert [parts["first"][i][t] + parts["second"][i][t] for t in range(2)] == pytest.approx(whole)


def test_a_negative_milestone_lowers_the_advantage() -> None:
    batch = [from_rewards([-0.5], member=0), from_rewards([0.0], member=1)]
    assert assign_credit(batch).advantages == [[-0.5], [0.5]]


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_reward_that_is_not_a_number_is_refused(wrong: float) -> None:
    batch = [from_rewards([0.0, wrong], group="g", member=3)]
    with pytest.raises(RewardError, match=r"episode g-3: the reward 'paid' of turn 1 is (nan|inf); a number"):
        assign_credit(batch)


@pytest.mark.parametrize("estimator", [one for one in Estimator if one.needs_critic])
def test_a_critics_advantage_is_not_computed_without_one(estimator: Estimator) -> None:
    with pytest.raises(ValueError, match=f"{estimator} takes the values of a critic"):
        assign_credit([from_rewards([1.0])], estimator=estimator)
