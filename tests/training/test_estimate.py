from dataclasses import replace
from typing import Any

import pytest

from milepost.training.config import build_config
from milepost.training.estimate import Trial, estimate

TRIAL = Trial(
    episodes=4,
    rows=12,
    prompt_tokens=1200,
    completion_tokens=60,
    computed_tokens=600,
    rollout_s=8.0,
    learn_s=2.0,
    parameters=2**20,
    copies=1,
    peak_bytes=3 * 2**30,
)
CONFIG: dict[str, Any] = {
    "tasks": {"ids": ["ExpenseForm-v0", "ReportExport-v0"]},
    "rollout": {"group_size": 4},
    "imitation": {"episodes": 10},
    "algorithm": {"epochs": 2, "minibatches": 3},
    "train": {"iterations": 25, "tasks_per_iteration": 5, "budget": "10 minutes"},
    "eval": {"every": 10, "episodes": [6, 20]},
}


def values(data: dict[str, Any], trial: Trial = TRIAL) -> dict[str, float]:
    record = estimate(build_config(data), trial).to_record()
    return {name: one["value"] for name, one in record.items()}


def test_every_count_follows_from_the_configuration_and_the_trial() -> None:
    assert values(CONFIG) == {
        "rollouts_per_iteration": 20,  # 5 groups of 4
        "rows_per_iteration": 60,  # 3 turns an episode
        "prompt_tokens_per_iteration": 6000,
        "completion_tokens_per_iteration": 300,
        "learner_tokens_per_iteration": 6000,  # 150 an episode, in two epochs
        "optimizer_steps_per_iteration": 6,
        "iterations": 25,
        "rollouts": 500,
        "rows": 1500,
        "completion_tokens": 7500,
        "learner_tokens": 150_000,
        "optimizer_steps": 150,
        "oracle_episodes": 20,
        "imitation_steps": 2,  # 60 rows are one step, in two passes
        "held_out_episodes": 2 * (4 * 6 + 2 * 20),  # validations at 0, 10, 20, and the end
        "checkpoints": 4,
        "parameters": 2**20,
        "model_memory": 20.0,  # four numbers for each parameter, and one reference
        "peak_memory": 3072.0,
        "rollout_time_per_iteration": 40.0,
        "iteration_time": 60.0,  # 0.5 s an episode to learn, twice
        # 25 iterations, 24 s of validation every 10, 2 s for each of 92 + 20 episodes before, at the end and of oracles
        "run_time": pytest.approx((25 * (60 + 2.4) + 2 * 112) / 60),
        "iterations_in_budget": (600 - 224) // 62.4,
    }


def test_a_preference_file_needs_no_rollouts() -> None:
    found = values({"preference": {"method": "dpo", "schedule": "offline", "file": "x.jsonl"}})
    assert found["rollouts"] == found["rows"] == found["rollout_time_per_iteration"] == 0
    assert found["iteration_time"] > 0


def test_rehearsal_adds_the_oracles_episodes_of_every_task() -> None:
    ids: dict[str, Any] = {"tasks": {"ids": ["ExpenseForm-v0"]}, "imitation": {"episodes": 0}}
    assert values(ids)["oracle_episodes"] == 0
    assert values({**ids, "algorithm": {"preset": "ppo_ptx"}})["oracle_episodes"] == 8


def test_a_run_shorter_than_its_time_is_not_cut() -> None:
    short = {**CONFIG, "train": {"iterations": 3, "tasks_per_iteration": 5, "budget": "60 minutes"}}
    assert values(short)["iterations_in_budget"] == 3
    assert values(short, replace(TRIAL, rollout_s=1e6))["iterations_in_budget"] == 0


def test_a_budget_of_steps_is_used_up_by_whole_iterations() -> None:
    limited = {**CONFIG, "train": {"iterations": 25, "tasks_per_iteration": 5, "budget": "150 steps"}}
    assert values(limited)["iterations_in_budget"] == 3  # 60 steps each


def test_replaced_groups_are_said_to_cost_up_to_three_times_as_many_episodes() -> None:
    found = estimate(build_config({**CONFIG, "algorithm": {"preset": "dapo"}}), TRIAL)
    assert found.counts[0].how == "5 groups of 4, up to 60 where groups are replaced"
    assert found.counts[0].show() == "20 episodes"
