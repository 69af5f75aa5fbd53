import pytest

from milepost.milestones.learned.orderings import (
    Quantity,
    find_bounds,
    find_direction,
    find_quantity,
    find_remainder,
    find_result,
    is_extreme,
    read_amounts,
)

INF = float("inf")


def test_which_way_a_goal_points_and_by_what() -> None:
    asked = "Buy the ticket with the shortest duration.", "Open the latest invoice.", "Press Save."
    assert [find_direction(goal) for goal in asked] == [-1, 1, 0]
    assert [find_quantity(goal) for goal in asked] == [Quantity.DURATION, Quantity.DATE, Quantity.NUMBER]
    assert find_quantity("the cheapest flight") is Quantity.MONEY


@pytest.mark.parametrize(
    ("goal", "bounds"),
    [
        ("a number less than 8", (-INF, 8.0)),
        ("when it is above $42.10", (42.1, INF)),
        ("greater than 3 and below 7", (3.0, 7.0)),
        ("Press Save", None),
    ],
)
def test_bounds(goal: str, bounds: tuple[float, float] | None) -> None:
    assert find_bounds(goal) == bounds


def test_odd_and_even_are_asked_for_one_at_a_time() -> None:
    asked = "an odd number", "Even numbers only", "Is it odd or even?", "even if it is late", "Press Save."
    assert [find_remainder(goal) for goal in asked] == [1, 0, None, None, None]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("4 - 8 =", -4.0),
        ("3 x 4 = ?", 12.0),
        ("1.5+2=", 3.5),
        ("6 / 4 =", 1.5),
        ("5 / 0 =", None),
        ("4 - 8 = -4", None),
        ("12:30", None),
    ],
)
def test_what_a_calculation_comes_to(text: str, result: float | None) -> None:
    assert find_result(text) == result


def test_amounts_of_each_quantity() -> None:
    text = "9h 1m for $1,033.50 on 3 July 2025, 2 pieces"
    assert read_amounts(text, Quantity.DURATION) == (541.0,)
    assert read_amounts(text, Quantity.MONEY) == (1033.5,)
    assert read_amounts("5 July 2025 and July 3, 2025", Quantity.DATE)[0] == pytest.approx(
        read_amounts(text, Quantity.DATE)[0] + 2
    )
    assert read_amounts("Ada 7,816 x3 4", Quantity.NUMBER) == (7816.0, 4.0)


def test_the_extreme_row() -> None:
    header, goal = "Customer Total Items", 'the row with the highest "Items"'
    assert is_extreme("Ada 10 9", ["Ben 99 2", "Eve 50 3"], goal, header) is True
    assert is_extreme("Ben 99 2", ["Ada 10 9", "Eve 50 3"], goal, header) is False
    assert is_extreme("Ben 99 2", ["Ada 10 9"], 'the highest "Weight"', header) is None
    assert is_extreme("Ben 99 2", ["Ada 10 9"], "any row", header) is None
    assert is_extreme("Ben", ["Ada 1"], goal, header) is None
