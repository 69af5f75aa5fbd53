"""Oracles solve their pages in a real browser, and read nothing but the observation."""

import pytest

from milepost.envs.episode import Episode
from milepost.envs.miniwob.oracles.index import ORACLES
from milepost.envs.miniwob.table import RENEWABLE, SUMMARIES
from milepost.envs.registry import get_template
from milepost.envs.task import Split
from milepost.sandbox.actions import (
    Action,
    Click,
    Fill,
    Hover,
    MouseClick,
    MouseDragAndDrop,
    Noop,
    Press,
    ScrollTo,
    SelectOption,
)
from milepost.sandbox.dialect import render_action
from milepost.sandbox.observation import Observation, parse_tree
from milepost.sandbox.pool import Pool

SPLITS = tuple(Split)
REST = [page for page in ORACLES if page not in RENEWABLE]
"""Those of the others are at work in `test_miniwob`, where every step is compared with that in a used document, too."""
SHARING = {
    oracle: [page for page in REST if ORACLES[page] is oracle] for oracle in map(ORACLES.__getitem__, REST)
}
PLAYED = [page for pages in SHARING.values() for page in dict.fromkeys((pages[0], pages[-1]))]
"""Variants of a page have one oracle: the first and the last of them are played."""


async def solve(pool: Pool, page: str, seed: int, split: Split) -> Episode:
    episode, view = await Episode.open(pool, get_template(f"miniwob.{page}-v1"), seed, split)
    while not episode.over:
        view = (await episode.step(render_action(episode.task.oracle(view)))).observation
    await episode.close()
    return episode


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("part", range(2))
async def test_every_oracle_solves_its_page(pool: Pool, part: int) -> None:
    for seed, page in list(enumerate(PLAYED))[part::2]:
        split = SPLITS[seed % len(SPLITS)]
        episode = await solve(pool, page, seed, split)
        assert episode.success, (page, seed, split, episode.observation.goal, episode.observation.tree)


def test_there_are_more_than_seventy_and_all_are_of_known_pages() -> None:
    assert len(ORACLES) >= 70
    assert RENEWABLE <= set(ORACLES) <= set(SUMMARIES)


@pytest.mark.parametrize("page", ORACLES)
def test_an_oracle_that_sees_nothing_it_knows_waits(page: str) -> None:
    goal = 'Select 3 with "a" and the 1st "b", is the 2nd button.'
    assert ORACLES[page](Observation(goal=goal, url="about:blank", title="")) == Noop()


@pytest.mark.parametrize(
    ("page", "goal", "tree", "expected"),
    [
        ("click-button", 'Click on the "Ok" button.', '[2] button "No"\n[3] button "Ok"', Click("3")),
        ("click-dialog-2", 'labeled "x".', '[1] dialog\n [2] button "Close"', Click("2")),
        ("enter-text-2", 'Type "aB" in all upper case letters', "[1] textbox", Fill("1", "AB")),
        ("choose-list", "Select Bo from the list and", '[1] combobox value="Al"', SelectOption("1", "Bo")),
        ("simple-algebra", "Solve for x", '"9 - x = 20"\n[1] textbox', Fill("1", "-11")),
        ("simple-algebra", "Solve for x", '"x + 8 = 19"\n[1] textbox', Fill("1", "11")),
        ("simple-arithmetic", "Solve", '"3 x 4 ="\n[1] textbox', Fill("1", "12")),
        ("guess-number", "Guess", '"The number is lower than"\n"5"\n[1] spinbutton', Fill("1", "4")),
        ("use-slider", "Select 7 with", '[2] generic\n"9"\n[1] button "Submit"', Press("2", "ArrowLeft")),
        ("enter-password", 'Enter "ab" twice', '[1] textbox value="\u2022\u2022"\n[2] textbox', Fill("2", "ab")),
        ("odd-or-even", "Mark", '[1] button "Odd"\n"-3"\n[2] button "Even"', Click("1")),
        ("enter-date", "Enter 05/13/2011 as", "[1] textbox", Fill("1", "2011-05-13")),
        ("enter-time", "Enter 12:05 AM as", "[1] textbox", Fill("1", "00:05")),
        ("grid-coordinate", "coordinate (2,-1).", "", MouseClick(139, 159)),
        ("find-greatest", "Find", '[1] generic "4"\n[2] generic "9"\n"7"', Click("2")),
        ("email-inbox", "Get rid of Bo's email", '[1] heading "Primary"\n[2] generic "Bo Hi."\n [3] generic\n [4] generic', Click("3")),
        ("email-inbox", "Give Al the email from Bo.", '"to:"\n[1] generic\n[2] generic\n[3] textbox', Fill("3", "Al")),
        ("order-food", "Order 2 items that are vegan", '"Bread"\n[4] img "vegan"\n"-"\n"1"\n"+"', ScrollTo("4")),
        ("odd-or-even", "Mark", '[1] button "Odd" focused\n"-3"\n[2] button "Even"\n[3] button "Submit"', Click("3")),
        ("click-menu", "Select Al>Bo>Cy", '[1] menuitem "Al"\n[2] menuitem "Bo"', Hover("2")),
        ("click-tab-2", 'link "a".', '[1] tab "x" expanded\n[2] tab "y"\n [3] link "y"', Click("3")),
        ("click-widget", 'Click on a "text" widget.', '[1] textbox value="two\\nlines"\n[2] textbox', Fill("2", "two\nlines")),
        ("drag-items", "Drag Cy up by one position.", '"Al"\n"Bo"\n"Cy"', MouseDragAndDrop(75, 127, 75, 91)),
        ("drag-items-grid", "Drag D to the top center.", '"A"\n"B"\n"C"\n"D"', MouseDragAndDrop(27, 123, 35, 69)),
        ("drag-sort-numbers", "Sort", '"-3"\n"2"\n"-7"\n"2"', MouseDragAndDrop(75, 127, 75, 62)),
        ("drag-circle", "Drag the circle up", "", MouseDragAndDrop(40, 88, 40, 58)),
    ],
)  # fmt: skip
def test_an_oracle_reads_the_goal_and_the_tree(page: str, goal: str, tree: str, expected: Action) -> None:
    view = Observation(goal=goal, url="", title="", elements=parse_tree(tree))
    assert ORACLES[page](view) == expected
