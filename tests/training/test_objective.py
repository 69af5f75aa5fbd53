from milepost.training.config import build_config
from milepost.training.objective import Objective, build_objective


def test_the_objective_takes_its_numbers_from_the_configuration() -> None:
    config = build_config(
        {
            "algorithm": {"clip_low": 0.1, "dual_clip": 3, "kl_coef": 0.5, "epochs": 2},
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


def test_a_dual_clip_of_zero_is_off() -> None:
    assert build_objective(build_config({})).dual_clip is None


def test_rows_without_an_advantage_matter_only_beside_a_kl_or_entropy_term() -> None:
    assert not Objective().needs_all_rows
    assert Objective(kl_coef=0.1).needs_all_rows
    assert Objective(entropy_coef=0.1).needs_all_rows
