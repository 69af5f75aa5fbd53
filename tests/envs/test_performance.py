import dataclasses
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from milepost.envs.performance import (
    TRIES,
    Play,
    follow_oracle,
    perform,
    play_together,
    show_actions,
)
from milepost.envs.registry import get_template
from milepost.envs.task import Split, Task
from milepost.sandbox.actions import Answer, Click, Noop
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool
from milepost.sandbox.sites import ASGIApp, Recorder, Site

TEMPLATE = get_template("CatalogSearch-v0")


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool(contexts=1)
    yield pool
    await pool.close()


@pytest.mark.browser
async def test_an_oracle_is_followed_to_the_end(pool: Pool) -> None:
    task = TEMPLATE.task(0)
    played = await perform(pool, TEMPLATE, 0, Split.TRAIN, follow_oracle(task.oracle))
    assert (played.success, played.paid) == (True, task.spec.total)
    assert played.task.spec == task.spec
    assert len(played.actions) == max(event.step for event in played.events)


@pytest.mark.browser
async def test_a_player_may_stop_early_and_an_episode_that_broke_is_played_again(pool: Pool) -> None:
    begun = 0

    def play(task: Task, view: Observation) -> Play:
        nonlocal begun
        begun += 1
        if begun < TRIES:
            raise SandboxError(Failure.INFRASTRUCTURE, "the browser is gone")
        yield Answer("done")

    played = await perform(pool, TEMPLATE, 0, Split.TRAIN, play)
    assert (begun, played.actions, played.paid) == (TRIES, (Answer("done"),), Fraction(0))


@pytest.mark.browser
async def test_a_sandbox_that_fails_every_time_is_no_result(pool: Pool) -> None:
    await pool.close()
    with pytest.raises(SandboxError, match="the pool is closed"):
        await perform(pool, TEMPLATE, 0, Split.TRAIN, follow_oracle(TEMPLATE.task(0).oracle))


def build_broken(record: Recorder) -> ASGIApp:
    async def app(scope: object, receive: object, send: object) -> None:
        raise KeyError("rom")

    return app


@pytest.mark.browser
async def test_a_site_that_raises_is_the_tasks_fault(pool: Pool) -> None:
    """The episode is played once and to the first fault: what the task's own code does is done again every time."""
    begun = 0

    def build(rng: np.random.Generator, split: Split) -> Task:
        nonlocal begun
        begun += 1
        task = TEMPLATE.build(rng, split)
        sites = {host: Site(app="catalog", build=build_broken) for host in task.sites}
        return dataclasses.replace(task, sites=sites)

    broken = dataclasses.replace(TEMPLATE, build=build)
    with pytest.raises(SandboxError) as caught:
        await perform(pool, broken, 0, Split.TRAIN, follow_oracle(TEMPLATE.task(0).oracle))
    assert (caught.value.failure, begun) == (Failure.TASK, 1)
    assert caught.value.reason.startswith("GET http://")
    assert "KeyError: 'rom' (envs/test_performance.py, line " in caught.value.reason
    assert caught.value.reason.endswith("(seed 0, after the reset)")


async def misspell() -> None:
    raise KeyError("rom")


async def fail_in_the_browser() -> None:
    raise SandboxError(Failure.TIMEOUT, "it took too long")


async def test_what_the_tasks_own_code_raises_is_the_tasks_fault() -> None:
    with pytest.raises(
        SandboxError, match=r"^KeyError: 'rom' \(envs/test_performance.py, line \d+, in misspell\)$"
    ):
        await play_together(Path(__file__).parent, [misspell()])
    with pytest.raises(KeyError, match="rom"):
        await play_together(Path("/elsewhere"), [misspell()])
    with pytest.raises(SandboxError, match="it took too long") as caught:
        await play_together(Path("/elsewhere"), [fail_in_the_browser()])
    assert caught.value.failure is Failure.TIMEOUT


def test_actions_are_shown_in_a_line_that_ends() -> None:
    assert show_actions([Click("3"), Noop()]) == 'click("3") noop(0)'
    assert len(show_actions([Click("3")] * 100)) == 300
