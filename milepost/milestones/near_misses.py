"""Logs with one fact made wrong, from a log that reaches the goal: what a rule must tell from the real thing."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from milepost.milestones.kinds import FIELD_TYPES
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
from milepost.milestones.predicates import Count, When, walk
from milepost.milestones.spec import Spec
from milepost.milestones.trust import CHANGES
from milepost.milestones.typed import Date, FilePath, Money, Phone
from milepost.sandbox.events import (
    FACT_TYPES,
    GENESIS,
    AppChanged,
    EpisodeEnded,
    Event,
    Fact,
    FileCreated,
    FileDeleted,
    FileModified,
    FileMoved,
    Source,
    Trust,
    chain,
)

STRAYS: tuple[Fact, ...] = (
    AppChanged(app="another app", change="changed", data={}),
    FileCreated(path="stray.txt", size=1, sha256="0" * 64),
    FileModified(path="stray.txt", size=1, sha256="0" * 64),
    FileMoved(path="moved.txt", previous="stray.txt", sha256="0" * 64),
    FileDeleted(path="stray.txt"),
)
"""Changes that are no part of any task."""


def derive_logs(spec: Spec, events: Sequence[Event]) -> Iterator[list[Event]]:
    """Give near misses of a log that reaches the goal.

    Each event on which a rule rests is left out, put last, put first in its log, repeated or given one other value,
    at that place and at all places where the same fact stands; and each change that is no part of the task is put in.
    """
    log = list(events)
    yield log
    ended = isinstance(log[-1].fact, EpisodeEnded)
    body, tail = (log[:-1], log[-1:]) if ended else (log, [])
    for index in _find_supports(spec, body):
        rest = body[:index] + body[index + 1 :]
        yield rechain([*rest, *tail])
        yield rechain([*rest, body[index], *tail])
        yield rechain([body[index], *rest, *tail])
        yield rechain([*body[: index + 1], *body[index:], *tail])
        for changed in alter(body[index].fact):
            # The harness says it, so that nothing but the rules' own tests can tell it from the real thing.
            wrong = replace(body[index], fact=changed, source=Source.SESSION, trust=Trust.HARNESS)
            yield rechain([*body[:index], wrong, *body[index + 1 :], *tail])
            yield rechain([*body[: index + 1], wrong, *body[index + 1 :], *tail])
            yield rechain([*body[:index], wrong, *body[index:], *tail])
            yield rechain([*(wrong if event.fact == body[index].fact else event for event in body), *tail])
    for stray in (*STRAYS, *_copy_changes(body), *_imagine_unseen(spec, body)):
        for index in (0, len(body)):
            yield rechain([*body[:index], *_tell(body, index, stray), *body[index:], *tail])
    for leaf, times in sorted(_find_counts(spec).items(), key=str):
        repeated = imagine(leaf)
        if repeated is not None:
            yield rechain([*_tell(body, 0, repeated) * times, *body, *tail])


def _tell(body: Sequence[Event], index: int, fact: Fact) -> list[Event]:
    """Make an event of a fact, told by the harness where another one stands."""
    beside = body[min(index, len(body) - 1)]
    return [replace(beside, fact=fact, source=Source.SESSION, trust=Trust.HARNESS)]


def _imagine_unseen(spec: Spec, body: Sequence[Event]) -> Iterator[Fact]:
    """Give what leaves would match that match nothing in a log, and the same with another value."""
    for leaf in spec.plan.bits:
        if not any(leaf.matches(event.fact) for event in body):
            fact = imagine(leaf)
            if fact is not None:
                yield fact
                yield from alter(fact)


def _find_counts(spec: Spec) -> Mapping[When, int]:
    """Find the leaves that are counted, and how often the rules ask for each."""
    counts: dict[When, int] = {}
    rules = (*(m.when for m in spec.milestones), *(f.when for f in spec.forbidden), spec.goal.when)
    for counted in (part for rule in rules for part in walk(rule) if isinstance(part, Count)):
        for leaf in walk(counted.of):
            if isinstance(leaf, When):
                counts[leaf] = max(counted.times, counts.get(leaf, 0))
    return counts


def _find_supports(spec: Spec, events: Sequence[Event]) -> list[int]:
    """List the events that some leaf of the rules matches."""
    leaves = tuple(spec.plan.bits)
    return [index for index, event in enumerate(events) if any(leaf.matches(event.fact) for leaf in leaves)]


def _copy_changes(events: Sequence[Event]) -> Iterator[Fact]:
    """Give each change of a log with another value."""
    for event in events:
        if isinstance(event.fact, CHANGES):
            yield from alter(event.fact)


def alter(fact: Any) -> Iterator[Fact]:
    """Give a fact with one of its values, or of those in a mapping of it, made another."""
    for field in dataclasses.fields(fact):
        value = getattr(fact, field.name)
        if isinstance(value, Mapping):
            for key, inner in value.items():
                for changed in _change(inner):
                    yield replace(fact, **{field.name: {**value, key: changed}})
        else:
            for changed in _change(value):
                yield replace(fact, **{field.name: changed})


def imagine(leaf: When) -> Fact | None:
    """Make a fact that matches a leaf; None where its tests give no example of what they accept."""
    values: dict[str, Any] = {
        name: {str: "x", int: 1, bool: True}.get(hint, {}) for name, hint in FIELD_TYPES[leaf.kind].items()
    }
    for name, test in leaf.tests:
        values[name] = _exemplify(test)
    fact: Fact = FACT_TYPES[leaf.kind](**values)
    return fact if leaf.matches(fact) else None


def _exemplify(test: Test) -> Any:  # noqa: PLR0911 - one case per test
    match test:
        case Eq(value) | Text(value):
            return value
        case OneOf(values):
            return values[0]
        case Number(amount) | AtLeast(amount) | AtMost(amount) | Between(least=amount):
            return int(amount) if amount.denominator == 1 else write_number(amount)
        case Money(size):
            return write_number(size)
        case Date(earliest):
            return earliest.isoformat()
        case Phone(wanted) | FilePath(wanted) | Url(wanted):
            return wanted
        case Fields(tests):
            return {name: _exemplify(inner) for name, inner in tests}
        case Items(tests):
            return [_exemplify(inner) for inner in tests]
        case Matches(pattern):
            # A pattern without anything special in it is an example of itself; one that rules things out accepts "~".
            plain = re.sub(r"\\(.)", r"\1", pattern)
            return plain if test.accepts(plain) else "~"


def _change(value: object) -> Iterator[str | int]:
    """Give other values: for a text one that begins with it, and one that has nothing of it."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield 0 if value else 1
    elif isinstance(value, str):
        yield value + "~"
        yield "~"


def rechain(events: Sequence[Event]) -> list[Event]:
    """Give the same facts in this order as a log of their own, with steps that never go back."""
    made: list[Event] = []
    for seq, event in enumerate(events):
        step = max(event.step, made[-1].step if made else 0)
        prev = made[-1].hash if made else GENESIS
        made.append(chain(event.fact, seq=seq, step=step, source=event.source, trust=event.trust, prev=prev))
    return made


def distrust(events: Sequence[Event]) -> list[Event]:
    """Give a log in which every fact is only what a page says."""
    return rechain([replace(event, trust=min(event.trust, Trust.PAGE)) for event in events])
