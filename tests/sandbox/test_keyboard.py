"""Key names."""

import pytest

from milepost.sandbox.keyboard import Key, KeyNameError, parse_keys


def test_a_named_key_is_found() -> None:
    assert parse_keys("Enter") == (Key(key="Enter", code="Enter", number=13, text="\r"),)


def test_keys_before_the_last_are_held() -> None:
    control, a = parse_keys("Control+a")
    assert (control.modifier, a.key, a.number) == (2, "a", 65)


def test_plus_is_a_key_too() -> None:
    assert [key.key for key in parse_keys("Control++")] == ["Control", "+"]
    assert [key.key for key in parse_keys("+")] == ["+"]


@pytest.mark.parametrize(
    ("mark", "code", "number"),
    [(".", "Period", 190), ("'", "Quote", 222), ("(", "Digit9", 57), ("_", "Minus", 189)],
)
def test_no_mark_has_the_number_of_a_named_key(mark: str, code: str, number: int) -> None:
    # By the numbers of their characters, these would be Delete, ArrowRight, ArrowDown and a key that there is not.
    assert parse_keys(mark) == (Key(key=mark, code=code, number=number, text=mark),)


@pytest.mark.parametrize("name", ["", "Entr", "Foo+a", "a+b"])
def test_an_unknown_key_is_refused(name: str) -> None:
    with pytest.raises(KeyNameError):
        parse_keys(name)
