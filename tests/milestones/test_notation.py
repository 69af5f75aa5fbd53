from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.milestones import (
    Component,
    Goal,
    Predicate,
    Spec,
    SpecError,
    any_of,
    forbid,
    judged,
    milestone,
    text,
    when,
)
from milepost.milestones.notation import (
    read_forbidden,
    read_goal,
    read_milestone,
    read_predicate,
    write_forbidden,
    write_goal,
    write_milestone,
    write_predicate,
)

A, B = when("clicked", name="A"), when("filled", name="B", value=text("x"))

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
        (any_of(2, A, B, ~A), {"any": [A_RECORD, B_RECORD, {"not": A_RECORD}], "least": 2}),
        (A.then(B, within_steps=3), {"then": [A_RECORD, B_RECORD], "within_steps": 3}),
        (A.count(2, distinct="name"), {"count": A_RECORD, "times": 2, "distinct": "name"}),
        (A.until(B), {"until": [A_RECORD, B_RECORD]}),
        (A.undone_by(B), {"undone_by": [A_RECORD, B_RECORD]}),
        (A & judged("Is it polite?"), {"all": [A_RECORD, {"judged": "Is it polite?"}]}),
        ((A & ~B).then(A), {"then": [{"all": [A_RECORD, {"not": B_RECORD}]}, A_RECORD]}),
    ],
)
def test_a_predicate_is_written_and_read_back(predicate: Predicate, record: dict[str, Any]) -> None:
    assert write_predicate(predicate) == record
    assert read_predicate(record) == predicate


def test_a_plain_value_means_equality_when_read() -> None:
    assert read_predicate({"when": "clicked", "tests": {"name": "A"}}) == A
    assert read_predicate({"when": "clicked"}) == when("clicked")


def test_a_kind_may_stand_in_the_place_of_when() -> None:
    assert read_predicate({"clicked": {"name": "A"}}) == A
    assert read_predicate({"clicked": {}}) == when("clicked")


def test_what_has_its_default_is_not_written() -> None:
    plain = milestone("m", reward=1, when=A)
    assert set(write_milestone(plain)) == {"name", "reward", "component", "when", "after"}
    full = milestone("m", reward=1, when=A, after=("n",), within_steps=2, by_agent=True)
    assert write_milestone(full) | {"within_steps": 2, "by_agent": True} == write_milestone(full)
    for one in (
        full,
        milestone("m", reward=1, when=A, holds=True),
        milestone("m", reward=1, when=A & B, graded=True),
    ):
        assert read_milestone(write_milestone(one)) == one
    goal = Goal(when=A, holds=("m",))
    assert write_goal(goal)["holds"] == ["m"]
    assert read_goal(write_goal(goal)) == goal


def test_a_violation_may_end_when_something_happens() -> None:
    read = read_forbidden({"name": "x", "when": A_RECORD, "until": {"clicked": {"name": "C"}}})
    assert read == forbid("x", when=A, until=when("clicked", name="C"))
    assert read.when == A.until(when("clicked", name="C"))


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
        (read_predicate, [], "a predicate is an object with one of when, all, any, not, then, count, until"),
        (read_predicate, {"al": []}, "got {'al': []}; did you mean 'all'?"),
        (read_predicate, {"clickd": {}}, "did you mean 'clicked'?"),
        (read_predicate, {"clicked": {"nam": 1}}, "clicked has no field 'nam'; did you mean 'name'?"),
        (read_predicate, {"when": "clicked", "not": A_RECORD}, "a predicate is an object with one of"),
        (read_predicate, {"any": [A_RECORD] * 2, "least": 3}, "any_of expects a number from 1 to 2"),
        (read_predicate, {"until": [A_RECORD]}, "'until' expects two predicates, got 1"),
        (read_predicate, {"then": [A_RECORD] * 2, "within_steps": -1}, "whole number of steps"),
        (
            read_milestone,
            {"name": "m", "reward": "1", "when": A_RECORD, "holds": 1},
            "holds is true or false",
        ),
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
