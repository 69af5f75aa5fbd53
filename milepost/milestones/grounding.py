"""Whether a rule rests on a fact that neither the page nor the agent can invent."""

from milepost.milestones.predicates import (
    And,
    AnyOf,
    Count,
    Judged,
    Not,
    Or,
    Predicate,
    Then,
    UndoneBy,
    Until,
    When,
)
from milepost.milestones.trust import PAGE_DIALOG, TRUST_OF_KIND
from milepost.sandbox.events import Trust


def grounding(predicate: Predicate) -> Trust:  # noqa: PLR0911 - one case per predicate
    """Give the trust of the best fact without which the predicate cannot occur.

    An `&` is as good as its best part, an `|` as its worst, and `~` adds nothing. Of `any_of(k, ...)` whoever
    cheats chooses the k worst parts, so it is as good as the k-th worst. What no rule decides no rule pays, so it
    is as good as anything.
    """
    match predicate:
        case When():
            return _trust_of(predicate)
        case And(of=parts):
            return max(map(grounding, parts))
        case Or(of=parts):
            return min(map(grounding, parts))
        case AnyOf(of=parts, least=least):
            return sorted(map(grounding, parts))[least - 1]
        case Not():
            return Trust.AGENT
        case Judged():
            return Trust.HARNESS
        case Then(first=first, second=second):
            return max(grounding(first), grounding(second))
        case Count(of=part) | Until(of=part) | UndoneBy(of=part):
            return grounding(part)


def _trust_of(leaf: When) -> Trust:
    if leaf.kind in ("dialog_opened", "dialog_closed"):
        test = dict(leaf.tests).get("type")
        if test is None or test.accepts(PAGE_DIALOG):
            return Trust.PAGE
    return TRUST_OF_KIND[leaf.kind]
