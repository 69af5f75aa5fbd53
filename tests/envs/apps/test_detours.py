import pytest

from milepost.envs.apps.detours import by_enter, by_keyboard, reading_all, straight_to
from milepost.sandbox.actions import Action, Answer, Click, Extract, Fill, Goto, Press, Type
from milepost.sandbox.observation import Observation, parse_tree

VIEW = Observation(
    goal="",
    url="http://a.test/board?of=May",
    title="",
    elements=parse_tree(
        '[1] link "Home"\n[2] button "Go"\n[3] checkbox "Large"\n[4] searchbox "Words"\n'
        '[5] textbox "Name" value="Ada"\n[6] table "Board"\n [7] row "May 5"'
    ),
)


def type_it(action: Action) -> Action:
    return by_keyboard(lambda view: action)(VIEW)


@pytest.mark.parametrize(
    ("meant", "done"),
    [
        (Click("1"), Press("1", "Enter")),
        (Click("2"), Press("2", "Enter")),
        (Click("3"), Press("3", "Space")),
        (Fill("4", "tea"), Type("4", "tea")),
        # Typing would go behind what is there.
        (Fill("5", "Bob"), Fill("5", "Bob")),
        (Answer("5"), Answer("5")),
    ],
)
def test_a_keyboard_does_what_a_mouse_would(meant: Action, done: Action) -> None:
    assert type_it(meant) == done


def test_enter_takes_the_place_of_one_button_only() -> None:
    assert by_enter(lambda view: Click("2"), "Go", "Words")(VIEW) == Press("4", "Enter")
    assert by_enter(lambda view: Click("2"), "Go", "Name")(VIEW) == Press("5", "Enter")
    assert by_enter(lambda view: Click("1"), "Go", "Words")(VIEW) == Click("1")
    assert by_enter(lambda view: Click("2"), "Go", "Elsewhere")(VIEW) == Click("2")


def test_a_bookmark_is_used_until_its_page_is_there() -> None:
    assert straight_to(lambda view: Click("2"), "http://a.test/other")(VIEW) == Goto("http://a.test/other")
    assert straight_to(lambda view: Click("2"), "http://a.test/board")(VIEW) == Click("2")


def test_a_whole_part_is_read_where_it_is_there() -> None:
    assert reading_all(lambda view: Extract("7"), "table", "Board")(VIEW) == Extract("6")
    assert reading_all(lambda view: Extract("7"), "table", "Other")(VIEW) == Extract("7")
    assert reading_all(lambda view: Click("7"), "table", "Board")(VIEW) == Click("7")
