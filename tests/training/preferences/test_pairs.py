import pytest

from milepost.training.preferences.pairs import (
    Pairing,
    Sample,
    mine_labels,
    mine_pairs,
    pick_best,
    pick_rising,
    pick_solved,
    take_sample,
)
from milepost.training.trajectory import Status, Trajectory
from tests.training.trajectories import make_trajectory, make_turn


def play(ret: float, member: int = 0, *, group: str = "g", status: Status = Status.FINISHED) -> Trajectory:
    turns = [make_turn(completion=(4, 10 + member)), make_turn(ret, completion=(5, 10 + member))]
    return make_trajectory(turns, group=group, member=member, status=status, success=ret >= 1.0)


def names(trajectories: list[Trajectory], **how: object) -> list[tuple[str, str]]:
    pairs, _ = mine_pairs(trajectories, **how)  # type: ignore[arg-type]
    return [(pair.chosen.name, pair.rejected.name) for pair in pairs]


def test_the_best_of_a_group_is_paired_with_its_worst() -> None:
    group = [play(0.25, 0), play(1.0, 1), play(0.0, 2), play(1.0, 3)]
    assert names(group) == [("g-1", "g-2")]
    pairs, facts = mine_pairs([*group, play(0.5, 0, group="h"), play(0.5, 1, group="h")])
    assert len(pairs) == 1
    assert facts == {"groups": 2.0, "pairs": 1.0, "flat_groups": 0.5}
    assert pairs[0].chosen.tokens == 4


def test_all_pairs_leave_ties_out() -> None:
    group = [play(0.25, 0), play(1.0, 1), play(0.25, 2)]
    assert names(group, pairing=Pairing.ALL) == [("g-1", "g-0"), ("g-1", "g-2")]


def test_a_difference_must_be_larger_than_the_margin() -> None:
    group = [play(0.5, 0), play(0.0, 1)]
    assert names(group, margin=0.5) == []
    assert names(group, margin=0.49) == [("g-0", "g-1")]
    with pytest.raises(ValueError, match="0 or more is expected, got -1"):
        mine_pairs(group, margin=-1.0)


def test_members_that_failed_or_said_nothing_make_no_pair() -> None:
    lost = play(0.0, 1, status=Status.TIMEOUT)
    silent = make_trajectory([make_turn(completion=())], member=2)
    assert names([play(1.0, 0), lost, silent]) == []
    assert names([lost, play(0.0, 3, status=Status.INFRASTRUCTURE)]) == []
    assert names([]) == []


def test_members_that_said_the_same_make_no_pair() -> None:
    same = [make_trajectory([make_turn(reward)], member=i) for i, reward in enumerate((1.0, 0.0))]
    assert names(same) == []


def test_a_return_that_is_no_number_is_refused_with_the_episodes_name() -> None:
    with pytest.raises(ValueError, match="g-0 has return nan"):
        mine_pairs([play(float("nan")), play(1.0, 1)])


def test_an_episode_that_was_cut_off_counts_with_what_it_reached() -> None:
    assert names([play(0.5, 0, status=Status.TRUNCATED), play(0.25, 1)]) == [("g-0", "g-1")]


def test_a_label_is_whether_the_goal_was_reached() -> None:
    labels, facts = mine_labels([play(1.0, 0), play(0.25, 1), play(0.0, 2, status=Status.TIMEOUT)])
    assert [(one.sample.name, one.desirable) for one in labels] == [("g-0", True), ("g-1", False)]
    assert facts == {"labels": 2.0, "desirable": 0.5}


def samples(*returns: float) -> list[Sample]:
    return [s for i, ret in enumerate(returns) if (s := take_sample(play(ret, i))) is not None]


def test_demonstrations_are_those_that_reached_the_goal_or_the_best_of_each_group() -> None:
    assert [s.name for s in pick_solved(samples(0.5, 1.0, 0.0))] == ["g-1"]
    batch = [play(0.25, 0), play(0.5, 1), play(0.0, 0, group="h"), play(0.0, 1, group="h")]
    assert [s.name for s in pick_best(batch)] == ["g-1"]
    assert pick_best(batch, margin=0.5) == []


def test_a_rising_threshold_keeps_fewer_with_each_pass_and_only_the_best_in_the_last() -> None:
    batch = samples(0.0, 0.25, 0.5, 1.0)
    kept = [[s.ret for s in pick_rising(batch, step=i, steps=4)] for i in range(4)]
    assert kept == [[0.25, 0.5, 1.0], [0.5, 1.0], [1.0], [1.0]]
    assert pick_rising(samples(0.0, 0.0), step=0, steps=2) == []
