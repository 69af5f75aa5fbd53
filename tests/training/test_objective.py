import pytest

from milepost.training.config import build_config
from milepost.training.objective import Objective, build_objective


def test_the_objective_takes_its_numbers_from_the_configuration() -> None:
    config = build_config(
        {
            "algorithm": {"clip": [0.1, 0.28], "flags": ["dual_clip"], "kl_coef": 0.5, "epochs": 2},
            "optim": {"learning_rate": 0.25, "token_budget": 7},
            "policy": {"temperature": 0.5},
        }
    )
    objective = build_objective(config)
    assert objective.clip_low == 0.1
    assert objective.dual_clip == 3.0
    assert objective.epochs == 2
    assert objective.learning_rate == 0.25
    assert objective.token_budget == 7
    assert objective.temperature == 0.5


@pytest.mark.parametrize(
    ("flag", "name", "value"),
    [
        ("dual_clip", "dual_clip", 3.0),
        ("two_sided_clip", "delta", 4.0),
        ("off_policy_mask", "off_policy_threshold", 2.0),
    ],
)
def test_a_bound_is_there_with_its_flag_only(flag: str, name: str, value: float) -> None:
    assert getattr(build_objective(build_config({})), name) is None
    assert getattr(build_objective(build_config({"algorithm": {"flags": [flag]}})), name) == value


def test_an_adaptive_weight_starts_at_one_unless_it_is_given() -> None:
    adaptive = build_objective(build_config({"algorithm": {"flags": ["adaptive_kl"]}}))
    assert (adaptive.adapts, adaptive.step_kl_coef, adaptive.step_kl) == (True, 1.0, 0.01)
    given = {"flags": ["adaptive_kl"], "step_kl": [3.0, 0.02]}
    objective = build_objective(build_config({"algorithm": given}))
    assert (objective.step_kl_coef, objective.step_kl) == (3.0, 0.02)
    fixed = build_objective(build_config({"algorithm": {"step_kl": [3.0, 0.01]}}))
    assert (fixed.adapts, fixed.step_kl_coef) == (False, 3.0)


def test_rows_without_an_advantage_matter_only_beside_a_kl_or_entropy_term() -> None:
    assert not Objective().needs_all_rows
    assert Objective(kl_coef=0.1).needs_all_rows
    assert Objective(entropy_coef=0.1).needs_all_rows
