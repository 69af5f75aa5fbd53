"""What the benchmark of the methods says of its runs, and when it ends one that is decided."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.learning import METHOD_NAMES, RESULTS, build_study, describe_study, find_limit, parse
from benchmarks.report.claims import Claim, judge_claims, summarize, write_table


def make_run(
    method: str, seed: int = 0, *, after: float = 0.9, curve: dict[int, float] | None = None
) -> dict[str, Any]:
    """Make a run that began at 0.25, from its validations: success by episodes."""
    curve = curve or {0: 0.25, 72: 0.8}
    return {
        "method": method,
        "seed": seed,
        "before": 0.25,
        "after": after,
        "n": 34,
        "episodes": max(curve),
        "steps": 7 * max(curve),
        "curve": [
            {"episodes": episodes, "steps": 7 * episodes, "success": value}
            for episodes, value in curve.items()
        ],
    }


def judge(claim: Claim, runs: list[dict[str, Any]]) -> str:
    """Say what runs show of a claim."""
    rows = list(summarize(runs, 0.8))
    (said,) = judge_claims(rows, 0.8, every_method=METHOD_NAMES, claims=[claim])
    return said.split(": ", 1)[1]


OURS = [
    make_run("milestone_grpo", 0, curve={0: 0.2, 72: 0.5, 144: 0.8}),
    make_run("milestone_grpo", 1, curve={0: 0.2, 72: 0.9}),
    make_run("milestone_grpo", 2, curve={0: 0.2, 216: 0.85}),
]


def test_a_run_that_was_ended_counts_as_more_than_it_had() -> None:
    plain = [
        make_run("grpo:outcome", 2, curve={0: 0.2, 432: 0.7}),
        make_run("grpo:outcome", 0, curve={0: 0.2, 288: 0.7}),
        make_run("grpo:outcome", 1, curve={0: 0.2, 108: 0.9}),
    ]
    assert judge(Claim.EPISODES, OURS + plain) == (
        "shown, medians 144 against at least 288, and it is so for 2 of 3 seeds."
    )
    last = write_table(list(summarize(OURS + plain, 0.8)), 0.8).splitlines()[-1]
    assert last.endswith("| not within 288, 108, not within 432 |")


def test_half_the_episodes_is_not_shown_by_medians_that_are_near() -> None:
    plain = [make_run("grpo:outcome", seed, curve={0: 0.2, 252: 0.8}) for seed in (0, 1, 2)]
    assert judge(Claim.EPISODES, OURS + plain) == (
        "not shown, medians 144 against 252, and it is so for 1 of 3 seeds."
    )


def test_half_the_episodes_is_not_shown_where_ours_has_not_arrived() -> None:
    late = make_run("milestone_grpo", 1, curve={0: 0.2, 360: 0.7})
    plain = [make_run("grpo:outcome", seed, curve={0: 0.2, 720: 0.1}) for seed in (0, 1)]
    assert judge(Claim.EPISODES, [OURS[0], late, *plain]) == (
        "not shown, 1 of 2 runs of `milestone_grpo` reached 0.8."
    )
    assert judge(Claim.EPISODES, OURS) == "not run."


def test_a_rise_says_how_many_seeds_it_stands_on() -> None:
    runs = [
        make_run("grpo", 0),
        make_run("grpo", 1, after=0.5),
        make_run("ppo"),
        make_run("kto", 1, after=0.5),
    ]
    said = judge(Claim.GAIN, runs)
    assert said.startswith(
        "`grpo`, `ppo` (1 of 2 seeds); less: `kto` (1 of 2 seeds); not run: `milestone_grpo`, "
    )


@pytest.mark.parametrize(
    ("offline", "said"),
    [
        (
            (0.6, 0.7),
            "shown, means online 0.85, semi_online 0.80, offline 0.65, and it is so for 2 of 2 seeds.",
        ),
        (
            (0.5, 0.86),
            "shown, means online 0.85, semi_online 0.80, offline 0.68, and it is so for 1 of 2 seeds.",
        ),
        (
            (0.8, 0.8),
            "not shown, means online 0.85, semi_online 0.80, offline 0.80, and it is so for 1 of 2 seeds.",
        ),
    ],
)
def test_online_dpo_is_compared_with_offline_dpo_seed_by_seed(
    offline: tuple[float, float], said: str
) -> None:
    ends = {"dpo:offline": offline, "dpo:online": (0.8, 0.9), "dpo:semi_online@2": (0.75, 0.85)}
    runs = [
        make_run(name, seed, after=after) for name, both in ends.items() for seed, after in enumerate(both)
    ]
    assert judge(Claim.SCHEDULE, runs) == said
    assert judge(Claim.SCHEDULE, runs[2:]) == "not run as a whole (online 0.85, semi_online 0.80)."


def test_outcome_only_grpo_ends_after_twice_the_episodes_of_its_seed(tmp_path: Path) -> None:
    options = parse(["--out", str(tmp_path), "--groups", "6", "--until-target"])
    assert find_limit("grpo:outcome", 0, options) == 0
    runs = [
        {**run, "study": describe_study("milestone_grpo", options)}
        for run in (OURS[0], make_run("milestone_grpo", 1, curve={0: 0.2, 360: 0.7}))
    ]
    (tmp_path / RESULTS).write_text("".join(json.dumps(run) + "\n" for run in runs))
    # 144 episodes are 4 iterations of 6 groups of 6
    assert find_limit("grpo:outcome", 0, options) == 8
    assert [find_limit(name, seed, options) for name, seed in (("grpo:outcome", 1), ("rloo", 0))] == [0, 0]
    assert build_study("grpo:outcome", 0, options, iterations=8).train.iterations == 8
    other = parse(["--out", str(tmp_path), "--groups", "6", "--until-target", "--learning-rate", "1e-3"])
    assert find_limit("grpo:outcome", 0, other) == 0
    without = parse(["--out", str(tmp_path), "--groups", "6"])
    assert find_limit("grpo:outcome", 0, without) == 0


def test_only_milestone_advantages_take_their_options() -> None:
    options = parse(["--gamma", "0.85", "--shrinkage", "2"])
    ours, plain = (build_study(name, 0, options).algorithm for name in ("milestone_grpo", "grpo:outcome"))
    assert (ours.gamma, ours.shrinkage, plain.gamma, plain.shrinkage) == (0.85, 2.0, 1.0, 0.0)
    assert describe_study("grpo:outcome", options) != describe_study("grpo:outcome", parse([]))


@pytest.mark.parametrize("schedule", ["online", "offline", "semi_online@2", "continuous"])
def test_a_schedule_stands_after_the_colon(schedule: str) -> None:
    config = build_study(f"dpo:{schedule}", 0, parse([]))
    assert (config.preference.method, config.preference.schedule) == ("dpo", schedule)


def test_whatever_all_stands_for_can_be_played() -> None:
    played = [build_study(name, 0, parse([])).preference for name in METHOD_NAMES]
    assert "apo_down" not in {one.method for one in played}
    assert {one.schedule for one in played if one.method} == {"online", "semi_online", "offline"}
