from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.milestones import (
    Component,
    Predicate,
    Spec,
    SpecError,
    at_least,
    at_most,
    eq,
    fields,
    forbid,
    matches,
    number,
    one_of,
    text,
    url,
    when,
)
from milepost.milestones.notation import (
    read_forbidden,
    read_goal,
    read_milestone,
    read_predicate,
    read_test,
    write_forbidden,
    write_predicate,
    write_test,
)
from milepost.milestones.operators import Test

A, B = when("clicked", name="A"), when("filled", name="B", value=text("x"))

TESTS: list[tuple[Test, dict[str, Any]]] = [
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


A_RECORD = {"when": "clicked", "tests": {"name": {"eq": "A"}}}
B_RECORD = {"when": "filled", "tests": {"name": {"eq": "B"}, "value": {"text": "x"}}}


@pytest.mark.parametrize(
    ("predicate", "record"),
    [
        (A & B, {"all": [A_RECORD, B_RECORD]}),
        (A | B, {"any": [A_RECORD, B_RECORD]}),
        (~A, {"not": A_RECORD}),
        (A.then(B), {"then": [A_RECORD, B_RECORD]}),
        ((A | B).count(2), {"count": {"any": [A_RECORD, B_RECORD]}, "times": 2}),
        ((A & ~B).then(A), {"then": [{"all": [A_RECORD, {"not": B_RECORD}]}, A_RECORD]}),
    ],
)
def test_a_predicate_is_written_and_read_back(predicate: Predicate, record: dict[str, Any]) -> None:
    assert write_predicate(predicate) == record
    assert read_predicate(record) == predicate


def test_a_plain_value_means_equality_when_read() -> None:
    assert read_predicate({"when": "clicked", "tests": {"name": "A"}}) == A
    assert read_predicate({"when": "clicked"}) == when("clicked")


def test_a_violation_is_written_and_read_back() -> None:
    capped = forbid("helped", when=A, effect="cap", cap="0.4")
    assert write_forbidden(capped) == {"name": "helped", "when": A_RECORD, "effect": "cap", "cap": "0.4"}
    assert read_forbidden(write_forbidden(capped)) == capped
    assert read_forbidden({"name": "x", "when": A_RECORD}) == forbid("x", when=A)


def test_a_milestone_may_leave_out_what_has_a_default() -> None:
    read = read_milestone({"name": "m", "reward": "1/3", "when": A_RECORD})
    assert (read.component, read.after, read.reward) == (Component.GOAL, (), Fraction(1, 3))


@pytest.mark.parametrize(
    ("read", "record", "message"),
    [
        (read_predicate, [], "a predicate is an object with one of when, all, any, not, then, count, got []"),
        (read_predicate, {"al": []}, "got {'al': []}; did you mean 'all'?"),
        (read_predicate, {"when": "clicked", "not": A_RECORD}, "a predicate is an object with one of"),
        (read_predicate, {"when": "clickd"}, "did you mean 'clicked'?"),
        (
            read_predicate,
            {"when": ["clicked"]},
            "'when' names a kind of event such as 'clicked', got ['clicked']",
        ),
        (read_predicate, {"when": "clicked", "test": {}}, "when has no entry 'test'; did you mean 'tests'?"),
        (read_predicate, {"when": "clicked", "tests": []}, "tests is an object, got list []"),
        (read_predicate, {"all": [A_RECORD]}, "'all' expects at least two predicates, got 1"),
        (read_predicate, {"then": [A_RECORD] * 3}, "'then' expects two predicates, got 3"),
        (read_predicate, {"count": A_RECORD}, "count lacks 'times'"),
        (read_predicate, {"count": A_RECORD, "times": "2"}, "whole number of at least 1, got '2'"),
        (read_predicate, {"not": {"not": A_RECORD}}, "another ~"),
        (read_test, {"equals": 1}, "got {'equals': 1}; did you mean"),
        (read_test, {"eq": 1, "text": "a"}, "a test is an object with one of"),
        (read_test, {"eq": None}, "eq expects a text, an integer or a boolean, got NoneType None"),
        (read_test, {"url": 5}, "url expects an absolute URL"),
        (read_test, {"one_of": "ab"}, "one_of is a list, got str 'ab'"),
        (read_test, {"number": None}, "number expects a number"),
        (read_milestone, {"name": "m", "reward": "1"}, "a milestone lacks 'when'; it has ['name', 'reward']"),
        (read_milestone, {"name": "m", "reward": 0.5, "when": A_RECORD}, "got float 0.5"),
        (read_milestone, {"name": "m", "reward": "1", "when": A_RECORD, "afer": []}, "did you mean 'after'?"),
        (read_goal, {"when": A_RECORD, "frame": A_RECORD}, "frame is a list, got dict"),
        (read_forbidden, {"name": "f"}, "a forbidden rule lacks 'when'"),
    ],
)
def test_what_is_not_the_documented_form_is_refused(read: Any, record: Any, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        read(record)
    assert message in str(refused.value)


def places(record: Any) -> list[tuple[Any, Any]]:
    """Every container of a JSON value with every key or index in it."""
    keys = (
        list(record) if isinstance(record, dict) else range(len(record)) if isinstance(record, list) else []
    )
    return [(record, key) for key in keys] + [place for key in keys for place in places(record[key])]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["when", "all", "eq", "x"]), inner)
    ),
    max_leaves=3,
)


@given(where=st.integers(min_value=0), value=JSON)
def test_a_damaged_spec_is_read_or_refused_but_never_crashes(
    expense_spec: Spec, where: int, value: Any
) -> None:
    record = orjson.loads(expense_spec.to_bytes())
    found = places(record)
    container, key = found[where % len(found)]
    container[key] = value
    try:
        read = Spec.from_record(record)
    except SpecError:
        return
    assert Spec.from_bytes(read.to_bytes()) == read
