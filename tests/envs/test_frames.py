"""Pages that need no frames are drawn only where somebody looks at them, and it makes no difference to what they do."""

import importlib
import re
from pathlib import Path

import pytest

from milepost.envs.computer import ComputerEnv
from milepost.envs.registry import Row, get_template, templates
from milepost.envs.vector import ComputerVectorEnv
from milepost.sandbox.dialect import render_action

NEEDS_FRAMES = re.compile(
    r"requestAnimationFrame|IntersectionObserver|ResizeObserver|@keyframes|\b(transition|animation)\s*:|onscroll|['\"]scroll['\"]"
)


@pytest.mark.parametrize("row", templates(), ids=lambda row: row.id)
def test_pages_without_frames_use_nothing_that_waits_for_one(row: Row) -> None:
    assert not get_template(row.id).frames
    module = importlib.import_module(row.template.partition(":")[0])
    assert module.__file__ is not None
    for path in Path(module.__file__).parent.rglob("*"):
        if path.suffix in (".py", ".html", ".js", ".css"):
            assert NEEDS_FRAMES.search(path.read_text()) is None, path


def test_the_pages_of_other_packages_are_drawn() -> None:
    assert get_template("miniwob.click-button-v1").frames
    assert ComputerEnv("miniwob.click-button-v1").options.drawn


def test_who_wants_pictures_gets_frames() -> None:
    assert not ComputerEnv("ExpenseForm-v0").options.drawn
    assert ComputerEnv("ExpenseForm-v0", render_mode="rgb_array").options.drawn
    assert ComputerEnv("ExpenseForm-v0", extras=("screenshot",)).options.drawn
    assert ComputerEnv("ExpenseForm-v0", render_mode="human").options.drawn


def test_the_members_of_a_vector_share_one_browser() -> None:
    both = ComputerVectorEnv(["ExpenseForm-v0", "miniwob.click-button-v1"], num_envs=2)
    assert [member.options.drawn for member in both.members] == [True, True]


def play(task: str, **options: str) -> list[object]:
    env = ComputerEnv(task, **options)  # type: ignore[arg-type]
    seen: list[object] = [env.reset(seed=3)[0]]
    over = False
    while not over:
        action = render_action(env.episode.task.oracle(env.last_observation))
        observation, reward, terminated, truncated, info = env.step(action)
        seen.append((observation, reward, info))
        over = terminated or truncated
    env.close()
    return seen


@pytest.mark.browser
@pytest.mark.parametrize("task", ["ExpenseForm-v0", "MailCompose-v0", "MarketFilter-v0"])
def test_frames_change_nothing(task: str) -> None:
    assert play(task) == play(task, render_mode="rgb_array")


@pytest.mark.browser
def test_a_picture_of_pages_that_are_not_drawn_is_refused_with_the_way_out() -> None:
    env = ComputerEnv("ExpenseForm-v0")
    env.reset(seed=0)
    with pytest.raises(ValueError, match='render_mode="rgb_array"'):
        env.driver.run(env.episode.screenshot())
    env.close()
