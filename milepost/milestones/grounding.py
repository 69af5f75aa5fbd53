"""Whether a rule rests on a fact that neither the page nor the agent can invent."""

from milepost.milestones.predicates import And, Count, Not, Or, Predicate, Then, When
from milepost.milestones.trust import PAGE_DIALOG, TRUST_OF_KIND
from milepost.sandbox.events import Trust


def grounding(predicate: Predicate) -> Trust:
    """Give the trust of the best fact without which the predicate cannot occur.

    An `&` is as good as its best part, an `|` as its worst, and `~` adds nothing.
    """
    match predicate:
        case When():
            return _trust_of(predicate)
        case And(of=parts):
            return max(map(grounding, parts))
        case Or(of=parts):
            return min(map(grounding, parts))
        case Not():
            return Trust.AGENT
        case Then(first=first, second=second):
            return max(grounding(first), grounding(second))
        case Count(of=part):
            return grounding(part)


def _trust_of(leaf: When) -> Trust:
    if leaf.kind in ("dialog_opened", "dialog_closed"):
        test = dict(leaf.tests).get("type")
        if test is None or test.accepts(PAGE_DIALOG):
            return Trust.PAGE
    return TRUST_OF_KIND[leaf.kind]
