"""Predicates in the words in which authors write them, for messages and explanations."""

from milepost.milestones.normal_form import write_number
from milepost.milestones.operators import (
    AtLeast,
    AtMost,
    Eq,
    Fields,
    Matches,
    Number,
    OneOf,
    Test,
    Text,
    Url,
)
from milepost.milestones.predicates import And, Count, Not, Or, Then, When


def describe(predicate: object) -> str:  # noqa: PLR0911 - one case per predicate
    """Say a predicate in the words it was written in."""
    match predicate:
        case When(kind=kind, tests=tests):
            return f"when({', '.join([repr(kind), *(f'{name}={_say(test)}' for name, test in tests)])})"
        case And(of=parts):
            return "(" + " & ".join(map(describe, parts)) + ")"
        case Or(of=parts):
            return "(" + " | ".join(map(describe, parts)) + ")"
        case Not(of=part):
            return f"~{describe(part)}"
        case Then(first=first, second=second):
            return f"{describe(first)}.then({describe(second)})"
        case Count(of=part, times=times):
            return f"{describe(part)}.count({times})"
        case _:
            return repr(predicate)


def _say(test: Test) -> str:  # noqa: PLR0911 - one case per test
    match test:
        case Eq(value):
            return repr(value)
        case OneOf(values):
            return f"one_of({', '.join(map(repr, values))})"
        case Matches(value) | Text(value):
            return f"{type(test).__name__.lower()}({value!r})"
        case Number(amount):
            return f"number('{write_number(amount)}')"
        case AtLeast(amount):
            return f"at_least('{write_number(amount)}')"
        case AtMost(amount):
            return f"at_most('{write_number(amount)}')"
        case Url(address, ignore_query):
            return f"url({address!r}{', ignore_query=True' if ignore_query else ''})"
        case Fields(tests):
            return f"fields({', '.join(f'{name}={_say(inner)}' for name, inner in tests)})"
