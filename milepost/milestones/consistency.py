"""What can be told of rules before anything happens: contradictions, and goals that nothing can reach.

Sound, not complete: what is refused here can never come true; what passes may still be impossible, which an
oracle finds out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from milepost.milestones.operators import Eq, Fields, OneOf, Test
from milepost.milestones.predicates import And, Count, Not, Or, Predicate, Then, UndoneBy, Until, When, walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """Two parts of a rule of which one rules the other out."""

    wanted: When
    against: Predicate


def implies(one: When, other: When) -> bool:
    """Say whether every event that matches `one` matches `other` too."""
    tests = dict(one.tests)
    return one.kind == other.kind and all(
        name in tests and _narrows(tests[name], test) for name, test in other.tests
    )


def excludes(one: When, other: When) -> bool:
    """Say whether no event can match both."""
    tests = dict(one.tests)
    return one.kind != other.kind or any(
        name in tests and _clash(tests[name], test) for name, test in other.tests
    )


def _narrows(one: Test, other: Test) -> bool:
    """Say whether every value that passes `one` passes `other`."""
    if one == other:
        return True
    match one, other:
        case Eq(value), _:
            return other.accepts(value)
        case OneOf(values), _:
            return all(other.accepts(value) for value in values)
        case Fields(mine), Fields(theirs):
            known = dict(mine)
            return all(name in known and _narrows(known[name], test) for name, test in theirs)
        case _:
            return False


def _clash(one: Test, other: Test) -> bool:
    """Say whether no value passes both."""
    match one, other:
        case (Eq(value), test) | (test, Eq(value)):
            return not test.accepts(value)
        case (OneOf(values), test) | (test, OneOf(values)):
            return not any(test.accepts(value) for value in values)
        case Fields(mine), Fields(theirs):
            known = dict(mine)
            return any(name in known and _clash(known[name], test) for name, test in theirs)
        case _:
            return False


def required(predicate: Predicate) -> Iterator[When]:
    """Give the events without which a predicate cannot hold: those on every way to it."""
    match predicate:
        case When():
            yield predicate
        case And(of=parts):
            for part in parts:
                yield from required(part)
        case Then(first=first, second=second):
            yield from required(first)
            yield from required(second)
        case Count(of=part) | Until(of=part) | UndoneBy(of=part):
            yield from required(part)
        case _:
            return


def find_contradiction(predicate: Predicate) -> Contradiction | None:
    """Find a part of a predicate that can never hold: `a & ~a`, or `a.until(a)`."""
    for part in walk(predicate):
        match part:
            case And(of=parts):
                wanted = [leaf for inner in parts for leaf in required(inner)]
                against: Iterable[Predicate] = [inner.of for inner in parts if isinstance(inner, Not)]
            case Until(of=When() as leaf, end=end):
                wanted, against = [leaf], [end]
            case _:
                continue
        for leaf in wanted:
            for ruled_out in against:
                if covers(ruled_out, leaf):
                    return Contradiction(wanted=leaf, against=ruled_out)
    return None


def covers(predicate: Predicate, leaf: When) -> bool:
    """Say whether a predicate occurs at every event that matches a leaf."""
    match predicate:
        case When():
            return implies(leaf, predicate)
        case Or(of=parts):
            return any(covers(part, leaf) for part in parts)
        case Count(of=part, times=1):
            return covers(part, leaf)
        case _:
            return False
