from dataclasses import replace

import pytest

from milepost.training.evaluation import Proportion, describe_turns, measure_forks, plan_evaluation, summarize
from milepost.training.trajectory import Status
from tests.training.trajectories import from_rewards, make_trajectory, make_turn


def test_a_wilson_interval_is_that_of_the_textbook() -> None:
    low, high = Proportion(successes=8, trials=10).interval
    assert low == pytest.approx(0.4901625, abs=1e-6)
    assert high == pytest.approx(0.9433178, abs=1e-6)


def test_a_wilson_interval_has_a_width_even_at_the_ends() -> None:
    assert Proportion(successes=0, trials=10).interval == pytest.approx((0.0, 0.2775328), abs=1e-6)
    assert Proportion(successes=10, trials=10).interval[1] == pytest.approx(1.0)
    assert Proportion(successes=0, trials=0).interval == (0.0, 1.0)


def test_a_score_is_the_mean_over_tasks_and_leaves_out_what_has_no_score() -> None:
    score = summarize(
        [
            from_rewards([0.5, 0.5], task_id="A", success=True),
            from_rewards([0.5], task_id="A"),
            from_rewards([0.0, 0.0, 0.0], task_id="A"),
            from_rewards([1.0], task_id="B", success=True),
            from_rewards([], task_id="B", status=Status.TIMEOUT),
        ]
    )
    assert score.mean_success == pytest.approx((1 / 3 + 1) / 2)
    assert (score.success.successes, score.success.trials) == (2, 4)
    assert score.ret == pytest.approx(2.5 / 4)
    assert score.turns == 7 / 4
    assert score.unscored == 1
    assert score.statuses == {"finished": 4, "timeout": 1}
    assert score.tasks["A"].reach == {"paid": pytest.approx(2 / 3)}
    assert score.tasks["B"].success.trials == 1


def test_a_task_tells_who_decided_what_its_rules_left_open_and_is_left_out_without_a_score() -> None:
    paid = replace(
        from_rewards([1.0], task_id="A", success=True), routes={"goal": "judge", "said": "learned"}
    )
    lost = replace(from_rewards([0.0], task_id="A", status=Status.UNSCORED), routes={"goal": "unscored"})
    other = replace(lost, task_id="B")
    score = summarize([paid, lost, other])
    assert score.tasks["A"].routes == {"judge": 1, "learned": 1, "unscored": 1}
    assert (score.tasks["A"].unscored, score.tasks["A"].success.trials) == (1, 1)
    assert (list(score.tasks), score.mean_success) == (["A"], 1.0)
    assert score.routes == {"judge": 1, "learned": 1, "unscored": 2}


def test_a_milestone_counts_once_an_episode() -> None:
    turns = [make_turn(0.1, name="filled"), make_turn(0.1, name="filled"), make_turn(0.2, name="sent")]
    score = summarize([make_trajectory(turns), from_rewards([0.0])])
    assert score.tasks["Demo-v0"].reach == {"filled": 0.5, "sent": 0.5}


def test_a_score_of_nothing_is_zero() -> None:
    record = summarize([]).to_record()
    assert record["success"] == 0.0
    assert record["proportion"]["n"] == 0
    assert record["tasks"] == {}


def test_evaluations_play_the_same_tasks_with_the_same_luck_whatever_their_phase() -> None:
    first, second = (
        plan_evaluation(["A", "B"], split="test", episodes=3, run_seed=0, phase=phase)
        for phase in ("test-start", "test-end")
    )
    assert [(r.task_id, r.seed) for r in first] == [(t, s) for s in range(3) for t in ("A", "B")]
    assert [r.sampling_seed for r in first] == [r.sampling_seed for r in second]
    assert {r.split for r in first} == {"test"}


def test_an_evaluation_may_begin_at_any_seed() -> None:
    plan = plan_evaluation(["A"], split="test", episodes=2, run_seed=0, phase="test-end", first_seed=500)
    assert [r.seed for r in plan] == [500, 501]


def test_turns_are_described_by_what_went_wrong_and_how_long_they_were() -> None:
    assert describe_turns([from_rewards([0.0, 0.0])]) == {
        "errors": 0.0,
        "cut": 0.0,
        "forked": 1.0,
        "prompt_tokens": 3.0,
        "completion_tokens": 2.0,
    }


def test_a_turn_goes_on_only_from_the_very_tokens_of_the_one_before() -> None:
    first = make_turn(prompt=(1, 2), completion=(3, 4))
    goes_on = make_turn(prompt=(1, 2, 3, 4, 9), completion=(5,))
    written_anew = make_turn(prompt=(1, 2, 3, 8, 9), completion=(5,))
    assert measure_forks([make_trajectory([first, goes_on])]) == 0.0
    assert measure_forks([make_trajectory([first, written_anew, first])]) == 1.0
    assert measure_forks([make_trajectory([first, goes_on]), make_trajectory([first, written_anew])]) == 0.5
    assert measure_forks([make_trajectory([first])]) == 0.0
