"""The fold: one event at a time, from progress to progress, with the milestones that fire on the way.

Rules of the fold, in the order in which an event meets them:

1. An event with less trust than its kind requires matches nothing.
2. A change that no predicate of the goal's frame matches breaks the frame for good.
3. A violation takes effect at the event at which it occurs, before that event can pay anything. After a veto
   milestones still fire, but pay 0; under a cap they pay what is left of it.
4. A milestone fires at the first event at which its predicate occurs while every milestone in `after` had
   fired before this event. Fired once, it never fires again.
5. A predicate that occurs too early pays nothing, and is remembered for the explanation. What it has seen
   stays seen: once `after` is satisfied, the next event at which it occurs fires it. `a & b` occurs at a new
   `a` or a new `b`; `a.then(b)` only at a new `b`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from milepost.milestones.milestone import Component, Effect
from milepost.milestones.monitor import Plan, State, evidence, holds, start, step
from milepost.milestones.spec import Spec
from milepost.milestones.trust import CHANGES, is_trustworthy
from milepost.sandbox.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A milestone fired."""

    name: str
    reward: Fraction
    """What it paid: as authored, or less after a violation."""
    component: Component
    seq: int
    """Sequence number of the event at which it fired."""
    step: int
    evidence: tuple[int, ...]
    """Sequence numbers of the events it rests on, `seq` among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A forbidden rule came true."""

    name: str
    effect: Effect
    seq: int
    step: int
    evidence: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """All that the past of an episode means for its rules. Small, immutable, comparable."""

    states: tuple[State, ...]
    """States of the monitors: milestones, then forbidden rules, then the goal."""
    hits: tuple[Hit, ...] = ()
    """Milestones that fired, in order."""
    reached: frozenset[str] = frozenset()
    """Their names."""
    violations: tuple[Violation, ...] = ()
    early: tuple[tuple[str, int], ...] = ()
    """Milestones whose predicate occurred before their `after` had fired, with the first such event."""
    paid: Fraction = Fraction(0)
    limit: Fraction | None = None
    """The lowest cap in force: the most that the episode may pay."""
    vetoed: bool = False
    goal_met: bool = False
    """Whether the goal's predicate holds."""
    broken: int | None = None
    """Sequence number of the first change outside the frame."""

    @property
    def goal_reached(self) -> bool:
        """Whether the goal holds, nothing else has changed, and nothing was vetoed."""
        return self.goal_met and self.broken is None and not self.vetoed


def start_progress(spec: Spec) -> Progress:
    """Give the progress before any event."""
    plan = spec.plan
    monitors = (*(r.monitor for r in plan.rules), *(m for _, m in plan.violations), plan.goal)
    return Progress(states=tuple(map(start, monitors)), goal_met=holds(plan.goal, start(plan.goal)))


def advance(spec: Spec, progress: Progress, event: Event) -> tuple[Progress, tuple[Hit, ...]]:
    """Take one event in.

    Args:
        spec: the rules.
        progress: from `start_progress` or the event before.
        event: the next event of the log.

    Returns:
        The new progress (the same object when the event means nothing) and the milestones that fired.
    """
    plan = spec.plan
    leaves = plan.leaves.get(type(event.fact), ())
    changes = isinstance(event.fact, CHANGES)
    if not (leaves or changes):
        return progress, ()
    matched = 0
    if is_trustworthy(event):
        fact = event.fact
        for bit, tests in leaves:
            if all(test.accepts(getattr(fact, name)) for name, test in tests):
                matched |= bit
    if changes and progress.broken is None and not matched & plan.frame:
        progress = replace(progress, broken=event.seq)
    if not matched:
        return progress, ()
    states = list(progress.states)
    progress = _watch_violations(plan, progress, states, matched, event)
    progress, hits = _fire_milestones(plan, progress, states, matched, event)
    states[-1], _ = step(plan.goal, states[-1], matched, event.seq)
    return replace(progress, states=tuple(states), goal_met=holds(plan.goal, states[-1])), hits


def _watch_violations(
    plan: Plan, progress: Progress, states: list[State], matched: int, event: Event
) -> Progress:
    known = {violation.name for violation in progress.violations}
    for index, (declared, monitor) in enumerate(plan.violations, start=len(plan.rules)):
        if not monitor.mask & matched or declared.name in known:
            continue
        states[index], occurs = step(monitor, states[index], matched, event.seq)
        if occurs:
            violation = Violation(
                name=declared.name,
                effect=declared.effect,
                seq=event.seq,
                step=event.step,
                evidence=evidence(monitor, states[index]),
            )
            vetoed = declared.effect is Effect.VETO
            progress = replace(
                progress,
                violations=(*progress.violations, violation),
                vetoed=progress.vetoed or vetoed,
                limit=progress.limit if vetoed else _lower(progress.limit, declared.cap),
            )
    return progress


def _lower(limit: Fraction | None, cap: Fraction) -> Fraction:
    return cap if limit is None else min(limit, cap)


def _fire_milestones(
    plan: Plan, progress: Progress, states: list[State], matched: int, event: Event
) -> tuple[Progress, tuple[Hit, ...]]:
    reached, paid, early = progress.reached, progress.paid, progress.early
    hits: list[Hit] = []
    for index, rule in enumerate(plan.rules):
        declared, monitor = rule.declared, rule.monitor
        if not monitor.mask & matched or declared.name in reached:
            continue
        states[index], occurs = step(monitor, states[index], matched, event.seq)
        if not occurs:
            continue
        if not rule.after <= reached:
            if all(name != declared.name for name, _ in early):
                early = (*early, (declared.name, event.seq))
            continue
        reward = Fraction(0) if progress.vetoed else declared.reward
        if progress.limit is not None:
            reward = max(Fraction(0), min(reward, progress.limit - paid))
        paid += reward
        hits.append(
            Hit(
                name=declared.name,
                reward=reward,
                component=declared.component,
                seq=event.seq,
                step=event.step,
                evidence=evidence(monitor, states[index]),
            )
        )
    if not hits:
        return replace(progress, early=early) if early is not progress.early else progress, ()
    new = progress.reached | {hit.name for hit in hits}
    return replace(progress, hits=(*progress.hits, *hits), reached=new, paid=paid, early=early), tuple(hits)


def fold(
    spec: Spec, events: Iterable[Event], progress: Progress | None = None
) -> tuple[Progress, tuple[Hit, ...]]:
    """Take events in one after the other, from the start or from a given progress."""
    state = start_progress(spec) if progress is None else progress
    hits: list[Hit] = []
    for event in events:
        state, fired = advance(spec, state, event)
        hits.extend(fired)
    return state, tuple(hits)
