from collections.abc import AsyncIterator
from fractions import Fraction

import pytest

from milepost.envs.performance import TRIES, Play, follow_oracle, perform, show_actions
from milepost.envs.registry import get_template
from milepost.envs.task import Split, Task
from milepost.sandbox.actions import Answer, Click, Noop
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool

pytestmark = pytest.mark.browser

TEMPLATE = get_template("CatalogSearch-v0")


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool(contexts=1)
    yield pool
    await pool.close()


async def test_an_oracle_is_followed_to_the_end(pool: Pool) -> None:
    task = TEMPLATE.task(0)
    played = await perform(pool, TEMPLATE, 0, Split.TRAIN, follow_oracle(task.oracle))
    assert (played.success, played.paid) == (True, task.spec.total)
    assert played.task.spec == task.spec
    assert len(played.actions) == max(event.step for event in played.events)


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


async def test_a_sandbox_that_fails_every_time_is_no_result(pool: Pool) -> None:
    await pool.close()
    with pytest.raises(SandboxError, match="the pool is closed"):
        await perform(pool, TEMPLATE, 0, Split.TRAIN, follow_oracle(TEMPLATE.task(0).oracle))


def test_actions_are_shown_in_a_line_that_ends() -> None:
    assert show_actions([Click("3"), Noop()]) == 'click("3") noop(0)'
    assert len(show_actions([Click("3")] * 100)) == 300
