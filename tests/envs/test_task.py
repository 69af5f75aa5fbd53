"""Templates draw tasks from seeds."""

import dataclasses

import numpy as np
import pytest

from milepost.envs.task import Split, Task, Template, choose
from milepost.milestones import Goal, Spec, milestone, when
from milepost.sandbox.actions import Noop
from milepost.sandbox.observation import Observation

CLICKED = when("clicked", name="Go")


def build(rng: np.random.Generator, split: Split) -> Task:
    return Task(
        goal=f"{split} {int(rng.integers(10**9))}",
        params={},
        start_url="http://a.test/",
        sites={},
        spec=Spec(milestones=(milestone("go", reward="1", when=CLICKED),), goal=Goal(when=CLICKED)),
        oracle=lambda view: Noop(),
    )


TEMPLATE = Template(id="Go-v0", family="form", summary="Go.", max_steps=3, build=build)


def test_the_same_seed_and_split_give_the_same_task() -> None:
    assert TEMPLATE.task(7).goal == TEMPLATE.task(7).goal


def test_seeds_and_splits_draw_from_different_streams() -> None:
    numbers = {TEMPLATE.task(seed, split).goal.split()[1] for seed in range(5) for split in Split}
    assert len(numbers) == 15


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="non-negative integer, got -1"):
        TEMPLATE.task(-1)


def test_choosing_keeps_the_type() -> None:
    assert choose(np.random.default_rng(0), (("a", 1),)) == ("a", 1)


def test_a_tasks_solution_and_its_alternatives_are_found_by_name() -> None:
    def by_keys(view: Observation) -> Noop:
        return Noop(1)

    task = dataclasses.replace(TEMPLATE.task(0), alternatives={"by keys": by_keys})
    assert task.find_oracle("oracle") is task.oracle
    assert task.find_oracle("alternative:by keys") is by_keys
    with pytest.raises(ValueError, match="no alternative 'by kys'; did you mean 'by keys'"):
        task.find_oracle("alternative:by kys")
    with pytest.raises(ValueError, match="no alternative 'x'; it has 'by keys'"):
        task.find_oracle("alternative:x")
    with pytest.raises(ValueError, match="no alternative 'x'; it has none"):
        TEMPLATE.task(0).find_oracle("alternative:x")
