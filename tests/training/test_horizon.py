import pytest

from milepost.envs.registry import get_template
from milepost.sandbox.pool import Pool
from milepost.training.backends.local import LocalBackend
from milepost.training.config import build_config
from milepost.training.horizon import find_limits, limit_steps
from milepost.training.sampler import plan_groups


@pytest.mark.parametrize(
    ("max_steps", "limits"),
    [(6, [3, 3, 4, 4, 5, 5, 6, 6, 6]), (5, [3, 3, 4, 4, 5, 5, 5, 5, 5]), (1, [1] * 9)],
)
def test_an_episode_may_take_half_its_steps_at_first_and_one_more_every_second_iteration(
    max_steps: int, limits: list[int]
) -> None:
    assert [limit_steps(max_steps, iteration) for iteration in range(1, 10)] == limits


def test_every_template_has_limits_of_its_own_and_none_without_the_flag() -> None:
    tasks = 'tasks.ids=["CatalogSearch-v0", "ExpenseForm-v0"]'
    longest = [get_template(task_id).max_steps for task_id in ("CatalogSearch-v0", "ExpenseForm-v0")]
    assert longest == [6, 8]
    config = build_config({}, [tasks, 'algorithm.flags=["horizon"]'])
    assert find_limits(config, 1) == {"CatalogSearch-v0": 3, "ExpenseForm-v0": 4}
    assert find_limits(config, 9) == {"CatalogSearch-v0": 6, "ExpenseForm-v0": 8}
    assert find_limits(build_config({}, [tasks]), 1) == {}


@pytest.mark.browser
@pytest.mark.parametrize(("limits", "taken"), [({"CatalogSearch-v0": 3}, 3), ({"ExpenseForm-v0": 3}, 6)])
async def test_an_episode_is_truncated_at_its_own_limit(limits: dict[str, int], taken: int) -> None:
    requests = plan_groups([("CatalogSearch-v0", 0)], size=1, run_seed=0, phase="train-0001", limits=limits)
    backend = LocalBackend(Pool(contexts=1), contexts=1)
    try:
        episode, _ = await backend.open(requests[0])
        outcomes = []
        while not episode.over:
            outcomes.append(await episode.step("noop()"))
    finally:
        await backend.close()
    assert len(outcomes) == taken
    assert [outcome.truncated for outcome in outcomes] == [False] * (taken - 1) + [True]
    assert outcomes[-1].failure is None
