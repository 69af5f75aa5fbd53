from fractions import Fraction

import pytest

from milepost.milestones import (
    Component,
    Goal,
    RewardMode,
    Spec,
    SpecError,
    check_weights,
    component_reward,
    fold,
    forbid,
    milestone,
    start_progress,
    step_reward,
    when,
)
from milepost.milestones.reward import DEFAULT_WEIGHTS, SEED_EXAMPLE
from tests.milestones.conftest import click, witness

A, B, C = (when("clicked", name=name) for name in "ABC")
SPEC = Spec(
    milestones=(
        milestone("a", reward="1.0", component="file", when=A),
        milestone("b", reward="0.5", component="file", when=B),
        milestone("c", reward="0.25", component="goal", when=C),
    ),
    forbidden=(forbid("x", when=when("clicked", name="X"), effect="cap", cap="0.7"),),
    goal=Goal(when=C),
)


def pay(letters: str, mode: RewardMode) -> dict[str, Fraction]:
    """What a single step pays in which all these clicks happen."""
    after, hits = fold(SPEC, witness(*map(click, letters)))
    return dict(step_reward(SPEC, start_progress(SPEC), after, hits, mode))


def test_milestones_pay_as_authored() -> None:
    assert pay("AC", RewardMode.MILESTONES) == {"a": 1, "c": Fraction(1, 4)}
    assert pay("", RewardMode.MILESTONES) == {}


def test_normalized_milestones_pay_one_in_all() -> None:
    paid = pay("ABC", RewardMode.NORMALIZED)
    assert paid == {"a": Fraction(4, 7), "b": Fraction(2, 7), "c": Fraction(1, 7)}
    assert sum(paid.values()) == 1


def test_the_outcome_pays_the_goal_alone_and_once() -> None:
    assert pay("AB", RewardMode.OUTCOME) == {}
    assert pay("ABC", RewardMode.OUTCOME) == {"goal": 1}
    reached, _ = fold(SPEC, witness(click("C")))
    assert step_reward(SPEC, reached, reached, (), RewardMode.OUTCOME) == {}


def test_a_cap_limits_every_mode() -> None:
    assert pay("XABC", RewardMode.MILESTONES) == {"a": Fraction(7, 10)}
    assert pay("XABC", RewardMode.NORMALIZED) == {"a": Fraction(2, 5)}
    assert pay("XABC", RewardMode.OUTCOME) == {"goal": Fraction(2, 5)}


def test_a_spec_without_milestones_pays_its_outcome() -> None:
    spec = Spec(goal=Goal(when=C))
    after, hits = fold(spec, witness(click("C")))
    start = start_progress(spec)
    assert step_reward(spec, start, after, hits, RewardMode.OUTCOME) == {"goal": 1}
    assert step_reward(spec, start, after, hits, RewardMode.NORMALIZED) == {}


def test_the_default_weights_are_ordered_and_the_example_is_not() -> None:
    assert [str(SEED_EXAMPLE[c]) for c in Component] == ["1/10", "1/5", "1/5", "3/10", "1/5"]
    assert [str(DEFAULT_WEIGHTS[c]) for c in Component] == ["1/10", "1/5", "1/5", "1/5", "3/10"]
    check_weights(DEFAULT_WEIGHTS)
    check_weights(SEED_EXAMPLE, ordered=False)
    with pytest.raises(SpecError, match=r"expected goal >= file >= ui, got nav 0.1, ui 0.2, .*ordered=False"):
        check_weights(SEED_EXAMPLE)


def test_weights_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(SpecError, match=r"weights must sum to 1, got 1.1"):
        check_weights({**DEFAULT_WEIGHTS, Component.NAV: Fraction(1, 5)})
    with pytest.raises(SpecError, match="must not be negative"):
        check_weights({**DEFAULT_WEIGHTS, Component.NAV: Fraction(-1, 10), Component.UI: Fraction(2, 5)})
    with pytest.raises(SpecError, match="weights are needed for nav, ui, form, file, goal; got nav"):
        check_weights({Component.NAV: Fraction(1)})


def test_a_component_pays_the_share_of_its_milestones() -> None:
    _, hits = fold(SPEC, witness(*map(click, "AC")))
    assert component_reward(SPEC, hits[:1], DEFAULT_WEIGHTS) == Fraction(1, 5) * Fraction(2, 3)
    assert component_reward(SPEC, hits, DEFAULT_WEIGHTS) == Fraction(1, 5) * Fraction(2, 3) + Fraction(3, 10)
    assert component_reward(SPEC, (), DEFAULT_WEIGHTS) == 0
