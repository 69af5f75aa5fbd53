"""The fold: events in, milestones out. Everything that decides a reward is in this file.

`advance` takes one event; folding it over a log in one go, in pieces, or live while an episode runs gives the
same progress, because progress holds all there is to know. No clock, no randomness, no I/O.

The exact rules:

1. An event counts only if its trust is at least that of its kind (`TRUST_OF_KIND`).
2. A milestone sees events only after all milestones in its `after` have fired, at strictly earlier events.
   What happened before does not count for it; it has to happen (again) then.
3. A milestone fires at the event at which its predicate comes to hold, pays once, and stays fired.
4. A veto that holds ends all payment from that event on (that event included) and the goal is missed for
   good. A cap limits the sum of all rewards from then on.
5. The goal is reached while its predicate holds, nothing outside its frame has changed, and no veto holds.
   A change outside the frame misses it for good, also when it comes after the goal was reached.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from milepost.milestones.predicates import (
    And,
    Count,
    Not,
    Or,
    Predicate,
    Then,
    When,
    kinds_of,
    matches_event,
)
from milepost.milestones.spec import Milestone, Spec
from milepost.sandbox.events import Event

WORLD_CHANGES = frozenset({"app_changed", "file_created", "file_modified", "file_moved", "file_deleted"})
"""Kinds that the goal's frame is about."""

Memory = tuple[tuple[int, ...], ...]
"""Seqs of the events that matched each `when` of a predicate, in the order of the predicate's text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A milestone fired."""

    name: str
    reward: Fraction
    """What it paid: its reward, less what a cap took."""
    component: str
    seq: int
    """The event at which it fired."""
    step: int
    evidence: tuple[int, ...]
    """Seqs of the events that made its predicate hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The state of a task's rules after some events."""

    memory: tuple[Memory, ...]
    """What each milestone has seen, then each forbidden rule, then the goal."""
    hits: tuple[Hit, ...] = ()
    paid: Fraction = Fraction(0)
    limit: Fraction | None = None
    """The lowest cap in force."""
    veto: str = ""
    """Name of the forbidden rule that ended the reward."""
    broken: int = -1
    """Seq of the first change outside the goal's frame, -1 while there is none."""
    goal_met: bool = False
    """Whether the goal's predicate holds."""

    @property
    def reached(self) -> frozenset[str]:
        """Names of the milestones that have fired."""
        return frozenset(hit.name for hit in self.hits)

    @property
    def goal_reached(self) -> bool:
        """Whether the task is done: predicate, frame, and no veto."""
        return self.goal_met and self.broken < 0 and not self.veto


def start_progress(spec: Spec) -> Progress:
    """Give the progress before any event."""
    rules = [*(m.when for m in spec.milestones), *(f.when for f in spec.forbidden), spec.goal.when]
    return Progress(memory=tuple(((),) * _width(rule) for rule in rules))


def advance(spec: Spec, progress: Progress, event: Event) -> tuple[Progress, tuple[Hit, ...]]:
    """Take one event; gives the new progress and the milestones that fired at it."""
    kind = event.kind
    if kind in WORLD_CHANGES and progress.broken < 0 and not _in_frame(spec, event):
        progress = replace(progress, broken=event.seq)
    if kind not in spec.kinds:
        return progress, ()
    memory = list(progress.memory)
    fired: list[tuple[Milestone, tuple[int, ...]]] = []
    reached = progress.reached
    for index, rule in enumerate(spec.milestones):
        if rule.name in reached or not reached.issuperset(rule.after):
            continue
        memory[index], holds = _see(rule.when, memory[index], event)
        if holds:
            fired.append((rule, tuple(sorted({seq for seqs in memory[index] for seq in seqs}))))
    progress = _forbid(spec, progress, memory, event)
    memory[-1], goal_met = _see(spec.goal.when, memory[-1], event)
    progress = replace(progress, memory=tuple(memory), goal_met=goal_met)
    return _pay(progress, fired, event)


def _forbid(spec: Spec, progress: Progress, memory: list[Memory], event: Event) -> Progress:
    for index, rule in enumerate(spec.forbidden, start=len(spec.milestones)):
        memory[index], holds = _see(rule.when, memory[index], event)
        if holds and rule.effect == "veto" and not progress.veto:
            progress = replace(progress, veto=rule.name)
        elif holds and rule.effect == "cap":
            limit = rule.cap if progress.limit is None else min(progress.limit, rule.cap)
            progress = replace(progress, limit=limit)
    return progress


def _pay(
    progress: Progress, fired: list[tuple[Milestone, tuple[int, ...]]], event: Event
) -> tuple[Progress, tuple[Hit, ...]]:
    hits: list[Hit] = []
    paid = progress.paid
    for rule, evidence in fired:
        reward = Fraction(0) if progress.veto else rule.reward
        if progress.limit is not None:
            reward = max(Fraction(0), min(reward, progress.limit - paid))
        paid += reward
        hits.append(
            Hit(
                name=rule.name,
                reward=reward,
                component=rule.component,
                seq=event.seq,
                step=event.step,
                evidence=evidence,
            )
        )
    if not hits:
        return progress, ()
    return replace(progress, hits=progress.hits + tuple(hits), paid=paid), tuple(hits)


def fold(
    spec: Spec, events: Iterable[Event], progress: Progress | None = None
) -> tuple[Progress, tuple[Hit, ...]]:
    """Fold `advance` over events, from the start or from a given progress."""
    state = start_progress(spec) if progress is None else progress
    hits: list[Hit] = []
    for event in events:
        state, now = advance(spec, state, event)
        hits.extend(now)
    return state, tuple(hits)


def _in_frame(spec: Spec, event: Event) -> bool:
    return any(
        _see(allowed, ((),) * _width(allowed), event)[1]
        for allowed in spec.goal.frame
        if event.kind in kinds_of(allowed)
    )


def _width(predicate: Predicate) -> int:
    """How many `when` a predicate holds."""
    match predicate:
        case When():
            return 1
        case And() | Or():
            return sum(_width(part) for part in predicate.parts)
        case Not() | Count():
            return _width(predicate.part)
        case Then():
            return _width(predicate.first) + _width(predicate.later)


def _see(predicate: Predicate, memory: Memory, event: Event) -> tuple[Memory, bool]:  # noqa: PLR0911 - one case per kind
    """Show an event to a predicate: gives what it remembers then, and whether it holds."""
    match predicate:
        case When():
            if memory[0]:
                return memory, True
            hit = matches_event(predicate, event)
            return ((event.seq,),) if hit else memory, hit
        case Count():
            seqs = memory[0]
            if len(seqs) < predicate.n and matches_event(predicate.part, event):
                seqs = (*seqs, event.seq)
            return (seqs,), len(seqs) >= predicate.n
        case And() | Or():
            return _see_parts(predicate, memory, event)
        case Not():
            inner, holds = _see(predicate.part, memory, event)
            return inner, not holds
        case Then():
            width = _width(predicate.first)
            before = _holds(predicate.first, memory[:width])
            first, _ = _see(predicate.first, memory[:width], event)
            if not before:
                return first + memory[width:], False
            later, holds = _see(predicate.later, memory[width:], event)
            return first + later, holds


def _see_parts(predicate: And | Or, memory: Memory, event: Event) -> tuple[Memory, bool]:
    seen: list[tuple[int, ...]] = []
    verdicts: list[bool] = []
    start = 0
    for part in predicate.parts:
        end = start + _width(part)
        inner, holds = _see(part, memory[start:end], event)
        seen.extend(inner)
        verdicts.append(holds)
        start = end
    return tuple(seen), all(verdicts) if isinstance(predicate, And) else any(verdicts)


def _holds(predicate: Predicate, memory: Memory) -> bool:
    """Whether a predicate holds, from what it remembers."""
    match predicate:
        case When():
            return bool(memory[0])
        case Count():
            return len(memory[0]) >= predicate.n
        case Not():
            return not _holds(predicate.part, memory)
        case Then():
            width = _width(predicate.first)
            return _holds(predicate.first, memory[:width]) and _holds(predicate.later, memory[width:])
        case And() | Or():
            verdicts: list[bool] = []
            start = 0
            for part in predicate.parts:
                end = start + _width(part)
                verdicts.append(_holds(part, memory[start:end]))
                start = end
            return all(verdicts) if isinstance(predicate, And) else any(verdicts)
