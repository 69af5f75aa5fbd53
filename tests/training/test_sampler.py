from collections import Counter

import numpy as np
import pytest

from milepost.training.algorithm import Flag
from milepost.training.sampler import (
    TaskSampler,
    draw_seed,
    estimate_pass,
    find_selection,
    measure_mixed,
    measure_pass,
    plan_groups,
)
from milepost.training.trajectory import Status
from tests.training.trajectories import from_rewards

IDS = ["A-v0", "B-v0", "C-v0"]


def make_rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_flag_says_how_templates_are_drawn() -> None:
    assert find_selection([]) == find_selection([Flag.OVERLONG_FILTER]) == "uniform"
    assert find_selection([Flag.OVERLONG_FILTER, Flag.BAND]) == "band"
    assert find_selection([Flag.FRONTIER]) == "frontier"


def test_uniform_selection_takes_templates_in_turn_and_no_seed_twice() -> None:
    sampler = TaskSampler(IDS, run_seed=2)
    drawn = [*sampler.draw(4, make_rng()), *sampler.draw(5, make_rng())]
    assert [task_id for task_id, _ in drawn] == ["A-v0", "B-v0", "C-v0"] * 3
    assert [seed for task_id, seed in drawn if task_id == "A-v0"] == [2_000_000, 2_000_001, 2_000_002]
    assert len(set(drawn)) == 9


def test_frontier_selection_prefers_templates_with_mixed_groups_and_forgets_none() -> None:
    sampler = TaskSampler(IDS, run_seed=0, selection="frontier")
    sampler.note({"A-v0": 1.0, "B-v0": 0.0, "C-v0": 0.0})
    counts = Counter(task_id for task_id, _ in sampler.draw(2_000, make_rng()))
    assert counts["A-v0"] > 1_050
    assert min(counts.values()) > 300


def test_a_restored_sampler_goes_on_where_it_stood() -> None:
    first = TaskSampler(IDS, run_seed=1, selection="frontier")
    first.draw(7, make_rng())
    first.note({"A-v0": 0.3, "B-v0": 0.6, "C-v0": 0.1})
    second = TaskSampler(IDS, run_seed=1, selection="frontier")
    second.restore(first.state())
    assert second.draw(9, make_rng()) == first.draw(9, make_rng())


def test_the_share_of_mixed_groups_is_remembered_and_slowly_replaced() -> None:
    sampler = TaskSampler(IDS, run_seed=0)
    sampler.note({"A-v0": 0.5})
    sampler.note({"A-v0": 1.0})
    assert sampler.state()["estimates"]["A-v0"] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("solved", "played", "k", "expected"),
    [
        (0, 8, 4, 0.0),
        (1, 8, 4, 0.5),  # the one that solved it is among four of eight
        (2, 8, 4, 11 / 14),
        (5, 8, 4, 1.0),  # three failures cannot fill four places
        (3, 8, 1, 3 / 8),
        (1, 2, 4, 1.0),
        (0, 2, 4, 0.0),
    ],
)
def test_pass_at_k_counts_the_draws_that_hold_a_success(
    solved: int, played: int, k: int, expected: float
) -> None:
    assert estimate_pass(solved, played, k) == pytest.approx(expected)


def test_pass_at_four_of_a_template_is_the_mean_over_its_scored_groups() -> None:
    play = [
        *(from_rewards([0.0], group="1", member=i, success=i == 0) for i in range(8)),
        *(from_rewards([0.0], group="2", member=i, success=True) for i in range(4)),
        from_rewards([0.0], group="3", status=Status.TIMEOUT),
    ]
    assert measure_pass(play) == {play[0].task_id: pytest.approx(0.75)}


def test_a_band_prefers_templates_that_are_neither_easy_nor_out_of_reach() -> None:
    sampler = TaskSampler(IDS, run_seed=0, selection="band")
    sampler.note({"A-v0": 0.6, "B-v0": 0.1, "C-v0": 1.0})
    counts = Counter(task_id for task_id, _ in sampler.draw(2_000, make_rng()))
    assert counts["A-v0"] == pytest.approx(2_000 / 1.7, rel=0.05)
    assert min(counts.values()) == pytest.approx(2_000 * 0.35 / 1.7, rel=0.15)


@pytest.mark.parametrize(("selection", "estimate"), [("frontier", 1.0), ("band", 0.5)])
def test_each_selection_observes_what_it_goes_by(selection: str, estimate: float) -> None:
    play = [from_rewards([float(i == 0)], group="1", member=i, success=i == 0) for i in range(8)]
    sampler = TaskSampler([play[0].task_id], run_seed=0, selection=selection)
    sampler.observe(play)
    assert sampler.state()["estimates"] == {play[0].task_id: estimate}


def test_groups_are_mixed_when_their_members_have_different_returns() -> None:
    play = [
        from_rewards([1.0], group="A/1"),
        from_rewards([0.0, 1.0], group="A/1"),
        from_rewards([1.0], group="A/2"),
        from_rewards([0.5], group="A/2"),
    ]
    assert measure_mixed(play) == {play[0].task_id: 0.5}
    assert measure_mixed([]) == {}


def test_seeds_depend_on_every_part_of_what_they_are_for() -> None:
    seeds = {draw_seed(0, "train", "A", s, m) for s in range(10) for m in range(10)}
    assert len(seeds | {draw_seed(1, "train", "A", 0, 0), draw_seed(0, "test", "A", 0, 0)}) == 102
    assert draw_seed(0, "train") == draw_seed(0, "train")


def test_a_group_is_one_task_played_by_members_with_seeds_of_their_own() -> None:
    requests = plan_groups([("A-v0", 7), ("B-v0", 8)], size=3, run_seed=0, phase="train-0001")
    assert [r.group for r in requests] == ["A-v0/train/7"] * 3 + ["B-v0/train/8"] * 3
    assert [r.member for r in requests] == [0, 1, 2, 0, 1, 2]
    assert len({r.sampling_seed for r in requests}) == 6
    assert len({r.episode_id for r in requests}) == 6


def test_a_lost_task_is_followed_by_a_new_seed_of_its_template() -> None:
    sampler = TaskSampler(["A", "B"], run_seed=0)
    sampler.draw(2, np.random.default_rng(0))
    assert sampler.draw_again("B") == ("B", 1)
    assert sampler.draw(2, np.random.default_rng(0)) == [("A", 1), ("B", 2)]
