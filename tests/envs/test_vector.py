"""Many environments at once, on a real Chromium."""

import asyncio

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from milepost.envs.vector import ComputerVectorEnv
from milepost.sandbox.dialect import render_action

pytestmark = pytest.mark.browser


def ask_oracles(env: ComputerVectorEnv) -> list[str]:
    return [render_action(m.episode.task.oracle(m.episode.observation)) for m in env.members]


def test_make_vec_gives_our_own_vector_environment() -> None:
    env = gymnasium.make_vec("milepost/CatalogSearch-v0", num_envs=3)
    assert isinstance(env.unwrapped, ComputerVectorEnv)
    observations, infos = env.reset(seed=5)
    assert observations in env.observation_space
    assert infos["seed"].tolist() == [5, 6, 7]
    assert len(set(observations["goal"])) == 3
    env.close()


def test_members_are_solved_together_and_begin_anew_in_the_next_step() -> None:
    env = ComputerVectorEnv(["CatalogSearch-v0", "ExpenseForm-v0"], num_envs=2, reward_mode="normalized")
    env.reset(seed=1)
    totals, ended, first = np.zeros(2), np.zeros(2, dtype=bool), None
    while not ended.all():
        before = [m.episode for m in env.members]
        observations, rewards, terminated, _, _ = env.step(ask_oracles(env))
        totals += np.where(ended, 0.0, rewards)
        if first is None and terminated.any():
            first = int(terminated.argmax())
        elif first is not None and env.members[first].episode is not before[first]:
            assert observations["last_action"][first] == ""
            assert rewards[first] == 0.0
        ended |= terminated
    assert totals.tolist() == pytest.approx([1.0, 1.0])
    env.close()


def test_the_last_observation_is_kept_when_members_begin_anew_at_once() -> None:
    env = ComputerVectorEnv("CatalogSearch-v0", autoreset_mode=AutoresetMode.SAME_STEP)
    env.reset(seed=1)
    _, _, terminated, _, infos = env.step(['answer("nothing")'])
    assert terminated.tolist() == [True]
    assert infos["final_obs"][0]["last_action"] == 'answer("nothing")'
    env.close()


async def test_a_finished_member_does_not_wait_for_the_slowest() -> None:
    env = ComputerVectorEnv("CatalogSearch-v0", num_envs=2)
    order: list[str] = []

    async def play(index: int, ms: int, steps: int) -> None:
        await env.reset_member(index, seed=index)
        for _ in range(steps):
            await env.step_member(index, f"noop({ms})")
        order.append(f"{index} done")

    await asyncio.gather(play(0, 1500, 1), play(1, 1, 4))
    assert order == ["1 done", "0 done"]
    env.close()


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="1 tasks for 2 members"):
        ComputerVectorEnv(["CatalogSearch-v0"], num_envs=2)
    env = ComputerVectorEnv("CatalogSearch-v0", num_envs=2)
    with pytest.raises(ValueError, match="3 seeds for 2 members"):
        env.reset(seed=[1, 2, 3])
    env.reset(seed=1)
    with pytest.raises(ValueError, match="1 actions for 2 members"):
        env.step(("noop()",))
    env.close()
