"""From milestones that fired to the reward of a step: pure, exact, and still by name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from milepost.milestones.milestone import Component
from milepost.milestones.progress import Hit, Progress
from milepost.milestones.spec import Spec
from milepost.milestones.spec_error import SpecError, suggest


class RewardMode(StrEnum):
    """How a step is paid."""

    MILESTONES = "milestones"
    """Each milestone as authored."""
    NORMALIZED = "normalized"
    """Each milestone divided by the spec's total, so that every task pays 1 in all."""
    OUTCOME = "outcome"
    """The goal alone: 1 at the step that reaches it."""
    COMPONENTS = "components"
    """Five weighted parts, r = w_nav r_nav + w_ui r_ui + w_form r_form + w_file r_file + w_goal r_goal."""
    POTENTIAL = "potential"
    """The goal, and the discounted difference of progress between two steps, which leaves the best policy the best."""


GOAL = "goal"
POTENTIAL = "potential"
"""Names under which the goal and the difference of potentials are paid."""

SEED_EXAMPLE: Mapping[Component, Fraction] = {
    Component.NAV: Fraction("0.1"),
    Component.UI: Fraction("0.2"),
    Component.FORM: Fraction("0.2"),
    Component.FILE: Fraction("0.3"),
    Component.GOAL: Fraction("0.2"),
}
"""The published example of component weights. Its goal weighs less than its file: see `check_weights`."""

DEFAULT_WEIGHTS: Mapping[Component, Fraction] = {
    **SEED_EXAMPLE,
    Component.FILE: Fraction("0.2"),
    Component.GOAL: Fraction("0.3"),
}
"""The example with file and goal exchanged, so that goal >= file >= ui holds."""

PRESETS: Mapping[str, Mapping[Component, Fraction]] = {"default": DEFAULT_WEIGHTS, "example": SEED_EXAMPLE}
"""Component weights by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pay:
    """How the steps of an episode are paid."""

    mode: RewardMode = RewardMode.MILESTONES
    weights: Mapping[Component, Fraction] = field(default_factory=lambda: DEFAULT_WEIGHTS)
    """Of the five parts, in mode `components`."""
    discount: Fraction = Fraction(1)
    """The learner's own, in mode `potential`."""


def step_reward(
    spec: Spec,
    before: Progress,
    after: Progress,
    hits: Iterable[Hit],
    mode: RewardMode = RewardMode.MILESTONES,
    *,
    weights: Mapping[Component, Fraction] = DEFAULT_WEIGHTS,
    discount: Fraction = Fraction(1),
    over: bool = False,
) -> Mapping[str, Fraction]:
    """Give what a step pays, by name and exact; parts that pay nothing are left out.

    A cap that a violation set allows the same share of what can be paid in every mode.

    Args:
        spec: the rules.
        before: the progress at the start of the step.
        after: the progress at its end.
        hits: the milestones that fired in it.
        mode: how to pay. `outcome`, `components` and `potential` pay under names of their own: `goal`, those of the
            components, and `potential`.
        weights: of the components, see `check_weights`.
        discount: the learner's own discount in [0, 1], which the difference of potentials needs.
        over: whether the episode ends with this step, for whatever reason.
    """
    pay = Pay(mode=mode, weights=weights, discount=discount)
    paid = _pay_step(spec, before, after, hits, pay, over)
    return {name: reward for name, reward in paid.items() if reward}


def _pay_step(
    spec: Spec, before: Progress, after: Progress, hits: Iterable[Hit], pay: Pay, over: bool
) -> Mapping[str, Fraction]:
    match pay.mode:
        case RewardMode.MILESTONES:
            return _sum_hits(hits)
        case RewardMode.NORMALIZED:
            return {name: reward / spec.total for name, reward in _sum_hits(hits).items()}
        case RewardMode.OUTCOME:
            return _pay_goal(spec, before, after)
        case RewardMode.COMPONENTS:
            return _pay_components(spec, before, after, hits, pay.weights)
        case RewardMode.POTENTIAL:
            return _pay_potential(spec, before, after, pay.discount, over)


def _sum_hits(hits: Iterable[Hit]) -> dict[str, Fraction]:
    paid: dict[str, Fraction] = {}
    for hit in hits:
        paid[hit.name] = paid.get(hit.name, Fraction(0)) + hit.reward
    return paid


def _pay_goal(spec: Spec, before: Progress, after: Progress) -> dict[str, Fraction]:
    """Pay 1 at the step that reaches the goal, or the share that a cap allows."""
    if before.goal_reached or not after.goal_reached:
        return {}
    if after.limit is None or not spec.total:
        return {GOAL: Fraction(1)}
    return {GOAL: min(Fraction(1), after.limit / spec.total)}


def _pay_components(
    spec: Spec,
    before: Progress,
    after: Progress,
    hits: Iterable[Hit],
    weights: Mapping[Component, Fraction],
) -> dict[str, Fraction]:
    """Pay each component its weight times the share of its milestones that was reached in this step.

    The formula's own indicators pay for every change of the URL and for a form as long as it stays filled, which a
    policy can farm. Here every indicator is latched: milestones fire once, a form pays what is more than ever
    before, and the goal, 1{goal verified}, is the goal with its frame and not the milestones called `goal`. So an
    episode pays at most the sum of the weights. A component without milestones in the spec pays nothing.
    """
    whole = {c: sum((m.reward for m in spec.milestones if m.component is c), Fraction(0)) for c in Component}
    paid: dict[str, Fraction] = {}
    for hit in hits:
        if hit.component is not Component.GOAL:
            part = weights[hit.component] * hit.reward / whole[hit.component]
            paid[hit.component.value] = paid.get(hit.component.value, Fraction(0)) + part
    goal = _pay_goal(spec, before, after).get(GOAL, Fraction(0))
    return {**paid, GOAL: weights[Component.GOAL] * goal}


def potential(spec: Spec, progress: Progress) -> Fraction:
    """Give the potential of a state: what was paid, as a share of what the milestones pay in all; in [0, 1]."""
    return progress.paid / spec.total if spec.total else Fraction(0)


def _pay_potential(
    spec: Spec, before: Progress, after: Progress, discount: Fraction, over: bool
) -> dict[str, Fraction]:
    """Pay F = discount * potential(s') - potential(s) beside the goal (Ng, Harada and Russell 1999).

    The potential of every end is 0, success, failure and truncation alike. So the discounted sum of an episode is
    that of its goal less the potential of its beginning: nothing is gained by collecting milestones alone.
    """
    reached = Fraction(0) if over else potential(spec, after)
    return {**_pay_goal(spec, before, after), POTENTIAL: discount * reached - potential(spec, before)}


def check_weights(weights: Mapping[Component, Fraction], *, ordered: bool = True) -> None:
    """Check component weights: one for each component, none negative, sum exactly 1, and goal >= file >= ui.

    Args:
        weights: by component.
        ordered: whether to ask for the order of goal, file and ui.

    Raises:
        SpecError: names what is wrong and the values.
    """
    if set(weights) != set(Component):
        raise SpecError(f"weights are needed for {', '.join(Component)}; got {', '.join(sorted(weights))}")
    shown = ", ".join(f"{component} {float(weights[component]):g}" for component in Component)
    if any(weight < 0 for weight in weights.values()):
        raise SpecError(f"weights must not be negative; got {shown}")
    total = sum(weights.values())
    if total != 1:
        raise SpecError(
            f"weights must sum to 1, got {float(total):g}: {shown}; write them as Fraction('0.2')"
        )
    if ordered and not weights[Component.GOAL] >= weights[Component.FILE] >= weights[Component.UI]:
        raise SpecError(f"expected goal >= file >= ui, got {shown}; pass ordered=False to allow it")


def read_weights(value: str | Mapping[str, str | int | Fraction]) -> Mapping[Component, Fraction]:
    """Read component weights: the name of a preset, `default` or `example`, or exact numbers by component.

    Raises:
        SpecError: no such preset, inexact numbers, or weights that `check_weights` refuses; the order of goal,
            file and ui is asked of numbers only.
    """
    if isinstance(value, str):
        if value not in PRESETS:
            raise SpecError(f"unknown preset of weights {value!r}; {suggest(value, PRESETS)}")
        return PRESETS[value]
    known = [component.value for component in Component]
    for name in value:
        if name not in known:
            raise SpecError(f"weights: unknown component {name!r}; {suggest(name, known)}")
    try:
        weights = {Component(name): Fraction(weight) for name, weight in value.items()}
    except ValueError as error:
        raise SpecError(f"weights are exact numbers by component such as nav='0.1': {error}") from None
    check_weights(weights)
    return weights


def read_discount(value: str | int | Fraction) -> Fraction:
    """Read an exact discount in [0, 1], such as `0.99`.

    Raises:
        SpecError: not such a number.
    """
    try:
        discount = Fraction(value) if not isinstance(value, float) else Fraction(-1)
    except (TypeError, ValueError):
        discount = Fraction(-1)
    if not 0 <= discount <= 1:
        raise SpecError(f'a discount is an exact number from 0 to 1 such as "0.99", got {value!r}')
    return discount
