"""Predicates in the words in which authors write them, for messages and explanations."""

from milepost.milestones.normal_form import write_number
from milepost.milestones.operators import (
    AtLeast,
    AtMost,
    Between,
    Eq,
    Fields,
    Items,
    Matches,
    Number,
    OneOf,
    Test,
    Text,
    Url,
)
from milepost.milestones.predicates import And, AnyOf, Count, Judged, Not, Or, Then, UndoneBy, Until, When
from milepost.milestones.typed import Date, FilePath, Money, Phone


def describe(predicate: object) -> str:  # noqa: C901, PLR0911 - one case per predicate
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
        case AnyOf(of=parts, least=least):
            return f"any_of({', '.join([str(least), *map(describe, parts)])})"
        case Then(first=first, second=second, within=within):
            limit = "" if within is None else f", within_steps={within}"
            return f"{describe(first)}.then({describe(second)}{limit})"
        case Count(of=part, times=times, distinct=distinct):
            return f"{describe(part)}.count({times}{f', distinct={distinct!r}' if distinct else ''})"
        case Until(of=part, end=end):
            return f"{describe(part)}.until({describe(end)})"
        case UndoneBy(of=part, by=by):
            return f"{describe(part)}.undone_by({describe(by)})"
        case Judged(question=question):
            return f"judged({question!r})"
        case _:
            return repr(predicate)


def _say(test: Test) -> str:  # noqa: C901, PLR0911, PLR0912 - one case per test
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
        case Between(least, most):
            return f"between('{write_number(least)}', '{write_number(most)}')"
        case Money(size, currency):
            return f"money('{f'{write_number(size)} {currency}'.strip()}')"
        case Date(earliest, latest, first):
            end = f", until='{latest}'" if latest != earliest else ""
            return f"date('{earliest}'{end}{f', first={first!r}' if first else ''})"
        case Phone(wanted, country):
            return f"phone({wanted!r}{f', country={country!r}' if country else ''})"
        case FilePath(wanted):
            return f"file_path({wanted!r})"
        case Url(address, ignore_query):
            return f"url({address!r}{', ignore_query=True' if ignore_query else ''})"
        case Fields(tests):
            return f"fields({', '.join(f'{name}={_say(inner)}' for name, inner in tests)})"
        case Items(tests):
            return f"items({', '.join(map(_say, tests))})"
