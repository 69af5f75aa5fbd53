import datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.milestones.values import Amount, read_date, read_money, read_path, read_phone


@pytest.mark.parametrize(
    ("written", "size", "currency"),
    [
        ("$48.20", "48.2", "USD"),
        ("48,20 EUR", "48.2", "EUR"),
        ("€ 1.234,50", "1234.5", "EUR"),
        ("GBP 5", "5", "GBP"),
        ("$ 5 USD", "5", "USD"),
        ("-£5", "-5", "GBP"),
        ("0048.20", "48.2", ""),
        (7, "7", ""),
    ],
)
def test_money_is_read_with_its_currency(written: object, size: str, currency: str) -> None:
    assert read_money(written) == Amount(Fraction(size), currency)


@pytest.mark.parametrize("written", ["", "five", "$5 EUR", "5 euros", True, None, 5.0, "$48.20.1"])
def test_what_is_no_amount_is_not_read(written: object) -> None:
    assert read_money(written) is None


FIFTH = datetime.date(2026, 1, 5)


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-05",
        "2026/1/5",
        "2026.01.05",
        "5.1.2026",
        "05.01.2026",
        "5 January 2026",
        "5th of January, 2026",
        "5. Jan 2026",
        "Jan 5, 2026",
        "January 5th 2026",
        "JAN. 5, 2026",
        "5-Jan-2026",
        "Monday, 5 January 2026",
        "Mon, Jan 5, 2026",
        "  Jan   5,  2026 ",
    ],
)
def test_a_day_is_read_however_it_is_written(written: str) -> None:
    assert read_date(written) == FIFTH


@pytest.mark.parametrize(
    "written",
    [
        *("05/01/2026", "5-1-2026", "Tuesday, 5 January 2026", "2026-02-30", "5 Ja 2026"),
        *(
            "January 2026",
            "2026",
            "tomorrow",
            "2026-01-05T00:00",
            "2026-01/05",
            "",
            20260105,
            None,
            "5 x 2026",
        ),
    ],
)
def test_a_day_that_must_be_guessed_is_not_read(written: object) -> None:
    assert read_date(written) is None


def test_numbers_that_could_be_either_are_read_when_it_is_said_or_clear() -> None:
    assert read_date("05/01/2026", "day") == FIFTH
    assert read_date("01/05/2026", "month") == FIFTH
    assert read_date("13/01/2026") == read_date("01/13/2026") == datetime.date(2026, 1, 13)
    assert read_date("05/05/2026") == datetime.date(2026, 5, 5)


@given(st.dates(min_value=datetime.date(1000, 1, 1)))
def test_every_day_is_read_back_from_every_full_form(day: datetime.date) -> None:
    for form in ("%Y-%m-%d", "%d %B %Y", "%B %d, %Y", "%a, %d %b %Y", "%d.%m.%Y"):
        assert read_date(day.strftime(form)) == day


@pytest.mark.parametrize(
    ("written", "country", "digits"),
    [
        ("+1 (555) 010-0199", "", "+15550100199"),
        ("001 555 010 0199", "", "+15550100199"),
        ("555.010.0199", "", "5550100199"),
        ("030 1234567", "49", "+49301234567"),
        ("+49 (0)30 1234567", "49", "+49301234567"),
        ("tel:+49301234567", "", "+49301234567"),
        ("+49 30 1234567", "1", "+49301234567"),
        ("555\u2011010\u20110199", "", "5550100199"),
    ],
)
def test_a_phone_number_is_its_digits(written: str, country: str, digits: str) -> None:
    assert read_phone(written, country) == (digits, "")


def test_an_extension_belongs_to_the_number() -> None:
    assert read_phone("555 0199 ext. 12") == read_phone("5550199x12") == ("5550199", "12")
    assert read_phone("555 0199") != read_phone("555 0199 x1")


@pytest.mark.parametrize("written", ["", "12", "call 555 0199", "555 0199 or 555 0198 now", None, 5550199])
def test_what_is_no_phone_number_is_not_read(written: object) -> None:
    assert read_phone(written) is None


def test_paths_are_brought_into_one_form() -> None:
    assert read_path("./Downloads//q3.csv") == read_path("Downloads/./q3.csv") == "Downloads/q3.csv"
    assert read_path("Cafe\u0301.txt") == read_path("Caf\u00e9.txt")
    assert read_path("A.csv") != read_path("a.csv")


@pytest.mark.parametrize("written", ["", ".", "/etc/passwd", "~/x", "a/../b", "..", "a\\b", "a\0b", None])
def test_a_path_that_leaves_the_workspace_is_not_read(written: object) -> None:
    assert read_path(written) is None


@given(st.text(max_size=70) | st.integers() | st.none())
def test_no_reader_ever_raises(value: object) -> None:
    read_money(value)
    read_date(value)
    read_phone(value, "49")
    read_path(value)
