"""The task of one's own that the benchmarks bring: what its pages take, what they pay, and that it can be solved."""

from fractions import Fraction
from urllib.parse import urlencode

import pytest

from benchmarks.long_form import APP, PAGES, TEMPLATE
from milepost.envs.performance import follow_oracle, perform
from milepost.envs.registry import get_template
from milepost.envs.task import Split, Task
from milepost.sandbox.events import AppChanged
from milepost.sandbox.pool import Pool
from tests.envs.apps.conftest import find_banner, is_worthless, judge, visit

PLACE = "benchmarks.long_form:TEMPLATE"
TASK = TEMPLATE.task(0)
VALUES = TASK.params["values"]
FIFTH = Fraction(1, 5)


def encode(page: int, values: dict[str, str]) -> bytes:
    """What a browser sends of the page with these values."""
    return urlencode({"page": page, **{f"field{n}": one for n, one in enumerate(values.values())}}).encode()


def take_values(task: Task, page: int) -> dict[str, str]:
    """The wanted values of a page, from 0."""
    return {label: task.params["values"][label] for label in task.params["pages"][page]}


def fill(page: int, values: dict[str, str]) -> AppChanged:
    return AppChanged(app=APP, change=f"page {page + 1}", data=values)


RIGHT = [fill(page, take_values(TASK, page)) for page in range(len(PAGES))]


def test_pages_are_sent_one_after_the_other_and_each_once() -> None:
    site = visit(TASK)
    for page in (0, 0, 2, 1, 2, 2):
        assert site.post("/", encode(page, take_values(TASK, page))).headers["location"] == "/"
    assert site.records == [(one.change, one.data) for one in RIGHT]
    assert [len(one.data) for one in RIGHT] == list(PAGES)
    assert find_banner(TASK).name in site.get("/").text


def test_a_page_with_an_empty_field_is_not_sent() -> None:
    site = visit(TASK)
    site.post("/", encode(0, dict.fromkeys(take_values(TASK, 0), " ")))
    assert site.records == []
    assert find_banner(TASK).name not in site.get("/").text


def test_every_page_pays_and_all_of_them_are_the_goal() -> None:
    assert judge(TASK, *RIGHT[:2]) == ({"page 1": FIFTH, "page 2": FIFTH}, False)
    paid, reached = judge(TASK, *RIGHT, find_banner(TASK))
    assert (sum(paid.values()), reached) == (1, True)
    assert is_worthless(TASK, find_banner(TASK))


def test_a_page_with_another_value_ends_the_matter() -> None:
    wrong = fill(1, dict.fromkeys(take_values(TASK, 1), "Somebody Else"))
    paid, reached = judge(TASK, RIGHT[0], wrong, RIGHT[1], RIGHT[2], find_banner(TASK))
    assert (paid["page 1"], sum(paid.values()), reached) == (FIFTH, FIFTH, False)


def test_goals_of_different_splits_are_put_in_different_ways() -> None:
    assert TEMPLATE.task(3).goal == TEMPLATE.task(3).goal != TEMPLATE.task(4).goal
    goals = {split: {TEMPLATE.task(seed, split).goal for seed in range(40)} for split in Split}
    assert not goals[Split.TRAIN] & goals[Split.TEST]
    assert not goals[Split.VALIDATION] & goals[Split.TEST]
    assert all(value in TASK.goal for value in VALUES.values())


@pytest.mark.browser
@pytest.mark.parametrize("way", ["oracle", "alternative:by keyboard", "alternative:from the bottom up"])
async def test_it_is_solved_in_nine_steps(undrawn: Pool, way: str) -> None:
    for seed, split in enumerate(Split):
        template = get_template(PLACE)
        oracle = template.task(seed, split).find_oracle(way)
        played = await perform(undrawn, template, seed, split, follow_oracle(oracle))
        assert (played.success, played.paid) == (True, Fraction(1))
        assert len(played.actions) == sum(PAGES) + len(PAGES) == 9
