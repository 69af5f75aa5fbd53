"""Monitors: a predicate prepared for running, and one step of it over one event.

A monitor's state is a small immutable value, so that a fold can keep, compare and copy it freely:

- a leaf: the sequence number of the newest event that matched, or -1; what no rule decides: always -1;
- `all`, `any`, `some`: the states of the parts; `no`: the state of its part;
- `then`: the state of the first part (frozen when it has occurred), whether it has, the state of the second;
- `soon` (a `then` within some steps): the state of the first part, the step at which it newly occurred (-1: not
  yet), the newest event behind it in time (-1: none), the events on which the first part rested then;
- `count`: the sequence numbers of the first n - 1 matching events and the newest; with distinct values, pairs of
  value and sequence number;
- `until`: the state of the part, whether it has ended, the state of what ends it;
- `undone`: the state of the part, whether it stands, the state of what undoes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from milepost.milestones.normal_form import fold_text
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
    parts_of,
    walk,
)
from milepost.sandbox.events import Event, Fact

State = Any
"""A monitor's state: integers, booleans, texts and tuples of these."""


class Op(Enum):
    """What a monitor does with its parts."""

    LEAF = 0
    ALL = 1
    ANY = 2
    NO = 3
    THEN = 4
    COUNT = 5
    SOME = 6
    SOON = 7
    UNTIL = 8
    UNDONE = 9


_OPS: Mapping[type, Op] = {
    When: Op.LEAF,
    Judged: Op.LEAF,
    And: Op.ALL,
    Or: Op.ANY,
    AnyOf: Op.SOME,
    Not: Op.NO,
    Then: Op.THEN,
    Count: Op.COUNT,
    Until: Op.UNTIL,
    UndoneBy: Op.UNDONE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """A predicate whose leaves are replaced by bits."""

    op: Op
    parts: tuple["Monitor", ...]
    mask: int
    """The bits of all leaves below."""
    times: int = 0
    """How many matches a `count`, how many parts a `some` needs, and within how many steps a `soon`."""
    distinct: str = ""
    """The field whose values a `count` wants to differ."""
    unknown: bool = False
    """A leaf about which no rule can say that it has not happened."""


def make_monitor(
    predicate: Predicate, bits: Mapping[When, int], blind: frozenset[str] = frozenset()
) -> Monitor:
    """Prepare a predicate.

    Args:
        predicate: the rule.
        bits: of each distinct leaf.
        blind: kinds of events that the episode's world cannot witness.
    """
    mask = 0
    for part in walk(predicate):
        if isinstance(part, When):
            mask |= bits[part]
    op, times, distinct = _OPS[type(predicate)], 0, ""
    match predicate:
        case Count():
            times, distinct = predicate.times, predicate.distinct
        case AnyOf(least=least):
            times = least
        case Then(within=int(within)):
            op, times = Op.SOON, within
        case _:
            pass
    return Monitor(
        op=op,
        parts=tuple(make_monitor(part, bits, blind) for part in parts_of(predicate)),
        mask=mask,
        times=times,
        distinct=distinct,
        unknown=isinstance(predicate, Judged) or (isinstance(predicate, When) and predicate.kind in blind),
    )


def start(monitor: Monitor) -> State:
    """Give the state before any event."""
    match monitor.op:
        case Op.LEAF:
            return -1
        case Op.ALL | Op.ANY | Op.SOME:
            return tuple(start(part) for part in monitor.parts)
        case Op.NO:
            return start(monitor.parts[0])
        case Op.THEN | Op.UNTIL | Op.UNDONE:
            return (start(monitor.parts[0]), False, start(monitor.parts[1]))
        case Op.SOON:
            return (start(monitor.parts[0]), -1, -1, ())
        case Op.COUNT:
            return ()


def step(monitor: Monitor, state: State, matched: int, event: Event) -> tuple[State, bool]:  # noqa: PLR0911 - one case per operation
    """Take one event in; give the new state and whether the predicate occurs at this event.

    Args:
        monitor: the predicate.
        state: its state before the event.
        matched: the bits of the leaves that the event matches.
        event: the event.
    """
    if not monitor.mask & matched:
        return state, False
    match monitor.op:
        case Op.LEAF:
            return event.seq, True
        case Op.NO:
            return step(monitor.parts[0], state, matched, event)[0], False
        case Op.ALL | Op.ANY | Op.SOME:
            stepped = [step(part, s, matched, event) for part, s in zip(monitor.parts, state, strict=True)]
            new = tuple(s for s, _ in stepped)
            occurs = any(o for _, o in stepped) and (monitor.op is Op.ANY or holds(monitor, new))
            return new, occurs
        case Op.COUNT:
            return _step_count(monitor, state, event)
        case Op.THEN:
            return _step_then(monitor, state, matched, event)
        case Op.SOON:
            return _step_soon(monitor, state, matched, event)
        case Op.UNTIL:
            return _step_until(monitor, state, matched, event)
        case Op.UNDONE:
            return _step_undone(monitor, state, matched, event)


def _step_count(monitor: Monitor, state: State, event: Event) -> tuple[State, bool]:
    if not monitor.distinct:
        seen = (*state, event.seq) if len(state) < monitor.times else (*state[:-1], event.seq)
        return seen, len(seen) == monitor.times
    value = _read_value(event.fact, monitor.distinct)
    if value is None:
        return state, False
    if len(state) == monitor.times:
        return (*state[:-1], (state[-1][0], event.seq)), True
    if any(value == known for known, _ in state):
        return state, False
    seen = (*state, (value, event.seq))
    return seen, len(seen) == monitor.times


def _read_value(fact: Fact, path: str) -> str | None:
    """Give a field's value in a form in which equal values are equal texts; None for what is no single value."""
    name, _, entry = path.partition(".")
    value = getattr(fact, name)
    if entry:
        value = value.get(entry) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return f"s{fold_text(value)}"
    return f"{type(value).__name__}{value}" if isinstance(value, int) else None


def _step_then(monitor: Monitor, state: State, matched: int, event: Event) -> tuple[State, bool]:
    first, occurred, second = state
    if not occurred:
        first, occurred = step(monitor.parts[0], first, matched, event)
        return (first, occurred, second), False
    second, occurs = step(monitor.parts[1], second, matched, event)
    return (first, True, second), occurs


def _step_soon(monitor: Monitor, state: State, matched: int, event: Event) -> tuple[State, bool]:
    first, since, second, basis = state
    occurs = since >= 0 and event.step - since <= monitor.times and bool(monitor.parts[1].mask & matched)
    if occurs:
        second, basis = event.seq, evidence(monitor.parts[0], first)
    first, again = step(monitor.parts[0], first, matched, event)
    return (first, event.step if again else since, second, basis), occurs


def _step_until(monitor: Monitor, state: State, matched: int, event: Event) -> tuple[State, bool]:
    part, ended, end = state
    if ended:
        return state, False
    end, ended = step(monitor.parts[1], end, matched, event)
    if ended:
        return (part, True, end), False
    part, occurs = step(monitor.parts[0], part, matched, event)
    return (part, False, end), occurs


def _step_undone(monitor: Monitor, state: State, matched: int, event: Event) -> tuple[State, bool]:
    part, stands, by = state
    part, occurs = step(monitor.parts[0], part, matched, event)
    by, undone = step(monitor.parts[1], by, matched, event)
    return (part, occurs or (stands and not undone), by), occurs


def holds(monitor: Monitor, state: State) -> bool:
    """Say whether the predicate holds in a state, as far as rules can tell; what none can tell does not."""
    return decide(monitor, state) is True


def decide(monitor: Monitor, state: State) -> bool | None:  # noqa: PLR0911 - one case per operation
    """Say whether the predicate holds in a state, or None where no rule can tell (Kleene's strong logic).

    `unknown & False` is False, `unknown | True` is True, `~unknown` is unknown.
    """
    match monitor.op:
        case Op.LEAF:
            return True if state >= 0 else None if monitor.unknown else False
        case Op.ALL | Op.ANY | Op.SOME:
            return _decide_parts(monitor, state)
        case Op.NO:
            inner = decide(monitor.parts[0], state)
            return None if inner is None else not inner
        case Op.COUNT:
            return len(state) == monitor.times or (None if is_blind(monitor) else False)
        case Op.SOON:
            return state[2] >= 0 or (None if is_blind(monitor) else False)
        case Op.THEN:
            begun = True if state[1] else _keep_unknown(decide(monitor.parts[0], state[0]))
            return decide(monitor.parts[1], state[2]) if begun else begun
        case Op.UNTIL:
            return decide(monitor.parts[0], state[0])
        case Op.UNDONE:
            return bool(state[1]) or _keep_unknown(decide(monitor.parts[0], state[0]))


def _decide_parts(monitor: Monitor, state: State) -> bool | None:
    known = [decide(part, inner) for part, inner in zip(monitor.parts, state, strict=True)]
    least = {Op.ALL: len(known), Op.ANY: 1}.get(monitor.op, monitor.times)
    if sum(1 for one in known if one) >= least:
        return True
    return False if sum(1 for one in known if one is not False) < least else None


def _keep_unknown(decided: bool | None) -> bool | None:
    """Say of a part that has not occurred (though it may hold) that it has not, or that nobody knows."""
    return None if decided is None else False


def is_blind(monitor: Monitor) -> bool:
    """Say whether a part of what happened could not be seen."""
    return monitor.unknown or any(map(is_blind, monitor.parts))


def evidence(monitor: Monitor, state: State) -> tuple[int, ...]:
    """List the sequence numbers of the events that make the predicate hold, ascending.

    Of several events that match a leaf, the newest counts; in the first part of a `then`, those up to where
    it first occurred.
    """
    return tuple(sorted(_collect(monitor, state)))


def _collect(monitor: Monitor, state: State) -> set[int]:  # noqa: PLR0911 - one case per operation
    match monitor.op:
        case Op.LEAF:
            return {state} if state >= 0 else set()
        case Op.NO:
            return set()
        case Op.COUNT:
            return {seq for _, seq in state} if monitor.distinct else set(state)
        case Op.THEN:
            return _collect(monitor.parts[0], state[0]) | _collect(monitor.parts[1], state[2])
        case Op.SOON:
            return {*state[3], state[2]} if state[2] >= 0 else _collect(monitor.parts[0], state[0])
        case Op.UNTIL:
            return _collect(monitor.parts[0], state[0])
        case Op.UNDONE:
            return _collect(monitor.parts[0], state[0]) if state[1] else set()
        case Op.ALL | Op.ANY | Op.SOME:
            return set().union(*map(_collect, monitor.parts, state))
