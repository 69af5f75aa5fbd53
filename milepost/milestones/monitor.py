"""Monitors: a predicate prepared for running, and one step of it over one event.

A monitor's state is a small immutable value, so that a fold can keep, compare and copy it freely:

- a leaf: the sequence number of the newest event that matched, or -1;
- `all`, `any`: the states of the parts; `no`: the state of its part;
- `then`: the state of the first part (frozen when it has occurred), whether it has, the state of the second;
- `count`: the sequence numbers of the first n - 1 matching events and the newest.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from milepost.milestones.milestone import Forbid, Goal, Milestone
from milepost.milestones.operators import Test
from milepost.milestones.predicates import (
    And,
    Count,
    Not,
    Or,
    Predicate,
    Then,
    When,
    parts_of,
    positives,
    walk,
)
from milepost.sandbox.events import FACT_TYPES

State = Any
"""A monitor's state: integers, booleans and tuples of these."""


class Op(Enum):
    """What a monitor does with its parts."""

    LEAF = 0
    ALL = 1
    ANY = 2
    NO = 3
    THEN = 4
    COUNT = 5


_OPS: Mapping[type, Op] = {
    When: Op.LEAF,
    And: Op.ALL,
    Or: Op.ANY,
    Not: Op.NO,
    Then: Op.THEN,
    Count: Op.COUNT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """A predicate whose leaves are replaced by bits."""

    op: Op
    parts: tuple["Monitor", ...]
    mask: int
    """The bits of all leaves below."""
    times: int = 0
    """How many matches a `count` needs."""


def make_monitor(predicate: Predicate, bits: Mapping[When, int]) -> Monitor:
    """Prepare a predicate; `bits` gives each distinct leaf its bit."""
    mask = 0
    for part in walk(predicate):
        if isinstance(part, When):
            mask |= bits[part]
    return Monitor(
        op=_OPS[type(predicate)],
        parts=tuple(make_monitor(part, bits) for part in parts_of(predicate)),
        mask=mask,
        times=predicate.times if isinstance(predicate, Count) else 0,
    )


def start(monitor: Monitor) -> State:
    """Give the state before any event."""
    match monitor.op:
        case Op.LEAF:
            return -1
        case Op.ALL | Op.ANY:
            return tuple(start(part) for part in monitor.parts)
        case Op.NO:
            return start(monitor.parts[0])
        case Op.THEN:
            return (start(monitor.parts[0]), False, start(monitor.parts[1]))
        case Op.COUNT:
            return ()


def step(monitor: Monitor, state: State, matched: int, seq: int) -> tuple[State, bool]:  # noqa: PLR0911 - one case per operation
    """Take one event in; give the new state and whether the predicate occurs at this event.

    Args:
        monitor: the predicate.
        state: its state before the event.
        matched: the bits of the leaves that the event matches.
        seq: the event's sequence number.
    """
    if not monitor.mask & matched:
        return state, False
    match monitor.op:
        case Op.LEAF:
            return seq, True
        case Op.COUNT:
            seen = (*state, seq) if len(state) < monitor.times else (*state[:-1], seq)
            return seen, len(seen) == monitor.times
        case Op.NO:
            return step(monitor.parts[0], state, matched, seq)[0], False
        case Op.THEN:
            first, occurred, second = state
            if not occurred:
                first, occurred = step(monitor.parts[0], first, matched, seq)
                return (first, occurred, second), False
            second, occurs = step(monitor.parts[1], second, matched, seq)
            return (first, True, second), occurs
        case Op.ALL | Op.ANY:
            stepped = [step(part, s, matched, seq) for part, s in zip(monitor.parts, state, strict=True)]
            new = tuple(s for s, _ in stepped)
            occurs = any(o for _, o in stepped) and (monitor.op is Op.ANY or holds(monitor, new))
            return new, occurs


def holds(monitor: Monitor, state: State) -> bool:
    """Say whether the predicate holds in a state."""
    match monitor.op:
        case Op.LEAF:
            return bool(state >= 0)
        case Op.ALL:
            return all(map(holds, monitor.parts, state))
        case Op.ANY:
            return any(map(holds, monitor.parts, state))
        case Op.NO:
            return not holds(monitor.parts[0], state)
        case Op.THEN:
            return bool(state[1]) and holds(monitor.parts[1], state[2])
        case Op.COUNT:
            return len(state) == monitor.times


def evidence(monitor: Monitor, state: State) -> tuple[int, ...]:
    """List the sequence numbers of the events that make the predicate hold, ascending.

    Of several events that match a leaf, the newest counts; in the first part of a `then`, those up to where
    it first occurred.
    """
    return tuple(sorted(_collect(monitor, state)))


def _collect(monitor: Monitor, state: State) -> set[int]:
    match monitor.op:
        case Op.LEAF:
            return {state} if state >= 0 else set()
        case Op.NO:
            return set()
        case Op.COUNT:
            return set(state)
        case Op.THEN:
            return _collect(monitor.parts[0], state[0]) | _collect(monitor.parts[1], state[2])
        case Op.ALL | Op.ANY:
            return set().union(*map(_collect, monitor.parts, state))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A milestone prepared for running."""

    declared: Milestone
    monitor: Monitor
    after: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A spec prepared for running: every distinct leaf has a bit and stands under its kind of fact."""

    leaves: Mapping[type, tuple[tuple[int, tuple[tuple[str, Test], ...]], ...]]
    """By class of fact: the bit and the tests of each leaf."""
    rules: tuple[Rule, ...]
    violations: tuple[tuple[Forbid, Monitor], ...]
    goal: Monitor
    frame: int
    """The bits of the leaves that allow a change."""
    bits: Mapping[When, int]


def make_plan(milestones: Sequence[Milestone], forbidden: Sequence[Forbid], goal: Goal) -> Plan:
    """Prepare a spec's rules for running."""
    bits: dict[When, int] = {}
    watched = [m.when for m in milestones] + [f.when for f in forbidden]
    for predicate in (*watched, goal.when, *goal.frame):
        for part in walk(predicate):
            if isinstance(part, When) and part not in bits:
                bits[part] = 1 << len(bits)
    leaves: dict[type, list[tuple[int, tuple[tuple[str, Test], ...]]]] = defaultdict(list)
    for leaf, bit in bits.items():
        leaves[FACT_TYPES[leaf.kind]].append((bit, leaf.tests))
    frame = 0
    for allowed in goal.frame:
        for leaf in positives(allowed):
            frame |= bits[leaf]
    return Plan(
        leaves={cls: tuple(found) for cls, found in leaves.items()},
        rules=tuple(
            Rule(declared=m, monitor=make_monitor(m.when, bits), after=frozenset(m.after)) for m in milestones
        ),
        violations=tuple((f, make_monitor(f.when, bits)) for f in forbidden),
        goal=make_monitor(goal.when, bits),
        frame=frame,
        bits=bits,
    )
