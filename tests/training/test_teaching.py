import numpy as np
import pytest

from milepost.training.config import build_config
from milepost.training.learner import Learner
from milepost.training.preference_learner import PreferenceLearner
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
