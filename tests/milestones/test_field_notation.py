from typing import Any

import pytest

from milepost.milestones import (
    SpecError,
    at_least,
    at_most,
    between,
    date,
    eq,
    fields,
    file_path,
    items,
    matches,
    money,
    number,
    one_of,
    phone,
    text,
    url,
)
from milepost.milestones.field_notation import OPTIONS, READERS, read_test, write_test
from milepost.milestones.operators import Test

TESTS: list[tuple[Test, dict[str, Any]]] = [
    (between(1, "2.5"), {"between": ["1", "2.5"]}),
    (money("$48.20"), {"money": "48.2 USD"}),
    (money("5"), {"money": "5"}),
    (date("2026-01-05"), {"date": "2026-01-05"}),
    (
        date("2026-01-05", until="2026-01-09", first="day"),
        {"date": "2026-01-05", "until": "2026-01-09", "first": "day"},
    ),
    (phone("030 1234", country="49"), {"phone": "030 1234", "country": "49"}),
    (phone("+49 30 1234"), {"phone": "+49 30 1234"}),
    (file_path("./a//b.csv"), {"file_path": "a/b.csv"}),
    (items("a", text("b")), {"items": [{"eq": "a"}, {"text": "b"}]}),
    (eq(True), {"eq": True}),
    (one_of("a", 1), {"one_of": ["a", 1]}),
    (matches(r"\d+"), {"matches": r"\d+"}),
    (text("Blue Cab"), {"text": "Blue Cab"}),
    (number("48.20"), {"number": "48.2"}),
    (at_least(1), {"at_least": "1"}),
    (at_most("-0.5"), {"at_most": "-0.5"}),
    (url("http://a.test/x"), {"url": "http://a.test/x", "ignore_query": False}),
    (fields(b=1, a=number(2)), {"fields": {"a": {"number": "2"}, "b": {"eq": 1}}}),
]


@pytest.mark.parametrize(("test", "record"), TESTS)
def test_a_test_is_written_and_read_back(test: Test, record: dict[str, Any]) -> None:
    assert write_test(test) == record
    assert read_test(record) == test


def test_every_test_there_is_is_among_these() -> None:
    assert {word for _, record in TESTS for word in record} >= {*READERS, *OPTIONS}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"equals": 1}, "got {'equals': 1}; did you mean"),
        ({"eq": 1, "text": "a"}, "a test is an object with one of"),
        ({"eq": None}, "eq expects a text, an integer or a boolean, got NoneType None"),
        ({"url": 5}, "url expects an absolute URL"),
        ({"url": "http://a.test", "ignore_query": "no"}, "url: ignore_query expects a bool, got 'no'"),
        ({"one_of": "ab"}, "one_of is a list, got str 'ab'"),
        ({"number": None}, "number expects a number"),
        ({"between": [1]}, "between expects two numbers, got 1"),
        ({"between": [2, 1]}, "no number is at least 2 and at most 1"),
        ({"date": "5.1.2026"}, "date expects a day such as '2026-01-05', got '5.1.2026'"),
        ({"date": "2026-01-05", "until": "2026-01-04"}, "the range ends on 2026-01-04"),
        ({"date": "2026-01-05", "first": "year"}, "first is 'day' or 'month', got 'year'"),
        ({"phone": "call me"}, "phone expects a number such as"),
        ({"phone": "030 1", "country": "DE"}, "country is a calling code such as '49', got 'DE'"),
        ({"file_path": "../x"}, "file_path expects a path inside the workspace"),
        ({"money": "much"}, "money expects an amount such as '48.20 EUR', got 'much'"),
        ({"items": []}, "items needs at least one entry"),
    ],
)
def test_what_is_not_the_documented_form_is_refused(record: Any, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        read_test(record)
    assert message in str(refused.value)
