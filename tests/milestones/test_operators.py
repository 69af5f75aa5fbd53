from fractions import Fraction
from typing import Any

import pytest

from milepost.milestones import (
    SpecError,
    at_least,
    at_most,
    between,
    eq,
    fields,
    items,
    matches,
    number,
    one_of,
    text,
    url,
)
from milepost.milestones.operators import Eq, Test, as_test

CASES: list[tuple[Test, object, bool]] = [
    (between(1, "2.5"), "$2.50", True),
    (between(1, "2.5"), 1, True),
    (between(1, "2.5"), "2.51", False),
    (between(1, "2.5"), "two", False),
    (items("a", text("B")), ["b", "a"], True),
    (items("a", text("B")), ("a", "b"), True),
    (items(text("A"), "a"), ["a", "A"], True),
    (items("a", "a"), ["a", "b"], False),
    (items("a"), ["a", "a"], False),
    (items("a", "b"), "ab", False),
    (items(fields(sku=1)), [{"sku": 1, "qty": 2}], True),
    (eq("a"), "a", True),
    (eq("a"), "ab", False),
    (eq(1), 1, True),
    (eq(1), True, False),
    (eq(True), 1, False),
    (eq(1), "1", False),
    (one_of("list", "table"), "table", True),
    (one_of("list", "table"), "row", False),
    (one_of(1, 2), True, False),
    (matches(r"Downloads/[^/]+\.csv"), "Downloads/q3.csv", True),
    (matches(r"Downloads/[^/]+\.csv"), "Downloads/q3.csv.exe", False),
    (matches(r"Downloads/[^/]+\.csv"), "x/Downloads/q3.csv", False),
    (matches(r"a|b"), "ab", False),
    (matches(r"a"), "a\n", False),
    (matches(r"1"), 1, False),
    (text("Blue Cab"), " blue\tCAB ", True),
    (text("Blue Cab"), "not Blue Cab", False),
    (text("1"), 1, False),
    (number("48.20"), "$48.2", True),
    (number("48.20"), "48.21", False),
    (number(3), 3, True),
    (number(1), True, False),
    (at_least(1), 0, False),
    (at_least(1), 1, True),
    (at_least("1.5"), "1.50", True),
    (at_least(1), "many", False),
    (at_most(1), 1, True),
    (at_most(1), 2, False),
    (at_most(1), None, False),
    (url("http://a.test/x?b=1"), "http://A.test:80/x?b=1", True),
    (url("http://a.test/x?b=1"), "http://a.test/x", False),
    (url("http://a.test/x", ignore_query=True), "http://a.test/x?b=1#c", True),
    (url("http://a.test/x", ignore_query=True), "http://a.test/xy", False),
    (url("http://a.test/x"), "http://[", False),
    (url("http://a.test/x"), 5, False),
    (fields(a="1", b=number(2)), {"a": "1", "b": "2.0", "c": 3}, True),
    (fields(a="1"), {"b": "1"}, False),
    (fields(a="1"), {"a": "2"}, False),
    (fields(a="1"), "a", False),
    (fields(a=fields(b="1")), {"a": {"b": "1"}}, True),
    (fields(a=fields(b="1")), {"a": ["b"]}, False),
]


@pytest.mark.parametrize(("test", "value", "passes"), CASES)
def test_a_value_passes_or_does_not(test: Test, value: object, passes: bool) -> None:
    assert test.accepts(value) is passes


def test_a_plain_value_means_equality() -> None:
    assert [as_test("x", value) for value in ("a", 1, True)] == [Eq("a"), Eq(1), Eq(True)]
    assert fields(b=2, a="1") == fields(a=eq("1"), b=eq(2))


def test_numbers_are_kept_exactly() -> None:
    assert number("48.20").number == Fraction(241, 5)
    assert number("48.20") == number("$48.2")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: eq(4.5), "eq expects a text, an integer or a boolean, got float 4.5"),  # type: ignore[arg-type]
        (lambda: one_of(), "one_of needs at least one value"),
        (lambda: matches("("), "matches expects a regular expression, got '('"),
        (lambda: text(" "), "text expects words, got ' '; for an empty value use eq('')"),
        (lambda: number("many"), "number expects a number as text or integer, such as '48.20', got 'many'"),
        (lambda: at_least(0.1), "at_least expects a number as text or integer"),  # type: ignore[arg-type]
        (
            lambda: url("/inbox"),
            "url expects an absolute URL such as 'http://mail.acme.test/inbox', got '/inbox'",
        ),
        (lambda: fields(), "fields needs at least one entry"),
        (
            lambda: as_test("value", 1.5),
            "value expects a text, an integer, a boolean or a test such as matches(...)",
        ),
    ],
)
def test_a_test_that_cannot_be_meant_is_refused(make: Any, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        make()
    assert message in str(refused.value)
