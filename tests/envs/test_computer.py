"""The Gymnasium side, on a real Chromium."""

import asyncio
import math
import pickle
import threading
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from milepost.envs.computer import ComputerEnv
from milepost.envs.registry import get_template, templates
from milepost.envs.task import UnknownTaskError
from milepost.sandbox.dialect import render_action

pytestmark = pytest.mark.browser
IDS = [template.id for template in templates()[:3]]
"""The first tasks; every task is played in `test_episode`."""


def solve(env: ComputerEnv, seed: int = 3, split: str = "train") -> tuple[float, int]:
    env.reset(seed=seed, options={"split": split})
    total, steps, over = 0.0, 0, False
    while not over:
        action = render_action(env.episode.task.oracle(env.episode.observation))
        _, reward, terminated, truncated, _ = env.step(action)
        total, steps, over = total + float(reward), steps + 1, terminated or truncated
    return total, steps


@pytest.mark.parametrize("task", IDS)
@pytest.mark.filterwarnings("ignore")
def test_gymnasiums_own_checker_is_satisfied(task: str) -> None:
    env = gymnasium.make(f"milepost/{task}")
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("task", IDS)
def test_the_oracle_gets_every_milestone(task: str) -> None:
    env = ComputerEnv(task)
    total, steps = solve(env)
    assert env.episode.success
    assert total == pytest.approx(float(env.episode.spec.total))
    assert 2 <= steps <= 6
    env.close()


def test_a_normalized_episode_pays_one() -> None:
    env = ComputerEnv("ReportExport-v0", reward_mode="normalized")
    assert solve(env)[0] == pytest.approx(1.0)
    env.close()


def test_an_outcome_episode_pays_one_at_the_goal_alone() -> None:
    env = ComputerEnv("ExpenseForm-v0", reward_mode="outcome")
    assert solve(env)[0] == 1.0
    env.close()


def test_info_explains_a_reward() -> None:
    env = ComputerEnv("CatalogSearch-v0")
    env.reset(seed=1)
    action = render_action(env.episode.task.oracle(env.episode.observation))
    _, reward, _, _, info = env.step(action)
    assert reward == 0.25
    assert info["reward_parts"] == {"query": 0.25}
    assert info["milestones"][0]["reward"] == "1/4"
    event = env.episode.events[info["milestones"][0]["events"][0]]
    assert event.kind == "filled"
    assert info["reached"] == ["query"]
    assert not info["mask"]
    env.close()


def test_a_wrong_action_is_an_error_in_the_observation() -> None:
    env = ComputerEnv("CatalogSearch-v0")
    env.reset(seed=1)
    observation, reward, terminated, truncated, _ = env.step("what?")
    assert "no action found" in observation["last_error"]
    assert (reward, terminated, truncated) == (0.0, False, False)
    env.close()


def test_the_step_limit_truncates() -> None:
    env = ComputerEnv("ReportExport-v0")
    env.reset(seed=1)
    flags = [env.step("noop()")[2:4] for _ in range(get_template("ReportExport-v0").max_steps)]
    assert flags[-1] == (False, True)
    assert not any(any(pair) for pair in flags[:-1])
    with pytest.raises(RuntimeError, match="the episode is over"):
        env.step("noop()")
    env.close()


def test_an_answer_ends_the_episode() -> None:
    env = ComputerEnv("ReportExport-v0")
    env.reset(seed=1)
    _, reward, terminated, _, info = env.step('answer("done")')
    assert (reward, terminated, info["success"]) == (0.0, True, False)
    env.close()


def test_splits_are_honoured_and_differ() -> None:
    env = ComputerEnv("ExpenseForm-v0")
    goals = {split: env.reset(seed=5, options={"split": split})[0]["goal"] for split in ("train", "test")}
    assert goals["train"] != goals["test"]
    env.close()


@pytest.mark.parametrize(
    ("options", "message"), [({"splt": "test"}, "unknown reset options"), ({"split": "tets"}, "tets")]
)
def test_a_wrong_option_is_refused(options: dict[str, str], message: str) -> None:
    env = ComputerEnv("ExpenseForm-v0")
    with pytest.raises(ValueError, match=message):
        env.reset(seed=1, options=options)


def test_an_unknown_task_names_the_nearest() -> None:
    with pytest.raises(UnknownTaskError, match="ReportExport-v0"):
        ComputerEnv("ReportExprt-v0")


def test_rendering_gives_the_pages_pixels() -> None:
    env = ComputerEnv("ReportExport-v0", render_mode="rgb_array", viewport=(400, 300))
    env.reset(seed=1)
    image = env.render()
    assert image is not None
    assert image.shape == (300, 400, 3)
    assert len(set(image[:, :, 0].ravel().tolist())) > 3
    env.close()


def test_it_works_inside_a_running_event_loop_and_in_threads() -> None:
    totals: list[float] = []

    def play(seed: int) -> None:
        env = ComputerEnv("ReportExport-v0")
        totals.append(solve(env, seed)[0])
        env.close()

    async def inside() -> None:
        play(1)

    asyncio.run(inside())
    threads = [threading.Thread(target=play, args=(seed,)) for seed in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals == [pytest.approx(1.75)] * 3


def test_a_dead_browser_gives_no_reward_rather_than_zero_and_the_next_reset_works() -> None:
    env = ComputerEnv("ReportExport-v0", viewport=(401, 300))
    env.reset(seed=1)
    env.episode._session._browser.connection.post("Browser.close")
    outcome = env.step("noop(300)")
    if not math.isnan(float(outcome[1])):
        outcome = env.step("noop(300)")
    assert math.isnan(float(outcome[1]))
    assert outcome[4]["mask"] is True
    assert outcome[4]["failure"] == "infrastructure"
    env.reset(seed=1)
    assert solve(env)[0] == pytest.approx(1.75)
    env.close()


def test_extras_are_shown_on_top_when_asked() -> None:
    env = ComputerEnv(
        "CatalogSearch-v0", extras=("screenshot", "marks", "axtree", "dom"), viewport=(400, 300)
    )
    shown, _ = env.reset(seed=1)
    assert shown in env.observation_space
    assert shown["screenshot"].shape == shown["marks"].shape == (300, 400, 3)
    assert (shown["screenshot"] != shown["marks"]).any()
    shown, *_ = env.step("noop()")
    assert shown in env.observation_space
    env.close()


def test_an_unknown_extra_is_refused() -> None:
    with pytest.raises(
        ValueError, match="unknown extra 'video'; expected some of screenshot, marks, axtree, dom"
    ):
        ComputerEnv("CatalogSearch-v0", extras=("video",))


def test_gymnasiums_wrappers_and_specs_work() -> None:
    env = gymnasium.make("milepost/CatalogSearch-v0", render_mode="rgb_array", max_episode_steps=2)
    spec = pickle.loads(pickle.dumps(env.spec))
    assert gymnasium.make(spec).spec == env.spec
    env = gymnasium.wrappers.RecordEpisodeStatistics(env)
    env.reset(seed=1)
    frame = env.render()
    assert isinstance(frame, np.ndarray)
    assert frame.shape == (768, 1024, 3)
    env.step("noop()")
    _, _, terminated, truncated, info = env.step("noop()")
    assert (terminated, truncated) == (False, True)
    assert info["episode"]["l"] == 2
    env.close()


def test_gymnasium_records_videos_of_it(tmp_path: Path) -> None:
    env = gymnasium.make("milepost/CatalogSearch-v0", render_mode="rgb_array", max_episode_steps=3)
    video: Any = gymnasium.wrappers.RecordVideo(env, str(tmp_path / "videos"), disable_logger=True)
    video.reset(seed=1)
    assert [video.step("noop()")[3] for _ in range(3)] == [False, False, True]
    video.close()
    (file,) = tmp_path.glob("videos/*.mp4")
    assert file.stat().st_size > 1_000


def test_behind_a_dialog_the_page_stays_as_it_was_last_seen() -> None:
    """The browser takes no picture of a page that a dialog blocks: waiting for one would lose the episode."""
    env = ComputerEnv("EventSignup-v0", extras=("screenshot", "axtree"), render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    before = observation
    while env.last_observation.dialog is None:
        before = observation
        observation, *_ = env.step(render_action(env.episode.task.oracle(env.last_observation)))
    assert np.array_equal(observation["screenshot"], before["screenshot"])
    assert observation["axtree"] == before["axtree"]
    picture = env.render()
    assert picture is not None
    assert np.array_equal(picture, before["screenshot"])
    observation, *_, info = env.step("accept_dialog()")
    assert not np.array_equal(observation["screenshot"], before["screenshot"])
    assert info["failure"] == ""
    env.close()
