from fractions import Fraction

import pytest

from milepost.milestones.normal_form import MAX_NUMBER_CHARS, fold_text, read_number, split_url, write_number


@pytest.mark.parametrize(
    "written",
    [
        "48.2",
        "48.20",
        "0048.20",
        "$48.20",
        "48,20 €",
        "EUR 48,20",
        "48.20 USD",
        " + 48.20 ",
    ],
)
def test_an_amount_is_the_same_however_it_is_written(written: str) -> None:
    assert read_number(written) == Fraction(241, 5)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1,234", 1234),
        ("1,234.50", Fraction(2469, 2)),
        ("1.234,50", Fraction(2469, 2)),
        ("1 234,50", Fraction(2469, 2)),
        ("1\u00a0234,50", Fraction(2469, 2)),
        ("1'234.50", Fraction(2469, 2)),
        ("1.234", Fraction(617, 500)),
        ("1,234,567", 1234567),
        ("1.234.567", 1234567),
        ("-3", -3),
        ("-$3.50", Fraction(-7, 2)),
        ("\u22123", -3),
        ("000000170", 170),
        ("$0.00", 0),
        (7, 7),
        (0, 0),
    ],
)
def test_grouping_and_signs_are_read(written: object, number: Fraction | int) -> None:
    assert read_number(written) == number


@pytest.mark.parametrize(
    "written",
    [
        "",
        "abc",
        "4 8 dollars",
        "1,23,4",
        "1.2.3",
        "NaN",
        "Infinity",
        "1e5",
        "0x10",
        "--3",
        ".5.",
        "1,",
        "٤٨",
        True,
        None,
        4.5,
    ],
)
def test_what_is_no_number_is_none(written: object) -> None:
    assert read_number(written) is None


def test_an_endless_number_is_none() -> None:
    assert read_number("1" * MAX_NUMBER_CHARS) == int("1" * MAX_NUMBER_CHARS)
    assert read_number("1" * (MAX_NUMBER_CHARS + 1)) is None


def test_texts_are_folded_in_case_spacing_and_unicode_form() -> None:
    assert fold_text("  Cafe\u0301\n  ROYAL ") == fold_text("Caf\u00e9 royal") == "caf\u00e9 royal"
    assert fold_text("Straße") == fold_text("STRASSE")
    assert fold_text("blue cab") != fold_text("bluecab")


@pytest.mark.parametrize(
    "written",
    [
        "HTTP://Mail.Acme.Test/a b?x=1&y=2",
        "http://mail.acme.test:80/a%20b?y=2&x=1",
        "http://mail.acme.test./%61%20b?x=%31&y=2#",
    ],
)
def test_a_url_is_the_same_however_it_is_written(written: str) -> None:
    assert split_url(written) == split_url("http://mail.acme.test/a%20b?x=1&y=2")


@pytest.mark.parametrize(
    "other",
    [
        "https://mail.acme.test/inbox",
        "http://mail.acme.test:8080/inbox",
        "http://mail.acme.test.evil.test/inbox",
        "http://mail.acme.test@evil.test/inbox",
        "http://user@mail.acme.test/inbox",
        "http://evil.test/?u=http://mail.acme.test/inbox",
        "http://mail.acme.test/inbox/",
        "http://mail.acme.test/inboxes",
        "http://mail.acme.test/Inbox",
        "http://mail.acme.test/inbox?x=1",
        "http://mail.acme.test/inbox#x",
        "http://mail.acme.test%2Finbox",
        "mail.acme.test/inbox",
    ],
)
def test_a_url_is_not_its_neighbour(other: str) -> None:
    assert split_url(other) != split_url("http://mail.acme.test/inbox")


def test_an_escaped_slash_is_no_slash() -> None:
    assert (
        split_url("http://a.test/b%2fc") == split_url("http://a.test/b%2Fc") != split_url("http://a.test/b/c")
    )


@pytest.mark.parametrize("broken", ["http://[::1", "http://a.test:port/", "http://a.test:99999/"])
def test_what_is_no_url_is_none(broken: str) -> None:
    assert split_url(broken) is None


def test_a_number_is_written_as_a_decimal_where_that_is_exact() -> None:
    assert [write_number(Fraction(n)) for n in ("48.20", "-3", "1/4", "1/3", "1000000", "1e-30")] == [
        "48.2",
        "-3",
        "0.25",
        "1/3",
        "1000000",
        "0.000000000000000000000000000001",
    ]
