import pytest

from milepost.milestones.learned.directions import Way, find_way, read_way
from milepost.sandbox.actions import (
    Action,
    Click,
    DragAndDrop,
    KeyboardPress,
    MouseDragAndDrop,
    Press,
    Scroll,
)


@pytest.mark.parametrize(
    ("goal", "way"),
    [
        ("Drag the circle up then press Submit.", Way.UP),
        ("Scroll the text to the bottom.", Way.DOWN),
        ("Move it leftwards.", Way.LEFT),
        ("Move it to the right.", Way.RIGHT),
        ("Look up and down.", None),
        ("Press Save.", None),
        ("Type the text at the top.", None),
        ("Scroll the text below.", None),
    ],
)
def test_a_goal_names_one_way_or_none(goal: str, way: Way | None) -> None:
    assert find_way(goal) == way


@pytest.mark.parametrize(
    ("action", "way"),
    [
        (MouseDragAndDrop(40, 88, 40, 58), Way.UP),
        (MouseDragAndDrop(40, 88, 45, 98), Way.DOWN),
        (MouseDragAndDrop(40, 88, 10, 80), Way.LEFT),
        (MouseDragAndDrop(40, 88, 50, 88), Way.RIGHT),
        (MouseDragAndDrop(40, 88, 50, 98), None),
        (Scroll(0, 400), Way.DOWN),
        (Press("1", "Control+Home"), Way.UP),
        (KeyboardPress("PageDown"), Way.DOWN),
        (Press("1", "Enter"), None),
        (DragAndDrop("1", "2"), None),
        (Click("1"), None),
        (None, None),
    ],
)
def test_an_action_goes_one_way_or_none(action: Action | None, way: Way | None) -> None:
    assert read_way(action) == way
