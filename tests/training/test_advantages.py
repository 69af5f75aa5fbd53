import itertools
from collections import Counter

import pytest

from milepost.training.advantages import (
    Baseline,
    Estimator,
    Scale,
    assign_credit,
    grpo,
    measure_priors,
    milestone_loo,
    returns_to_go,
    rloo,
)
from milepost.training.trajectory import Status
from tests.training.trajectories import from_rewards, make_trajectory, make_turn

NO: frozenset[str] = frozenset()
A = frozenset({"a"})
AB = frozenset({"a", "b"})


def test_returns_to_go_discount_per_turn() -> None:
    assert returns_to_go([1.0, 0.0, 4.0], gamma=0.5) == [2.0, 2.0, 4.0]


def test_peers_are_taken_where_they_stood_at_the_same_milestones() -> None:
    rewards = [[0.25, 0.75], [0.0, 0.25, 0.0], [0.0]]
    reached = [[NO, A], [NO, NO, A], [NO]]
    advantages, sources = milestone_loo(rewards, reached)
    # member 0: at nothing, peers return .25 and 0; at {a}, only member 1 stood there and got 0
    assert advantages[0] == [1.0 - 0.125, 0.75 - 0.0]
    # member 1: its second turn is still at nothing, so its peers are those of their first turns
    assert advantages[1] == [0.25 - 0.5, 0.25 - 0.5, 0.0 - 0.75]
    assert advantages[2] == [0.0 - 0.625]
    assert {source for row in sources for source in row} == {Baseline.ANCHOR}


def test_without_a_peer_at_the_milestones_the_turn_index_decides_and_finished_peers_count_0() -> None:
    rewards = [[0.25, 0.5, 1.0], [0.0, 0.5], [0.0]]
    reached = [[NO, A, AB], [NO, NO], [NO]]
    advantages, sources = milestone_loo(rewards, reached)
    assert sources[0] == [Baseline.ANCHOR, Baseline.INDEX, Baseline.INDEX]
    assert advantages[0] == [1.75 - 0.25, 1.5 - 0.25, 1.0 - 0.0]


def test_a_lone_member_has_no_baseline_and_no_advantage() -> None:
    assert milestone_loo([[1.0, 2.0]], [[NO, A]]) == ([[0.0, 0.0]], [[Baseline.NONE, Baseline.NONE]])


def test_too_few_peers_at_the_milestones_fall_back_to_the_turn_index() -> None:
    rewards = [[0.0, 1.0], [0.0, 0.0], [0.0, 0.5]]
    reached = [[NO, A], [NO, A], [NO, NO]]
    advantages, sources = milestone_loo(rewards, reached, min_peers=2)
    assert sources[0] == [Baseline.ANCHOR, Baseline.INDEX]
    assert advantages[0] == [1.0 - 0.25, 1.0 - 0.25]


def test_a_baseline_is_shrunk_towards_the_mean_of_other_groups() -> None:
    rewards, reached = [[1.0], [1.0], [0.0]], [[NO], [NO], [NO]]
    advantages, sources = milestone_loo(rewards, reached, prior={NO: 0.25}, shrinkage=2.0)
    # two peers and a prior that counts for two
    assert advantages == [[1.0 - (1.0 + 0.5) / 4], [1.0 - (1.0 + 0.5) / 4], [0.0 - (2.0 + 0.5) / 4]]
    assert {source for row in sources for source in row} == {Baseline.ANCHOR}


def test_where_only_other_groups_stood_they_are_the_baseline() -> None:
    rewards, reached = [[0.5, 1.0], [0.0]], [[NO, A], [NO]]
    advantages, sources = milestone_loo(rewards, reached, prior={A: 0.25}, shrinkage=1.0)
    assert advantages[0] == [1.5 - 0.0, 1.0 - 0.25]
    assert sources[0] == [Baseline.ANCHOR, Baseline.TEMPLATE]


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


def test_grpo_subtracts_the_mean_and_rloo_the_mean_of_the_others() -> None:
    assert grpo([1.0, 0.0, 0.5]) == [0.5, -0.5, 0.0]
    assert rloo([1.0, 0.0, 0.5]) == [0.75, -0.75, 0.0]
    assert grpo([3.0]) == rloo([3.0]) == [0.0]


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
    for estimator in Estimator:
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
            make_trajectory([make_turn(r, reached=(NO, A)[t]) for t, r in enumerate(rewards)], member=i)
            for i, (rewards, *_) in enumerate(group)
        ]
        for (_, score_0, score_1, _), advantage in zip(
            group, assign_credit(batch, estimator=estimator).advantages, strict=True
        ):
            go += chance * score_0 * advantage[0] / 3
            succeed += chance * score_1 * (advantage[1] if len(advantage) > 1 else 0.0) / 3
    return go, succeed


@pytest.mark.parametrize("estimator", [Estimator.MILESTONE_LOO, Estimator.RLOO])
def test_leave_one_out_baselines_give_the_exact_policy_gradient(estimator: Estimator) -> None:
    assert mean_gradient(estimator) == pytest.approx((0.1875, 0.125), abs=1e-12)


def test_a_mean_that_includes_the_own_outcome_shrinks_the_gradient_by_one_in_g() -> None:
    assert mean_gradient(Estimator.GRPO) == pytest.approx((0.125, 0.25 / 3), abs=1e-12)
