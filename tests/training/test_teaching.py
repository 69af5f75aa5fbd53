from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from milepost.training.config import Config, build_config
from milepost.training.credit import credit_batch
from milepost.training.learner import Learner
from milepost.training.overrides import ConfigError
from milepost.training.preference_learner import PreferenceLearner
from milepost.training.preferences.method import METHODS, Schedule
from milepost.training.presets import PRESETS
from milepost.training.study import check_study
from milepost.training.teaching import build_learner, needs_reference, teach
from tests.training.trajectories import make_model, make_trajectory, make_turn

BATCH = [
    make_trajectory([make_turn(ret, completion=(4, 10 + i))], group=group, member=i, success=ret == 1.0)
    for group, rets in (("mixed", (1.0, 0.0)), ("alike", (1.0, 1.0)))
    for i, ret in enumerate(rets)
]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, False),
        ({"algorithm": {"preset": "grpo"}}, True),
        ({"preference": {"method": "dpo"}}, True),
        ({"preference": {"method": "simpo"}}, False),
        ({"preference": {"method": "simpo"}, "algorithm": {"preset": "grpo"}}, False),
    ],
)
def test_a_reference_is_kept_where_the_method_has_one(data: dict[str, object], expected: bool) -> None:
    assert needs_reference(build_config(data)) is expected


def test_a_method_of_preferences_takes_the_place_of_an_algorithm() -> None:
    made = [
        build_learner(build_config(data), make_model(), None)
        for data in (
            {"preference": {"method": "simpo"}},
            {"algorithm": {"preset": "ppo", "kl_coef": 0.0, "kl_place": "loss"}},
        )
    ]
    assert isinstance(made[0], PreferenceLearner)
    assert isinstance(made[1], Learner)
    assert made[1].critic is not None


@pytest.mark.parametrize(("flags", "rows"), [([], 4.0), (["dynamic_sampling"], 2.0)])
def test_groups_that_fared_alike_are_left_out_where_they_were_replaced(flags: list[str], rows: float) -> None:
    config = build_config({"algorithm": {"flags": flags}})
    facts, credit = teach(build_learner(config, make_model(), None), BATCH, config, np.random.default_rng(0))
    assert facts["rows"] == rows
    assert credit["flat_groups"] == (0.0 if flags else 0.5)


def test_the_preference_loop_learns_from_the_same_episodes() -> None:
    config = build_config({"preference": {"method": "simpo"}})
    facts, mined = teach(build_learner(config, make_model(), None), BATCH, config, np.random.default_rng(0))
    assert facts["optimizer_steps"] == 1.0
    assert mined["pairs"] == 1.0


EPISODES = [
    make_trajectory(
        [make_turn(first, completion=(4, 10 + i)), make_turn(second, completion=(5 + i, 12))],
        group=group,
        member=i,
        success=first + second == 1.0,
    )
    for group in ("g", "h")
    for i, (first, second) in enumerate(((0.25, 0.75), (0.25, 0.0), (0.0, 0.0)))
]


def teach_twice(config: Config) -> tuple[float, dict[str, float]]:
    """Take two iterations as a run does, browsers aside; give how far a weight moved, and all that is reported."""
    check_study(config)
    model = make_model()
    reference = deepcopy(model).requires_grad_(False) if needs_reference(config) else None
    learner = build_learner(config, model, reference)
    before = torch.cat([p.detach().flatten() for p in model.parameters()])
    rng, facts = np.random.default_rng(0), dict[str, float]()
    rows, _ = credit_batch(EPISODES, Config().algorithm, constant=2, rng=rng)
    for number in (1, 2):
        if isinstance(learner, PreferenceLearner):
            learner.begin(number)
        shown = [replace(row, advantage=0.0) for row in rows]
        for own in teach(learner, EPISODES, config, rng, demonstrations=shown):
            facts |= own
    after = torch.cat([p.detach().flatten() for p in model.parameters()])
    return float((after - before).abs().max()), facts


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_learns_from_a_configuration(name: str) -> None:
    moved, facts = teach_twice(build_config({"algorithm": {"preset": name}}))
    assert moved > 1e-5
    assert all(np.isfinite(value) for value in facts.values())


@pytest.mark.parametrize("schedule", Schedule)
@pytest.mark.parametrize("name", METHODS)
def test_every_preference_method_learns_on_every_schedule(name: str, schedule: Schedule) -> None:
    data = {"preference": {"method": name, "schedule": schedule.value}, "rollout": {"group_size": 2}}
    played = schedule in (Schedule.ONLINE, Schedule.CONTINUOUS)
    if (METHODS[name].restarts and schedule is Schedule.CONTINUOUS) or (METHODS[name].lagging and played):
        with pytest.raises(ConfigError, match=r"choose another schedule|set schedule to 'offline'"):
            build_config(data)
        return
    moved, facts = teach_twice(build_config(data))
    assert moved > 1e-5
    assert all(np.isfinite(value) for value in facts.values())
