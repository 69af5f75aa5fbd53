import pytest

from milepost.milestones.learned.goal_reading import (
    asks_before,
    find_keys,
    find_kinds,
    find_ordinal,
    find_slot,
    fit_goal,
    spell_times,
    stands_in,
)


def test_keys_are_quoted_texts_names_and_numbers() -> None:
    goal = 'Set "Kind" to "Office" for Ada, 12 pieces. Click Save.'
    assert find_keys(goal) == ("kind", "office", "ada", "12")
    assert find_keys("Set the sliders to [8,16,0], and pay 7,816.") == ("8", "16", "0", "7,816")
    assert find_keys("Select 31VBH5, rP, -1 and the 3rd.") == ("31vbh5", "rp", "-1", "3")
    assert find_keys("Fly from: Rome to: SAN.") == ("rome", "san")
    assert find_keys("delete a file that ends in .tar.gz now.") == (".tar.gz",)


def test_kinds_are_named_as_anything_else_is() -> None:
    assert find_kinds('Click on a "radio" widget.') == {"radio": frozenset({"radio"})}
    assert find_kinds('Click on the "no" button.') == {}


@pytest.mark.parametrize(
    ("goal", "asked"),
    [
        ("Choose a day and press Submit.", True),
        ('Turn it on. Press "Submit".', True),
        ('Click on the "Submit" button.', False),
        ("Submit it, then close it.", False),
        ("Sort them.", True),
    ],
)
def test_something_is_asked_before_a_button(goal: str, asked: bool) -> None:
    assert asks_before(goal, "Submit") is asked


@pytest.mark.parametrize(
    ("goal", "place"),
    [
        ("Find the 10th word.", 10),
        ("Copy the text of the third field.", 3),
        ("Open the last one.", -1),
        ("Press Save.", 0),
        ("Open it; search for it first.", 0),
        ("The first or the second.", 0),
    ],
)
def test_a_place_is_read_when_there_is_one(goal: str, place: int) -> None:
    assert find_ordinal(goal) == place


def test_a_slot_is_what_follows_its_label_or_stands_before_it() -> None:
    goal = 'Set "Kind" to "Office" and choose "One hour" for "Sign out after" and press "Update".'
    assert find_slot(goal, "Kind:") == ("office",)
    assert find_slot(goal, "Sign out after") == ("one hour",)
    assert find_slot(goal, "Amount") == ()
    assert find_slot('A mail to "Ada" ("ada@a.test") with "a.csv".', "To") == ("ada", "ada@a.test")


def test_whole_words_count() -> None:
    assert stands_in("Ann", "Write to Ann.")
    assert not stands_in("Ann", "Write to Anna.")
    assert fit_goal("Red Diner", "the Red Press") == 0.25
    assert fit_goal("Red Press", "the Red Press") == 1.0


def test_days_and_times_are_written_in_one_way() -> None:
    assert (
        spell_times("Enter 05/13/2011 as the day, 7/4/2020 not.")
        == "Enter 2011-05-13 as the day, 2020-07-04 not."
    )
    assert [spell_times(time) for time in ("12:05 AM", "1:30 pm", "12:00PM", "13:30", "1:30 amber")] == [
        "00:05",
        "13:30",
        "12:00",
        "13:30",
        "1:30 amber",
    ]
    assert spell_times("/a/1/2/2020 and 05/13/20111") == "/a/1/2/2020 and 05/13/20111"
