"""Predicates over the past of an episode: plain data, built with `when` and combined with `& | ~ .then .count`.

A predicate *occurs* at an event and *holds* after it:

- `when(kind, ...)` occurs at every event that passes its tests, and holds once it has occurred.
- `a & b` holds while both hold; it occurs at an event where it holds and a part of it occurs.
- `a | b` holds while one holds; it occurs where one occurs.
- `~a` holds as long as `a` does not; it never occurs.
- `a.then(b)`: `b`, judged only on the events strictly after `a` first occurred.
- `a.count(n)` holds from the n-th event on at which `a` occurs, and occurs there and at every later one.
"""

import functools
import operator
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from milepost.milestones.operators import (
    AtLeast,
    AtMost,
    Eq,
    Fields,
    Matches,
    Number,
    OneOf,
    Scalar,
    SpecError,
    Test,
    Text,
    Url,
    as_test,
    suggest,
)
from milepost.milestones.trust import BOOKKEEPING, TRUST_OF_KIND
from milepost.sandbox.events import FACT_FIELDS, FACT_TYPES, Fact


def _and(left: "Predicate", right: "Predicate") -> "And":
    return And(of=(*_flatten(And, left), *_flatten(And, right)))


def _or(left: "Predicate", right: "Predicate") -> "Or":
    return Or(of=(*_flatten(Or, left), *_flatten(Or, right)))


def _not(of: "Predicate") -> "Predicate":
    return of.of if isinstance(of, Not) else Not(of=of)


def _then(first: "Predicate", second: "Predicate") -> "Then":
    """Hold when `second` happens strictly after `first` did."""
    return Then(first=first, second=second)


def _count(of: "Predicate", times: int) -> "Count":
    """Hold from the n-th matching event on."""
    return Count(of=of, times=times)


def _flatten(kind: type, predicate: "Predicate") -> "tuple[Predicate, ...]":
    if not isinstance(predicate, Predicate):
        raise SpecError(f"predicates combine with predicates, got {type(predicate).__name__} {predicate!r}")
    return predicate.of if isinstance(predicate, And | Or) and type(predicate) is kind else (predicate,)


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """An event of a kind, with tests of its fields; every field that is not named may be anything."""

    kind: str
    tests: tuple[tuple[str, Test], ...] = ()

    __and__ = _and
    __or__ = _or
    __invert__ = _not
    then = _then
    count = _count

    def matches(self, fact: Fact) -> bool:
        """Say whether a fact is of this kind and passes the tests."""
        return type(fact) is FACT_TYPES[self.kind] and all(
            test.accepts(getattr(fact, name)) for name, test in self.tests
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class And:
    """All of these have happened."""

    of: tuple["Predicate", ...]

    __and__ = _and
    __or__ = _or
    __invert__ = _not
    then = _then
    count = _count


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    """One of these has happened."""

    of: tuple["Predicate", ...]

    __and__ = _and
    __or__ = _or
    __invert__ = _not
    then = _then
    count = _count


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """This has not happened so far."""

    of: "Predicate"

    __and__ = _and
    __or__ = _or
    __invert__ = _not
    then = _then
    count = _count

    def __post_init__(self) -> None:
        if any(isinstance(part, Not) for part in walk(self.of)):
            raise SpecError("~ cannot be put on a predicate that contains another ~; say it without")


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """The second happened strictly after the first."""

    first: "Predicate"
    second: "Predicate"

    __and__ = _and
    __or__ = _or
    __invert__ = _not
    then = _then
    count = _count

    def __post_init__(self) -> None:
        for part in (self.first, self.second):
            if not isinstance(part, Predicate):
                raise SpecError(f".then expects a predicate, got {type(part).__name__} {part!r}")
            if not can_occur(part):
                raise SpecError(".then needs something that happens on both sides; ~ alone never does")


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """So many events have matched."""

    of: "Predicate"
    times: int

    __and__ = _and
    __or__ = _or
    __invert__ = _not
    then = _then
    count = _count

    def __post_init__(self) -> None:
        if not is_event(self.of):
            raise SpecError(
                f".count counts single events: when(...) or an | of these, got {type(self.of).__name__}"
            )
        if type(self.times) is not int or self.times < 1:
            raise SpecError(f".count expects a whole number of at least 1, got {self.times!r}")


Predicate = When | And | Or | Not | Then | Count
"""Everything a rule can say about the past. Closed: a new one is a new member here and in `progress`."""


def when(kind: str, /, **tests: Test | Scalar) -> When:
    """Describe an event: its kind and what its fields must be; a plain value means `eq`.

    Example:
        `when("clicked", role="button", name=text("Submit"))`

    Raises:
        SpecError: unknown kind or field, naming the nearest known one; or a test that its field cannot pass.
    """
    if kind not in TRUST_OF_KIND:
        if kind in BOOKKEEPING:
            raise SpecError(
                f"{kind!r} is about the episode itself and happens anyway; no rule can rest on it"
            )
        raise SpecError(f"unknown kind of event {kind!r}; {suggest(kind, TRUST_OF_KIND)}")
    known = FACT_FIELDS[kind]
    for name in tests:
        if name not in known:
            raise SpecError(f"{kind} has no field {name!r}; {suggest(name, known)}")
    made = tuple(sorted((name, as_test(name, test)) for name, test in tests.items()))
    for name, test in made:
        _check_type(kind, name, test)
    return When(kind=kind, tests=made)


def all_of(*parts: Predicate) -> Predicate:
    """Want all of these: `all_of(a, b)` is `a & b`, for parts that come from a loop.

    Raises:
        SpecError: no parts; nothing would have to happen.
    """
    if not parts:
        raise SpecError("all_of needs at least one predicate, such as all_of(when('clicked'))")
    return functools.reduce(operator.and_, parts)


_HINTS: Mapping[str, Mapping[str, type]] = {
    kind: typing.get_type_hints(FACT_TYPES[kind]) for kind in TRUST_OF_KIND
}


def _check_type(kind: str, name: str, test: Test) -> None:
    """Refuse a test that no value of the field's type can pass."""
    hint = _HINTS[kind][name]
    fitting: bool
    match test:
        case Eq(value):
            fitting = type(value) is hint
        case OneOf(values):
            fitting = all(type(value) is hint for value in values)
        case Matches() | Text() | Url():
            fitting = hint is str
        case Number() | AtLeast() | AtMost():
            fitting = hint in (str, int)
        case Fields():
            fitting = hint not in (str, int, bool)
    if not fitting:
        wanted = hint.__name__ if hint in (str, int, bool) else "a mapping: use fields(...)"
        raise SpecError(f"{kind}.{name} is {wanted}; {test} can never pass")


def walk(predicate: Predicate) -> Iterator[Predicate]:
    """Give a predicate and all its parts."""
    yield predicate
    for part in parts_of(predicate):
        yield from walk(part)


def parts_of(predicate: Predicate) -> tuple[Predicate, ...]:
    """Give a predicate's immediate parts."""
    match predicate:
        case When():
            return ()
        case And(of=parts) | Or(of=parts):
            return parts
        case Not(of=part) | Count(of=part):
            return (part,)
        case Then(first=first, second=second):
            return (first, second)


def positives(predicate: Predicate) -> Iterator[When]:
    """Give the events a predicate asks for: its leaves outside any `~`."""
    if isinstance(predicate, When):
        yield predicate
    elif not isinstance(predicate, Not):
        for part in parts_of(predicate):
            yield from positives(part)


def can_occur(predicate: Predicate) -> bool:
    """Say whether there is an event at which the predicate occurs; `~a` alone has none."""
    return next(positives(predicate), None) is not None


def is_event(predicate: object) -> bool:
    """Say whether a predicate is about one event: `when(...)` or an `|` of these."""
    return isinstance(predicate, When) or (isinstance(predicate, Or) and all(map(is_event, predicate.of)))
