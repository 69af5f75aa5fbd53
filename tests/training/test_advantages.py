from milepost.training.advantages import Baseline, Estimator, milestone_loo

NO: frozenset[str] = frozenset()
A = frozenset({"a"})
AB = frozenset({"a", "b"})


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


def test_only_generalised_advantages_need_a_critic() -> None:
    assert [one for one in Estimator if one.needs_critic] == [
        Estimator.TOKEN_GAE,
        Estimator.TURN_GAE,
        Estimator.BI_LEVEL_GAE,
    ]
