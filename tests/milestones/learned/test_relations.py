import pytest

from milepost.milestones.learned.relations import describe_relation
from milepost.milestones.learned.transition import Transition
from milepost.milestones.learned.view import View

LISTED = '[1] textbox value="alpha"\n[2] textbox value="beta"\n[3] textbox "Answer"\n[4] button "Submit"'
CHOICE = '[1] combobox "Kind"\n [2] option "Office"\n [3] option "Travel"\n[4] textbox "City"'
OFFERS = '"3h 5m"\n[1] button "Book for $9"\n"2h 1m"\n[2] button "Book for $70"'
ROWS = '[1] row "Name Stock"\n[2] row "Ada 7"\n[3] row "Ben 12"'
CARD = '"Phone:"\n[1] generic "12-34"\n"Mail:"\n[2] generic "ada@a.test"'
PAGES = '[1] link "Ada"\n[2] link "Ben"\n[3] link "3"\n[4] link ">"\n[5] button "Submit"'
LOGIN = '"Username"\n[1] textbox\n"Password"\n[2] textbox'


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
        ("Move it up.", LISTED, "mouse_drag_and_drop(50, 50, 52, 20)", "mouse_drag_and_drop(50, 50, 20, 40)"),
        ("Scroll to the bottom.", LISTED, 'press("1", "Control+End")', 'press("1", "Control+Home")'),
        ("Call Ada on her phone.", CARD, 'click("1")', 'click("2")'),
        ("Open the 2nd one.", PAGES, 'click("2")', 'click("1")'),
        ("Fly from: Rome, IT to: SAN.", '"From:"\n[1] textbox', 'fill("1", "Rome, IT")', 'fill("1", "SAN")'),
        ('The username is "ada", the password "xy".', LOGIN, 'fill("1", "ada")', 'fill("1", "xy")'),
        ("Solve it.", '"4 - 8 ="\n[1] textbox', 'fill("1", "-4")', 'fill("1", "4")'),
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


def test_an_odd_or_an_even_number() -> None:
    def describe(goal: str) -> dict[str, float]:
        tree = '"8"\n[1] button "Done"'
        step = Transition(goal=goal, tree=tree, action='click("1")', changes=(), previous=("noop(0)",))
        return describe_relation(View(step))

    assert describe("Make an even number.") == {"relation_match": 1.0, "relation_miss": 0.0}
    assert describe("Make an odd number.") == {"relation_match": 0.0, "relation_miss": 1.0}
    assert describe("Say whether it is odd or even.") == {"relation_match": 0.0, "relation_miss": 0.0}


def test_a_copy_of_all_that_is_shown() -> None:
    def describe(text: str) -> float:
        tree = '"T"\n"Un"\n[1] textbox\n[2] button "Submit"'
        step = Transition(goal="Type it.", tree=tree, action=f'fill("1", "{text}")', changes=())
        return describe_relation(View(step))["relation_match"]

    assert (describe("TUn"), describe("T"), describe("")) == (1.0, 0.0, 0.0)


def test_a_text_that_is_the_name_of_a_button() -> None:
    def describe(text: str) -> dict[str, float]:
        tree = '[1] textbox\n[2] button "Submit"'
        step = Transition(
            goal="Enter the last word and hit Submit.", tree=tree, action=f'fill("1", "{text}")', changes=()
        )
        return describe_relation(View(step))

    assert describe("submit") == {"relation_match": 0.0, "relation_miss": 1.0}
    assert describe("massa") == {"relation_match": 0.0, "relation_miss": 0.0}


def test_a_last_button_that_is_pressed_first() -> None:
    def describe(goal: str, *previous: str) -> float:
        tree = '[1] textbox\n[2] button "Submit"'
        step = Transition(goal=goal, tree=tree, action='click("2")', changes=(), previous=previous)
        return describe_relation(View(step))["relation_miss"]

    assert describe("Mark the text and click submit.") == 1.0
    assert describe("Mark the text and click submit.", "scroll(0, 400)") == 0.0
    assert describe('Click on the "Submit" button.') == 0.0


@pytest.mark.parametrize("action", ['click("3")', 'click("4")', 'click("5")', 'extract("1")'])
@pytest.mark.parametrize("goal", ["Open the 2nd one, and submit.", "Open the latest one, and submit."])
def test_turning_pages_reading_and_submitting_choose_nothing(goal: str, action: str) -> None:
    step = Transition(goal=goal, tree=PAGES, action=action, changes=(), previous=("noop(0)",))
    assert describe_relation(View(step)) == {"relation_match": 0.0, "relation_miss": 0.0}
