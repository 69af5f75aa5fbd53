"""What an environment's options may be, and what they do."""

from typing import Any

import pytest

from milepost.envs.computer import ComputerEnv
from milepost.envs.conditions import Conditions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"actions_per_step": 0}, "actions_per_step is 1 to 100, got 0"),
        ({"max_tokens": 3}, "max_tokens is at least 32, or None for no limit; got 3"),
        ({"page_time_ms": 0}, "page_time_ms is 1 to 60000, or None for real time; got 0"),
    ],
)
def test_a_number_out_of_its_range_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Conditions(**options)
    with pytest.raises(ValueError, match=message):
        ComputerEnv("ExpenseForm-v0", **options)


@pytest.mark.browser
def test_several_actions_go_into_one_step_when_the_environment_allows_it() -> None:
    env = ComputerEnv("CatalogSearch-v0", actions_per_step=2)
    env.reset(seed=1)
    observation, *_ = env.step("I will wait. noop(1) noop(2)")
    assert observation["last_action"] == "noop(1) noop(2)"
    observation, *_ = env.step("noop() noop() noop()")
    assert observation["last_error"] == "3 actions in one message; at most 2 are carried out at once"
    assert env.episode.steps == 2
    env.close()


@pytest.mark.browser
def test_a_budget_shortens_the_tree_and_says_so() -> None:
    env = ComputerEnv("CatalogSearch-v0", max_tokens=32)
    whole = ComputerEnv("CatalogSearch-v0")
    short, _ = env.reset(seed=1)
    long, _ = whole.reset(seed=1)
    assert len(short["tree"]) <= 4 * 32 < len(long["tree"])
    assert "(... " in short["tree"]
    assert short in env.observation_space
    env.close()
    whole.close()


@pytest.mark.browser
def test_traffic_is_kept_when_asked_for() -> None:
    env = ComputerEnv("CatalogSearch-v0", traffic=True, page_time_ms=200)
    env.reset(seed=1)
    entries = env.episode.har()["log"]["entries"]
    assert entries[0]["request"]["url"] == env.episode.task.start_url
    assert entries[0]["response"]["status"] == 200
    env.close()
    plain = ComputerEnv("CatalogSearch-v0")
    plain.reset(seed=1)
    with pytest.raises(RuntimeError, match="make the environment, with traffic=True"):
        plain.episode.har()
    plain.close()
