"""Predicates over the past of an episode: plain data, built with `when` and combined by operators and methods.

A predicate *occurs* at an event and *holds* after it:

- `when(kind, ...)` occurs at every event that passes its tests, and holds once it has occurred.
- `a & b` holds while both hold; it occurs at an event where it holds and a part of it occurs.
- `a | b` holds while one holds; it occurs where one occurs.
- `~a` holds as long as `a` does not; it never occurs.
- `a.then(b)`: `b`, judged only on the events strictly after `a` first occurred.
- `a.then(b, within_steps=n)`: `b`, a single event, at most n steps after the newest `a` before it.
- `a.count(n)` holds from the n-th event on at which `a` occurs, and occurs there and at every later one;
  `distinct="field"` counts only events with a value of that field that was not there before.
- `any_of(k, a, b, c)` holds while at least k of its parts do; it occurs where it holds and a part occurs.
- `a.until(b)`: `a`, judged only on the events before the one at which `b` first occurs.
- `a.undone_by(b)` holds while `a` has occurred and no `b` since; an event that is both counts as `a`. It occurs
  where `a` does.
- `judged(question)` is what no rule can decide: it never occurs, and whether it holds is unknown.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from milepost.milestones.kinds import check_distinct
from milepost.milestones.operators import Test
from milepost.milestones.spec_error import SpecError
from milepost.sandbox.events import FACT_TYPES, Fact


def _and(left: "Predicate", right: "Predicate") -> "And":
    return And(of=(*_flatten(And, left), *_flatten(And, right)))


def _or(left: "Predicate", right: "Predicate") -> "Or":
    return Or(of=(*_flatten(Or, left), *_flatten(Or, right)))


def _not(of: "Predicate") -> "Predicate":
    return of.of if isinstance(of, Not) else Not(of=of)


def _then(first: "Predicate", second: "Predicate", *, within_steps: int | None = None) -> "Then":
    """Hold when `second` happens strictly after `first` did, and at most so many steps later."""
    return Then(first=first, second=second, within=within_steps)


def _count(of: "Predicate", times: int, *, distinct: str = "") -> "Count":
    """Hold from the n-th matching event on; `distinct` names the field whose values must differ."""
    return Count(of=of, times=times, distinct=distinct)


def _until(of: "Predicate", end: "Predicate") -> "Until":
    """Judge this only on the events before `end` first occurs."""
    return Until(of=of, end=end)


def _undone_by(of: "Predicate", by: "Predicate") -> "UndoneBy":
    """Hold from this on until `by` occurs, and again from the next time on."""
    return UndoneBy(of=of, by=by)


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
    until = _until
    undone_by = _undone_by

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
    until = _until
    undone_by = _undone_by


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    """One of these has happened."""

    of: tuple["Predicate", ...]

    __and__ = _and
    __or__ = _or
    __invert__ = _not
    then = _then
    count = _count
    until = _until
    undone_by = _undone_by


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """This has not happened so far."""

    of: "Predicate"

    __and__ = _and
    __or__ = _or
    __invert__ = _not
    then = _then
    count = _count
    until = _until
    undone_by = _undone_by

    def __post_init__(self) -> None:
        if any(isinstance(part, Not) for part in walk(self.of)):
            raise SpecError("~ cannot be put on a predicate that contains another ~; say it without")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    """At least so many of these have happened; made with `any_of`."""

    of: tuple["Predicate", ...]
    least: int

    __and__ = _and
    __or__ = _or
    __invert__ = _not
    then = _then
    count = _count
    until = _until
    undone_by = _undone_by

    def __post_init__(self) -> None:
        if type(self.least) is not int or not 1 < self.least < len(self.of):
            raise SpecError(
                f"at least {self.least!r} of {len(self.of)} parts is an | or an &, or cannot be; use any_of(...)"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """The second happened strictly after the first, within so many steps of it if a number is given."""

    first: "Predicate"
    second: "Predicate"
    within: int | None = None

    __and__ = _and
    __or__ = _or
    __invert__ = _not
    then = _then
    count = _count
    until = _until
    undone_by = _undone_by

    def __post_init__(self) -> None:
        for part in (self.first, self.second):
            _check_occurs(".then", part)
        if self.within is None:
            return
        _check_steps(".then: within_steps", self.within)
        if not is_event(self.second):
            raise SpecError(
                ".then with within_steps needs a single event behind it: when(...) or an | of these"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """So many events have matched, with different values of a field if one is named."""

    of: "Predicate"
    times: int
    distinct: str = ""
    """A field that every counted kind has, such as `name`, or an entry of one, such as `data.sku`."""

    __and__ = _and
    __or__ = _or
    __invert__ = _not
    then = _then
    count = _count
    until = _until
    undone_by = _undone_by

    def __post_init__(self) -> None:
        if not is_event(self.of):
            raise SpecError(
                f".count counts single events: when(...) or an | of these, got {type(self.of).__name__}"
            )
        if type(self.times) is not int or self.times < 1:
            raise SpecError(f".count expects a whole number of at least 1, got {self.times!r}")
        if not isinstance(self.distinct, str):
            raise SpecError(f".count: distinct names a field such as 'name', got {self.distinct!r}")
        for leaf in positives(self.of) if self.distinct else ():
            check_distinct(leaf.kind, self.distinct)


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """This happened before something else did."""

    of: "Predicate"
    end: "Predicate"

    __and__ = _and
    __or__ = _or
    __invert__ = _not
    then = _then
    count = _count
    until = _until
    undone_by = _undone_by

    def __post_init__(self) -> None:
        _check_occurs(".until", self.of)
        _check_occurs(".until", self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoneBy:
    """This happened, and nothing has undone it since."""

    of: "Predicate"
    by: "Predicate"

    __and__ = _and
    __or__ = _or
    __invert__ = _not
    then = _then
    count = _count
    until = _until
    undone_by = _undone_by

    def __post_init__(self) -> None:
        _check_occurs(".undone_by", self.of)
        _check_occurs(".undone_by", self.by)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A question that no rule can decide; a learned model or a judge may. Made with `judged`."""

    question: str

    __and__ = _and
    __or__ = _or
    __invert__ = _not
    then = _then
    count = _count
    until = _until
    undone_by = _undone_by


Predicate = When | And | Or | AnyOf | Not | Then | Count | Until | UndoneBy | Judged
"""Everything a rule can say about the past. Closed: a new one is a new member here and in `monitor`."""


def _check_occurs(owner: str, part: object) -> None:
    if not isinstance(part, Predicate):
        raise SpecError(f"{owner} expects a predicate, got {type(part).__name__} {part!r}")
    if not can_occur(part):
        raise SpecError(f"{owner} needs something that happens on both sides; ~ alone never does")


def _check_steps(owner: str, steps: object) -> None:
    if type(steps) is not int or steps < 0:
        raise SpecError(f"{owner} expects a whole number of steps, 0 for the same step, got {steps!r}")


def walk(predicate: Predicate) -> Iterator[Predicate]:
    """Give a predicate and all its parts."""
    yield predicate
    for part in parts_of(predicate):
        yield from walk(part)


def parts_of(predicate: Predicate) -> tuple[Predicate, ...]:
    """Give a predicate's immediate parts."""
    match predicate:
        case When() | Judged():
            return ()
        case And(of=parts) | Or(of=parts) | AnyOf(of=parts):
            return parts
        case Not(of=part) | Count(of=part):
            return (part,)
        case Then(first=first, second=second):
            return (first, second)
        case Until(of=part, end=ending) | UndoneBy(of=part, by=ending):
            return (part, ending)


def positives(predicate: Predicate) -> Iterator[When]:
    """Give the events a predicate asks for: its leaves outside any `~`, and not what ends or undoes it."""
    if isinstance(predicate, When):
        yield predicate
    elif isinstance(predicate, Until | UndoneBy):
        yield from positives(predicate.of)
    elif not isinstance(predicate, Not):
        for part in parts_of(predicate):
            yield from positives(part)


def brakes(predicate: Predicate) -> Iterator[Predicate]:
    """Give the parts that keep a predicate from holding when they occur: what stands under `~`, ends or undoes."""
    for part in walk(predicate):
        match part:
            case Not(of=brake) | Until(end=brake) | UndoneBy(by=brake):
                yield brake
            case _:
                continue


def can_occur(predicate: Predicate) -> bool:
    """Say whether there is an event at which the predicate occurs; `~a` alone has none."""
    return any(True for _ in positives(predicate)) or isinstance(predicate, Judged)


def is_event(predicate: object) -> bool:
    """Say whether a predicate is about one event: `when(...)` or an `|` of these."""
    return isinstance(predicate, When) or (isinstance(predicate, Or) and all(map(is_event, predicate.of)))
