from fractions import Fraction
from typing import Any

import pytest

from milepost.milestones import (
    Component,
    Goal,
    RewardMode,
    Spec,
    SpecError,
    advance,
    check_weights,
    fold,
    forbid,
    milestone,
    potential,
    read_discount,
    read_weights,
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


def earn(letters: str, **options: Any) -> dict[str, Fraction]:
    """What an episode pays in all, one click a step."""
    before, paid = start_progress(SPEC), dict[str, Fraction]()
    for index, event in enumerate(witness(*map(click, letters)), start=1):
        after, hits = advance(SPEC, before, event)
        over = index == len(letters)
        for name, reward in step_reward(SPEC, before, after, hits, over=over, **options).items():
            paid[name] = paid.get(name, Fraction(0)) + reward
        before = after
    return paid


def test_a_component_pays_its_weight_times_the_share_of_its_milestones() -> None:
    paid = earn("AA", mode=RewardMode.COMPONENTS)
    assert paid == {"file": Fraction(1, 5) * Fraction(2, 3)}
    paid = earn("ABC", mode=RewardMode.COMPONENTS)
    assert paid == {"file": Fraction(1, 5), "goal": Fraction(3, 10)}
    paid = earn("ABC", mode=RewardMode.COMPONENTS, weights=SEED_EXAMPLE)
    assert paid == {"file": Fraction(3, 10), "goal": Fraction(1, 5)}
    assert earn("", mode=RewardMode.COMPONENTS) == {}


def test_the_goal_component_is_the_verified_goal_and_not_a_milestone_of_that_name() -> None:
    spec = Spec(
        milestones=(milestone("c", reward=1, component="goal", when=C),),
        goal=Goal(when=C & A, frame=()),
    )
    start = start_progress(spec)
    after, hits = fold(spec, witness(click("C")))
    assert step_reward(spec, start, after, hits, RewardMode.COMPONENTS) == {}
    after, hits = fold(spec, witness(click("C"), click("A")))
    assert step_reward(spec, start, after, hits, RewardMode.COMPONENTS) == {"goal": Fraction(3, 10)}


def test_components_cannot_be_farmed_by_repeating() -> None:
    assert earn("ABABABABCCC", mode=RewardMode.COMPONENTS) == earn("ABC", mode=RewardMode.COMPONENTS)


def test_a_cap_limits_components_and_potentials_too() -> None:
    paid = earn("XABC", mode=RewardMode.COMPONENTS)
    assert paid == {"file": Fraction(1, 5) * Fraction(7, 15), "goal": Fraction(3, 10) * Fraction(2, 5)}


@pytest.mark.parametrize("discount", ["1", "0.99", "1/2", "0"])
@pytest.mark.parametrize("letters", ["ABC", "AAAB", "XABC", "BA", "C"])
def test_potentials_telescope_exactly(letters: str, discount: str) -> None:
    """The discounted return is that of the goal alone, less the potential of the beginning, which is 0 here."""
    gamma = Fraction(discount)
    before, total, goal, power = start_progress(SPEC), Fraction(0), Fraction(0), Fraction(1)
    for index, event in enumerate(witness(*map(click, letters)), start=1):
        after, hits = advance(SPEC, before, event)
        over = index == len(letters)
        paid = step_reward(SPEC, before, after, hits, RewardMode.POTENTIAL, discount=gamma, over=over)
        total += power * sum(paid.values())
        goal += power * paid.get("goal", Fraction(0))
        before, power = after, power * gamma
    assert total == goal
    assert potential(SPEC, start_progress(SPEC)) == 0


def test_a_step_in_mode_potential_pays_the_difference() -> None:
    start = start_progress(SPEC)
    after, hits = fold(SPEC, witness(click("A")))
    paid = step_reward(SPEC, start, after, hits, RewardMode.POTENTIAL, discount=Fraction("0.5"))
    assert paid == {"potential": Fraction(2, 7)}
    assert step_reward(SPEC, after, after, (), RewardMode.POTENTIAL, over=True) == {
        "potential": Fraction(-4, 7)
    }


def test_two_hits_of_one_milestone_in_a_step_are_added() -> None:
    spec = Spec(milestones=(milestone("ab", reward=1, when=A & B, graded=True),), goal=Goal(when=C))
    after, hits = fold(spec, witness(click("A"), click("B")))
    assert len(hits) == 2
    assert step_reward(spec, start_progress(spec), after, hits) == {"ab": 1}


def test_weights_are_read_by_name_or_number() -> None:
    assert read_weights("example") is SEED_EXAMPLE
    numbers = {"nav": "0.1", "ui": "0.2", "form": "0.2", "file": "0.2", "goal": "0.3"}
    assert read_weights(numbers) == DEFAULT_WEIGHTS
    with pytest.raises(SpecError, match="unknown preset of weights 'sed'; known are default, example"):
        read_weights("sed")
    with pytest.raises(SpecError, match=r"weights: unknown component 'gaol'; did you mean 'goal'\?"):
        read_weights({**numbers, "gaol": "0.3"})
    with pytest.raises(SpecError, match="unknown component 'web'; known are file, form, goal, nav, ui"):
        read_weights({"web": "1"})
    with pytest.raises(SpecError, match="exact numbers by component"):
        read_weights({**numbers, "goal": "much"})
    with pytest.raises(SpecError, match="expected goal >= file >= ui"):
        read_weights({**numbers, "file": "0.3", "goal": "0.2"})


def test_a_discount_is_exact() -> None:
    assert read_discount("0.99") == Fraction(99, 100)
    for wrong in ("1.1", "-0.1", "x", 0.5):
        with pytest.raises(SpecError, match="exact number from 0 to 1"):
            read_discount(wrong)  # type: ignore[arg-type]
