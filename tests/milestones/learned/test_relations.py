import pytest

from milepost.milestones.learned.relations import describe_relation
from milepost.milestones.learned.transition import Transition
from milepost.milestones.learned.view import View

LISTED = '[1] textbox value="alpha"\n[2] textbox value="beta"\n[3] textbox "Answer"\n[4] button "Submit"'
CHOICE = '[1] combobox "Kind"\n [2] option "Office"\n [3] option "Travel"\n[4] textbox "City"'
OFFERS = '"3h 5m"\n[1] button "Book for $9"\n"2h 1m"\n[2] button "Book for $70"'
ROWS = '[1] row "Name Stock"\n[2] row "Ada 7"\n[3] row "Ben 12"'


@pytest.mark.parametrize(
    ("goal", "tree", "right", "wrong"),
    [
        ("Copy the 2nd text and submit.", LISTED, 'fill("3", "beta")', 'fill("3", "alpha")'),
        (
            "Find the third word.",
            '"One two three four"\n[1] textbox',
            'fill("1", "three")',
            'fill("1", "two")',
        ),
        ('Set "City" to "Rome".', CHOICE, 'fill("4", "Rome")', 'fill("4", "Kind")'),
        (
            "Choose Travel as the kind.",
            CHOICE,
            'select_option("1", "Travel")',
            'select_option("1", "Office")',
        ),
        ("Book the shortest flight.", OFFERS, 'click("2")', 'click("1")'),
        ("Book the cheapest flight.", OFFERS, 'click("1")', 'click("2")'),
        ('Answer with the highest "Stock".', ROWS, 'answer("Ben")', 'answer("Ada")'),
    ],
)
def test_the_right_one_and_a_wrong_one(goal: str, tree: str, right: str, wrong: str) -> None:
    def describe(action: str) -> dict[str, float]:
        return describe_relation(View(Transition(goal=goal, tree=tree, action=action, changes=())))

    assert describe(right) == {"relation_match": 1.0, "relation_miss": 0.0}
    assert describe(wrong) == {"relation_match": 0.0, "relation_miss": 1.0}
    assert describe("noop(0)") == {"relation_match": 0.0, "relation_miss": 0.0}


def test_a_number_within_bounds() -> None:
    def describe(shown: str) -> dict[str, float]:
        tree = f'"{shown}"\n[1] button "Buy"'
        step = Transition(goal="Buy when less than $42.10.", tree=tree, action='click("1")', changes=())
        return describe_relation(View(step))

    assert describe("$40.00")["relation_match"] == 1.0
    assert describe("$43.00")["relation_miss"] == 1.0
