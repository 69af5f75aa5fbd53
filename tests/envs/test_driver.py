"""Environments in other processes, threads and loops: each process has a driver and a browser of its own."""

import asyncio
import concurrent.futures
import multiprocessing
import pickle

import gymnasium
import pytest

import milepost  # noqa: F401 - registers the environments
from milepost.envs.computer import ComputerEnv

pytestmark = pytest.mark.browser
TASK = "CatalogSearch-v0"


def play(seed: int) -> tuple[str, float]:
    """One step of a task, in whatever process or thread this runs."""
    env = gymnasium.make(f"milepost/{TASK}")
    observation, _ = env.reset(seed=seed)
    _, reward, *_ = env.step("noop()")
    env.close()
    return str(observation["goal"]), float(reward)


def test_environments_work_in_processes() -> None:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
        assert executor.submit(play, 3).result(timeout=60) == play(3)


def test_a_specification_travels_to_another_process() -> None:
    spec = pickle.loads(pickle.dumps(gymnasium.spec(f"milepost/{TASK}")))
    env = gymnasium.make(spec, actions_per_step=2, max_tokens=200)
    again = gymnasium.make(pickle.loads(pickle.dumps(env.spec)))
    assert env.reset(seed=1)[0] == again.reset(seed=1)[0]
    assert again.step("noop() noop(1)")[0]["last_action"] == "noop(0) noop(1)"
    env.close()
    again.close()


async def test_a_running_loop_is_no_obstacle() -> None:
    # As in a notebook: the loop runs already, and a cell calls the environment on it.
    env = ComputerEnv(TASK)
    env.reset(seed=1)
    await asyncio.sleep(0)
    assert env.step("noop()")[0]["last_action"] == "noop(0)"
    steps = await asyncio.gather(*(asyncio.to_thread(play, seed) for seed in (1, 2)))
    assert [reward for _, reward in steps] == [0.0, 0.0]
    env.close()
