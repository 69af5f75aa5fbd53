"""Measuring any policy on held-out tasks."""

from pathlib import Path

import pytest

from milepost.agents.llm import ModelLoadError
from milepost.envs.task import UnknownTaskError
from milepost.training.contest import measure_policy


@pytest.mark.browser
async def test_the_oracle_gets_everything_and_the_random_policy_no_goal() -> None:
    oracle = await measure_policy("oracle", ["CatalogSearch-v0"], split="test", episodes=4)
    assert (oracle.mean_success, oracle.success.trials, oracle.ret) == (1.0, 4, 1.25)
    random = await measure_policy("random", ["CatalogSearch-v0"], split="test", episodes=4)
    assert random.mean_success == 0.0


async def test_wrong_names_are_told_before_a_browser_starts() -> None:
    with pytest.raises(UnknownTaskError):
        await measure_policy("oracle", ["Nothing-v0"], split="test", episodes=1)
    with pytest.raises(ValueError, match="tset"):
        await measure_policy("oracle", ["CatalogSearch-v0"], split="tset", episodes=1)


async def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError):
        await measure_policy(str(tmp_path), ["CatalogSearch-v0"], split="test", episodes=1)
