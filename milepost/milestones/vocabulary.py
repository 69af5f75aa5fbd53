"""The words with which authors begin a predicate: `when`, `all_of`, `any_of`, `judged`."""

import functools
import operator

from milepost.milestones.kinds import check_field, check_kind, check_test
from milepost.milestones.operators import Scalar, Test, as_test
from milepost.milestones.predicates import AnyOf, Judged, Predicate, When
from milepost.milestones.spec_error import SpecError, at


def when(kind: str, /, **tests: Test | Scalar) -> When:
    """Describe an event: its kind and what its fields must be; a plain value means `eq`.

    Example:
        `when("clicked", role="button", name=text("Submit"))`

    Raises:
        SpecError: unknown kind or field, naming the nearest known one; or a test that its field cannot pass.
    """
    check_kind(kind)
    made = []
    for name, test in sorted(tests.items(), key=lambda item: item[0]):
        with at("tests", name):
            check_field(kind, name)
            made.append((name, as_test(name, test)))
            check_test(kind, name, made[-1][1])
    return When(kind=kind, tests=tuple(made))


def all_of(*parts: Predicate) -> Predicate:
    """Want all of these: `all_of(a, b)` is `a & b`, for parts that come from a loop.

    Raises:
        SpecError: no parts; nothing would have to happen.
    """
    if not parts:
        raise SpecError("all_of needs at least one predicate, such as all_of(when('clicked'))")
    return functools.reduce(operator.and_, parts)


def any_of(least: int, *parts: Predicate) -> Predicate:
    """Want at least so many of these: `any_of(2, a, b, c)`; 1 is `|`, all of them is `&`.

    Raises:
        SpecError: no number from 1 to that of the parts.
    """
    if type(least) is not int or not 1 <= least <= len(parts):
        raise SpecError(f"any_of expects a number from 1 to {len(parts)}, that of its parts; got {least!r}")
    for part in parts:
        if not isinstance(part, Predicate):
            raise SpecError(f"any_of expects predicates, got {type(part).__name__} {part!r}")
    if least in (1, len(parts)):
        return functools.reduce(operator.or_ if least == 1 else operator.and_, parts)
    return AnyOf(of=parts, least=least)


def judged(question: str) -> Judged:
    """Leave a question to a learned model or a judge: `judged("The note is polite")`.

    By rules alone it neither pays nor fails: what depends on it is `uninstrumented`.

    Raises:
        SpecError: no question.
    """
    if not isinstance(question, str) or not question.strip():
        raise SpecError(f"judged expects a question such as 'The note is polite', got {question!r}")
    return Judged(question=question)
