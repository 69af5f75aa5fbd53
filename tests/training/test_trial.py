from pathlib import Path

import pytest
import torch

from milepost.training.config import build_config
from milepost.training.trajectory import Status
from milepost.training.trial import dry_run, make_mixed
from tests.training.trajectories import from_rewards


@pytest.mark.browser
def test_a_dry_run_plays_one_group_takes_one_step_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    config = build_config(
        {
            "run": {"threads": 1},
            "tasks": {"ids": ["CatalogSearch-v0"]},
            "policy": {"max_tokens": 4},
            "rollout": {"group_size": 2, "contexts": 2},
            "algorithm": {"epochs": 4, "minibatches": 2},
        }
    )
    found = dry_run(config)
    torch.set_num_threads(threads)
    assert found.trial.episodes == 2
    assert found.trial.rows >= 2
    assert found.trial.completion_tokens >= found.trial.rows
    assert found.trial.prompt_tokens > found.trial.rows
    assert found.trial.computed_tokens > 0
    assert found.trial.copies == 0
    assert found.trial.peak_bytes > 4 * found.trial.parameters
    assert found.to_record()["optimizer_steps_per_iteration"]["value"] == 8
    assert list(tmp_path.iterdir()) == []


def test_a_group_that_fared_alike_is_made_to_teach_something() -> None:
    broken = from_rewards([0.0], group="g", member=0, status=Status.TIMEOUT)
    alike = [broken, from_rewards([0.5, 0.5], group="g", member=1), from_rewards([1.0], group="g", member=2)]
    paid = make_mixed(alike)
    assert [one.ret for one in paid] == [0.0, 2.0, 1.0]
    assert paid[1].success
    assert make_mixed(paid) == paid
    assert make_mixed([broken]) == [broken]
