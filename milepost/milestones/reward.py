"""From milestones that fired to the reward of a step: pure, exact, and still by name."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from fractions import Fraction

from milepost.milestones.milestone import Component
from milepost.milestones.operators import SpecError
from milepost.milestones.progress import Hit, Progress
from milepost.milestones.spec import Spec


class RewardMode(StrEnum):
    """How a step is paid."""

    MILESTONES = "milestones"
    """Each milestone as authored."""
    NORMALIZED = "normalized"
    """Each milestone divided by the spec's total, so that every task pays 1 in all."""
    OUTCOME = "outcome"
    """The goal alone: 1 at the step that reaches it."""


def step_reward(
    spec: Spec,
    before: Progress,
    after: Progress,
    hits: Iterable[Hit],
    mode: RewardMode = RewardMode.MILESTONES,
) -> Mapping[str, Fraction]:
    """Give what a step pays, by name and exact; empty when it pays nothing.

    Args:
        spec: the rules.
        before: the progress at the start of the step.
        after: the progress at its end.
        hits: the milestones that fired in it.
        mode: how to pay. `outcome` pays under the name `goal`: 1, or less when a cap allows only a part of the
            spec's total.
    """
    match mode:
        case RewardMode.MILESTONES:
            return {hit.name: hit.reward for hit in hits if hit.reward}
        case RewardMode.NORMALIZED:
            return {hit.name: hit.reward / spec.total for hit in hits if hit.reward}
        case RewardMode.OUTCOME:
            paid = _pay_goal(spec, after) if after.goal_reached and not before.goal_reached else Fraction(0)
            return {"goal": paid} if paid else {}


def _pay_goal(spec: Spec, progress: Progress) -> Fraction:
    if progress.limit is None or not spec.total:
        return Fraction(1)
    return min(Fraction(1), progress.limit / spec.total)


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


def component_reward(spec: Spec, hits: Iterable[Hit], weights: Mapping[Component, Fraction]) -> Fraction:
    """Give the weighted five-part reward of hits: the sum of w_c times the reached share of component c.

    The share of a component is what its hits paid out of what all its milestones pay together. Milestones fire
    once, so each part is in [0, 1] and an episode pays at most the sum of the weights. A component without
    milestones in the spec pays nothing.
    """
    whole = {c: sum((m.reward for m in spec.milestones if m.component is c), Fraction(0)) for c in Component}
    return sum((weights[hit.component] * hit.reward / whole[hit.component] for hit in hits), Fraction(0))
