from typing import Any

import pytest

from milepost.milestones import (
    Goal,
    Predicate,
    Spec,
    SpecError,
    any_of,
    at_least,
    eq,
    fields,
    forbid,
    matches,
    milestone,
    number,
    one_of,
    when,
)
from milepost.milestones.consistency import covers, excludes, find_contradiction, implies, required
from milepost.milestones.predicates import When

A, B = when("clicked", name="a"), when("clicked", name="b")
ANY = when("clicked")


def paid(**data: Any) -> When:
    return when("app_changed", app="shop", data=fields(**data))


@pytest.mark.parametrize(
    ("one", "other", "implied", "excluded"),
    [
        (A, A, True, False),
        (A, ANY, True, False),
        (ANY, A, False, False),
        (A, B, False, True),
        (A, when("filled"), False, True),
        (A, when("clicked", name=matches("[ab]")), True, False),
        (A, when("clicked", name=one_of("b", "c")), False, True),
        (when("clicked", name=one_of("a", "b")), when("clicked", name=matches("[abc]")), True, False),
        (when("clicked", name=one_of("a", "d")), when("clicked", name=matches("[abc]")), False, False),
        (when("clicked", name=matches("a.*")), when("clicked", name=matches("a.*")), True, False),
        (when("clicked", name=matches("a.*")), when("clicked", name=matches("b.*")), False, False),
        (paid(sku="1", qty=2), paid(sku="1"), True, False),
        (paid(sku="1"), paid(sku="1", qty=2), False, False),
        (paid(sku="1", qty=2), paid(sku="2"), False, True),
        (paid(qty=2), paid(qty=at_least(1)), True, False),
        (paid(qty=number("2")), paid(qty=eq("2")), False, False),
    ],
)
def test_one_event_may_imply_or_exclude_another(
    one: When, other: When, implied: bool, excluded: bool
) -> None:
    assert (implies(one, other), excludes(one, other)) == (implied, excluded)


def test_what_stands_on_every_way_to_a_predicate_is_required() -> None:
    assert list(required((A & ~B).then(ANY))) == [A, ANY]
    assert list(required(A | B)) == list(required(any_of(2, A, B, ANY))) == []
    assert list(required(A.undone_by(B) & ANY.count(2))) == [A, ANY]


@pytest.mark.parametrize(
    "predicate",
    [A & ~A, A & ~ANY, A.then(B) & ~ANY, A & ~(B | ANY), B | (A & ~A), A.until(ANY), A.count(2) & ~A],
)
def test_a_contradiction_is_found(predicate: Predicate) -> None:
    assert find_contradiction(predicate) is not None


@pytest.mark.parametrize(
    "predicate", [ANY & ~A, A & ~B, A & ~ANY.count(2), (A | B) & ~A, ANY.until(A), A & ~(A & B)]
)
def test_what_can_hold_is_no_contradiction(predicate: Predicate) -> None:
    assert find_contradiction(predicate) is None


def test_a_predicate_covers_the_events_at_which_it_must_occur() -> None:
    assert covers(ANY, A)
    assert covers(B | ANY, A)
    assert covers(ANY.count(1), A)
    assert not covers(ANY.count(2), A)
    assert not covers(ANY & B, A)


CHANGE = when("app_changed", app="shop")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: milestone("m", reward=1, when=A & ~ANY),
            "never occurs: every when('clicked', name='a') is also",
        ),
        (lambda: Goal(when=A & ~A), "the goal: "),
        (lambda: Spec(goal=Goal(when=A), forbidden=(forbid("f", when=ANY),)), "keeps the goal out of reach"),
        (
            lambda: Goal(when=CHANGE, frame=(when("app_changed", app="mail"),)),
            "its frame allows no such app_changed",
        ),
        (lambda: Goal(when=CHANGE), "name the change that is the task"),
        (lambda: Spec(goal=Goal(when=A, holds=("opend",))), "the goal's holds names 'opend', which is not"),
        (lambda: Spec(goal=Goal(when=A), blind=("clickd",)), "did you mean 'clicked'"),
        (
            lambda: Spec(
                milestones=(
                    milestone("end", reward=1, when=A, holds=True),
                    milestone("m", reward=1, when=A, after=("end",)),
                ),
                goal=Goal(when=A),
            ),
            "judged when the episode ends, so nothing can come after it",
        ),
        (
            lambda: forbid("f", when=A, until=when("element_appeared", name="OK")),
            "what the page or the agent says could switch it off",
        ),
        (lambda: forbid("f", when=A & ~when("answer_given")), "could switch it off"),
        (lambda: milestone("m", reward=1, when=A, within_steps=-1), "within_steps expects a whole number"),
        (
            lambda: milestone("m", reward=1, when=A, holds=True, within_steps=1),
            "goes with neither graded nor",
        ),
        (
            lambda: milestone("m", reward=1, when=A | B, graded=True),
            "splits the reward over the parts of an &",
        ),
        (
            lambda: milestone("m", reward=1, when=A & when("element_appeared"), graded=True),
            "a graded part: when('element_appeared') rests only on what the page",
        ),
        (lambda: milestone("m", reward=1, when=A & ~B, graded=True), "a graded part: ~when"),
    ],
)
def test_rules_that_cannot_come_true_are_refused_when_they_are_written(make: Any, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        make()
    assert message in str(refused.value)


def test_a_veto_that_ends_before_the_goal_leaves_it_in_reach() -> None:
    Spec(goal=Goal(when=A), forbidden=(forbid("early", when=ANY, until=B),))
    Spec(goal=Goal(when=A), forbidden=(forbid("f", when=ANY, effect="cap", cap=1),))
