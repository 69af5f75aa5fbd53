"""The same seed and actions, twice."""

from dataclasses import replace

import pytest

from milepost.envs.determinism import Moment, Run, compare_runs, play_actions, verify_determinism
from milepost.envs.registry import get_template, templates
from milepost.envs.task import Split
from milepost.sandbox.pool import Pool

IDS = [template.id for template in templates()[:3]]
"""The first tasks; every task is played twice in `test_episode`."""


@pytest.mark.browser
@pytest.mark.parametrize("task", IDS)
async def test_every_task_is_deterministic(undrawn: Pool, task: str) -> None:
    found = await verify_determinism(undrawn, get_template(task), seeds=range(1), split=Split.TEST)
    assert [one.describe() for one in found] == []


@pytest.mark.browser
async def test_given_actions_are_played_as_they_are(undrawn: Pool) -> None:
    run = await play_actions(
        undrawn, get_template("CatalogSearch-v0"), 0, Split.TRAIN, ["scroll(0, 10)", 'answer("x")']
    )
    assert [moment.action for moment in run.moments] == ["", "scroll(0, 10)", 'answer("x")']


def make_run(*, title: str = "Home", hash_: str = "h1", reward: str = "0") -> Run:
    return Run(
        moments=(
            Moment(action="", observation="o0", events="h0", reward="0"),
            Moment(action="noop(0)", observation=title, events=hash_, reward=reward),
        ),
        seen=(b"{}", b'{"title": "' + title.encode() + b'"}'),
        log=(b"e0", hash_.encode()),
        logged=(1, 2),
    )


def test_equal_runs_do_not_differ() -> None:
    assert compare_runs(0, make_run(), make_run()) is None


@pytest.mark.parametrize(
    ("second", "what", "lines"),
    [
        (make_run(title="Away"), "observation", ("title: 'Home'", "title: 'Away'")),
        (make_run(hash_="h2"), "events", ("h1", "h2")),
        (make_run(reward="1"), "reward", ("0", "1")),
    ],
)
def test_a_difference_says_where_and_in_what(second: Run, what: str, lines: tuple[str, str]) -> None:
    found = compare_runs(7, make_run(), second)
    assert found is not None
    assert (found.what, found.step, found.first, found.second) == (what, 1, *lines)
    assert found.describe().startswith(f"seed 7, step 1, after noop(0): the {what} differs")


def test_a_run_that_ends_early_differs_in_length() -> None:
    first = make_run()
    found = compare_runs(0, first, replace(first, moments=first.moments[:1]))
    assert found is not None
    assert (found.what, found.first, found.second) == ("length", "1 steps", "0 steps")
