from fractions import Fraction
from typing import Any

import pytest

from milepost.milestones import Component, Effect, Goal, Milestone, SpecError, forbid, milestone, when
from milepost.milestones.milestone import Forbid

CLICK = when("clicked", name="Save")
SHOWN = when("element_appeared", role="status", name="Saved")
SAVED = when("app_changed", app="settings", change="settings.saved")


def test_a_milestone_is_plain_data_with_an_exact_reward() -> None:
    declared = milestone("saved", reward="0.1", component="ui", when=CLICK & SHOWN, after=["opened"])
    assert declared == Milestone(
        name="saved", reward=Fraction(1, 10), component=Component.UI, when=CLICK & SHOWN, after=("opened",)
    )
    assert milestone("a", reward=Fraction(1, 3), when=CLICK).reward * 3 == 1
    assert milestone("a", reward=2, when=CLICK).component is Component.GOAL


def test_a_violation_vetoes_or_caps() -> None:
    assert forbid("x", when=SHOWN) == Forbid(name="x", when=SHOWN, effect=Effect.VETO, cap=Fraction(0))
    assert forbid("x", when=SHOWN, effect="cap", cap="0.5").cap == Fraction(1, 2)


def test_a_goal_names_the_changes_that_are_the_task() -> None:
    assert Goal(when=SAVED & SHOWN, frame=(SAVED | CLICK,)).frame == (SAVED | CLICK,)
    assert Goal(when=CLICK).frame == ()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: milestone("m", reward=0.25, when=CLICK), 'got float 0.25; write it as text: "0.25"'),  # type: ignore[arg-type]
        (
            lambda: milestone("m", reward="much", when=CLICK),
            "milestone 'm': reward expects an exact number such as",
        ),
        (lambda: milestone("m", reward="1/0", when=CLICK), "reward expects an exact number"),
        (lambda: milestone("m", reward=True, when=CLICK), "reward expects an exact number"),
        (lambda: milestone("m", reward="1e999999999", when=CLICK), "reward expects an exact number"),
        (
            lambda: milestone("m", reward="-0.5", when=CLICK),
            "reward expects a positive amount, got -0.5; use forbid(...)",
        ),
        (lambda: milestone("m", reward=0, when=CLICK), "reward expects a positive amount, got 0"),
        (
            lambda: milestone("m", reward=1, when=CLICK, component="form_"),
            "unknown component 'form_'; did you mean 'form'?",
        ),
        (
            lambda: milestone("m", reward=1, when=CLICK, after="a"),
            "after expects a tuple of names, got 'a'; write ('a',)",
        ),
        (
            lambda: milestone(" ", reward=1, when=CLICK),
            "milestone expects a name such as 'form_filled', got ' '",
        ),
        (
            lambda: milestone("m", reward=1, when="clicked"),  # type: ignore[arg-type]
            "milestone 'm': when expects a predicate such as when('clicked')",
        ),
        (
            lambda: milestone("m", reward=1, when=SHOWN),
            "milestone 'm': when('element_appeared', name='Saved', role='status') rests only on what the page or the "
            "agent says; add with & a fact of the browser or the harness",
        ),
        (lambda: milestone("m", reward=1, when=CLICK | SHOWN), "rests only on what the page"),
        (
            lambda: milestone("m", reward=1, when=when("answer_given", text="42")),
            "rests only on what the page",
        ),
        (lambda: milestone("m", reward=1, when=~CLICK), "~when('clicked', name='Save') never occurs"),
        (
            lambda: forbid("f", when=CLICK, effect="vet"),
            "forbid 'f': unknown effect 'vet'; did you mean 'veto'?",
        ),
        (
            lambda: forbid("f", when=CLICK, cap="0.5"),
            "cap expects an amount of at least 0 and effect='cap', got 0.5",
        ),
        (lambda: forbid("f", when=CLICK, effect="cap", cap="-1"), "cap expects an amount of at least 0"),
        (lambda: forbid("f", when=~CLICK), "forbid 'f': ~when('clicked', name='Save') never occurs"),
        (
            lambda: Goal(when=SHOWN),
            "the goal: when('element_appeared', name='Saved', role='status') rests only on",
        ),
        (lambda: Goal(when=SAVED), "but its frame allows no such app_changed, so nothing can reach it"),
        (lambda: Goal(when=SAVED, frame=("app_changed",)), "frame expects predicates about one event"),  # type: ignore[arg-type]
        (lambda: Goal(when=SAVED, frame=(SAVED & CLICK,)), "frame expects predicates about one event"),
        (lambda: Goal(when=SAVED, frame=SAVED), "frame expects a tuple of predicates, got When"),  # type: ignore[arg-type]
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(make: Any, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        make()
    assert message in str(refused.value)


def test_an_ungrounded_milestone_cannot_be_made_by_hand_either() -> None:
    with pytest.raises(SpecError, match="rests only on"):
        Milestone(name="m", reward=Fraction(1), component=Component.UI, when=SHOWN, after=())
