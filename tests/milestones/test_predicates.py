from typing import Any

import pytest

from milepost.milestones import SpecError, all_of, at_least, eq, fields, matches, number, one_of, text, when
from milepost.milestones.predicates import (
    And,
    Count,
    Not,
    Or,
    Then,
    When,
    can_occur,
    is_event,
    positives,
    walk,
)
from tests.milestones.conftest import click, submit

A, B, C = when("clicked", name="A"), when("clicked", name="B"), when("filled", name="C")


def test_a_when_is_plain_data_and_does_not_depend_on_the_order_of_its_tests() -> None:
    assert when("clicked", role="button", name="A") == when("clicked", name=eq("A"), role=eq("button"))
    assert hash(A) == hash(when("clicked", name="A"))
    assert When(kind="clicked", tests=(("name", eq("A")),)) == A


def test_a_when_matches_a_fact_of_its_kind_whose_fields_pass() -> None:
    assert when("clicked").matches(click("A"))
    assert A.matches(click("A"))
    assert not A.matches(click("B"))
    assert not A.matches(submit("1", "A"))


def test_operators_build_flat_trees() -> None:
    assert A & B & C == And(of=(A, B, C)) == A & (B & C) == all_of(A, B, C)
    assert Or(of=(A, B, C)) == A | B | C
    assert Not(of=A) == ~A
    assert ~~A == A
    assert A.then(B) == Then(first=A, second=B)
    assert A.count(2) == Count(of=A, times=2)
    assert (A | B).count(2) == Count(of=Or(of=(A, B)), times=2)
    assert all_of(A) == A


def test_a_predicate_names_all_its_parts_and_what_it_asks_for() -> None:
    both = (A & ~B).then(C.count(2))
    assert list(walk(both)) == [both, A & ~B, A, ~B, B, C.count(2), C]
    assert list(positives(both)) == [A, C]


def test_only_a_negation_alone_never_occurs() -> None:
    assert [can_occur(p) for p in (A, A & ~B, A | ~B, ~A, ~A & ~B, A.then(B))] == [
        True,
        True,
        True,
        False,
        False,
        True,
    ]


def test_an_event_predicate_is_a_when_or_a_choice_of_them() -> None:
    assert [is_event(p) for p in (A, A | B, A & B, A | (B & C), ~A, "clicked")] == [True, True] + [False] * 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: when("clickd"), "unknown kind of event 'clickd'; did you mean 'clicked'?"),
        (lambda: when("zzz"), "unknown kind of event 'zzz'; known are action_taken, answer_given"),
        (lambda: when("episode_started"), "'episode_started' is about the episode itself and happens anyway"),
        (lambda: when("clicked", nam="A"), "clicked has no field 'nam'; did you mean 'name'?"),
        (lambda: when("clicked", zzz="A"), "clicked has no field 'zzz'; known are name, role, tab"),
        (lambda: when("clicked", name=5), "clicked.name is str; Eq(value=5) can never pass"),
        (lambda: when("responded", status="200"), "responded.status is int"),
        (lambda: when("toggled", checked=1), "toggled.checked is bool"),
        (lambda: when("toggled", checked=at_least(1)), "toggled.checked is bool"),
        (lambda: when("responded", status=matches("2..")), "responded.status is int"),
        (lambda: when("responded", status=one_of(200, "201")), "responded.status is int"),
        (lambda: when("app_changed", data="x"), "app_changed.data is a mapping: use fields(...)"),
        (lambda: when("clicked", name=fields(a="b")), "clicked.name is str"),
        (lambda: when("clicked", name=1.5), "name expects a text, an integer, a boolean or a test"),  # type: ignore[arg-type]
        (lambda: A & "clicked", "predicates combine with predicates, got str 'clicked'"),  # type: ignore[arg-type]
        (lambda: ~(A & ~B), "~ cannot be put on a predicate that contains another ~"),
        (lambda: A.then(~B), ".then needs something that happens on both sides"),
        (lambda: (~A).then(B), ".then needs something that happens on both sides"),
        (lambda: A.then("B"), ".then expects a predicate, got str 'B'"),  # type: ignore[arg-type]
        (lambda: (A & B).count(2), ".count counts single events: when(...) or an | of these, got And"),
        (lambda: A.count(0), ".count expects a whole number of at least 1, got 0"),
        (lambda: A.count(True), ".count expects a whole number of at least 1, got True"),
        (lambda: all_of(), "all_of needs at least one predicate"),
    ],
)
def test_a_predicate_that_cannot_be_meant_is_refused(make: Any, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        make()
    assert message in str(refused.value)


def test_fields_of_every_type_can_be_tested() -> None:
    assert when("responded", status=at_least(200)).tests[0][0] == "status"
    assert when("filled", value=number("1")).kind == "filled"
    assert when("toggled", checked=True).kind == "toggled"
    assert when("clicked", name=text("a"), tab=0).kind == "clicked"
