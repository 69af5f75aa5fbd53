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
6. With `within_steps` it must fire that soon after the last of `after`; later it is too late for good.
7. With `by_agent` an event counts only in a step in which the agent did something that can change the world.
8. A `graded` milestone pays its share each time more parts of its `&` hold than ever before.
9. A milestone that `holds` fires when the episode ends, if its predicate holds then.
10. The goal is reached while its predicate holds and every milestone that it names has fired and still holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from milepost.milestones.milestone import Component, Effect
from milepost.milestones.monitor import State, evidence, holds, start, step
from milepost.milestones.plan import Plan, Rule
from milepost.milestones.spec import Spec
from milepost.milestones.trust import CHANGES, is_deed, is_trustworthy
from milepost.sandbox.events import ActionTaken, EpisodeEnded, Event


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
    share: Fraction = Fraction(1)
    """How much of a graded milestone this is; 1 for all others."""


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
    late: tuple[tuple[str, int], ...] = ()
    """Milestones whose predicate occurred after their time, with the first such event."""
    shares: tuple[tuple[str, Fraction], ...] = ()
    """How much has been reached of each graded milestone that has begun and not been reached as a whole."""
    acted: int = -1
    """The newest step in which the agent itself did something; kept only where a rule asks."""
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


_ALWAYS = (ActionTaken, EpisodeEnded)
"""Facts that are looked at whether or not a rule names them."""


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
    if not (leaves or changes or isinstance(event.fact, _ALWAYS)):
        return progress, ()
    matched = 0
    if is_trustworthy(event):
        fact = event.fact
        for bit, tests in leaves:
            for name, test in tests:
                if not test.accepts(getattr(fact, name)):
                    break
            else:
                matched |= bit
    if changes and progress.broken is None and not matched & plan.frame:
        progress = replace(progress, broken=event.seq)
    if plan.asks_who and is_deed(event):
        progress = replace(progress, acted=event.step)
    if isinstance(event.fact, EpisodeEnded):
        return _judge_end(plan, progress, event)
    if not matched:
        return progress, ()
    states = list(progress.states)
    progress = _watch_violations(plan, progress, states, matched, event)
    progress, hits = _fire_milestones(plan, progress, states, matched, event)
    states[-1], _ = step(plan.goal, states[-1], matched, event)
    met = _is_goal_met(plan, progress.reached, states)
    return replace(progress, states=tuple(states), goal_met=met), hits


def _is_goal_met(plan: Plan, reached: frozenset[str], states: Sequence[State]) -> bool:
    return holds(plan.goal, states[-1]) and all(
        plan.rules[index].declared.name in reached and holds(plan.rules[index].monitor, states[index])
        for index in plan.kept
    )


def _judge_end(plan: Plan, progress: Progress, event: Event) -> tuple[Progress, tuple[Hit, ...]]:
    """Fire the milestones that wait for the end of the episode and hold there."""
    if not (plan.last and is_trustworthy(event)):
        return progress, ()
    hits: list[Hit] = []
    paid = progress.paid
    for index in plan.last:
        rule, state = plan.rules[index], progress.states[index]
        if rule.declared.name in progress.reached or not rule.after <= progress.reached:
            continue
        if holds(rule.monitor, state):
            amount = _limit(progress, paid, rule.declared.reward)
            paid += amount
            rests_on = (*evidence(rule.monitor, state), event.seq)
            hits.append(_hit(rule, amount, event, rests_on))
    if not hits:
        return progress, ()
    reached = progress.reached | {hit.name for hit in hits}
    met = _is_goal_met(plan, reached, progress.states)
    return (
        replace(progress, hits=(*progress.hits, *hits), reached=reached, paid=paid, goal_met=met),
        tuple(hits),
    )


def _limit(progress: Progress, paid: Fraction, reward: Fraction) -> Fraction:
    """Give what may be paid of a reward after the violations so far."""
    if progress.vetoed:
        return Fraction(0)
    if progress.limit is None:
        return reward
    return max(Fraction(0), min(reward, progress.limit - paid))


def _hit(
    rule: Rule, reward: Fraction, event: Event, rests_on: tuple[int, ...], share: Fraction = Fraction(1)
) -> Hit:
    return Hit(
        name=rule.declared.name,
        reward=reward,
        component=rule.declared.component,
        seq=event.seq,
        step=event.step,
        evidence=rests_on,
        share=share,
    )


def _watch_violations(
    plan: Plan, progress: Progress, states: list[State], matched: int, event: Event
) -> Progress:
    known = {violation.name for violation in progress.violations}
    for index, (declared, monitor) in enumerate(plan.violations, start=len(plan.rules)):
        if not monitor.mask & matched or declared.name in known:
            continue
        states[index], occurs = step(monitor, states[index], matched, event)
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
    paid, shares = progress.paid, dict(progress.shares)
    missed = _Missed(early=progress.early, late=progress.late)
    hits: list[Hit] = []
    for index, rule in enumerate(plan.rules):
        declared, monitor = rule.declared, rule.monitor
        done = declared.name in progress.reached
        if not monitor.mask & matched or (done and not rule.watched):
            continue
        if declared.by_agent and event.step != progress.acted:
            continue
        states[index], occurs = step(monitor, states[index], matched, event)
        share = _read_share(rule, states[index], shares) if rule.parts else Fraction(int(occurs))
        if done or declared.holds or not share:
            continue
        reason = _find_obstacle(rule, progress, event)
        if reason:
            missed = missed.note(reason, declared.name, event.seq)
            continue
        amount = _limit(progress, paid, declared.reward * share)
        paid += amount
        shares[declared.name] = shares.get(declared.name, Fraction(0)) + share
        hits.append(_hit(rule, amount, event, _find_basis(rule, states[index], event), share))
    if missed.early is not progress.early or missed.late is not progress.late:
        progress = replace(progress, early=missed.early, late=missed.late)
    if not hits:
        return progress, ()
    return replace(
        progress,
        hits=(*progress.hits, *hits),
        reached=progress.reached | {hit.name for hit in hits if shares[hit.name] == 1},
        paid=paid,
        shares=tuple((name, share) for name, share in shares.items() if share < 1),
    ), tuple(hits)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Missed:
    """Occurrences that paid nothing: the first of each milestone."""

    early: tuple[tuple[str, int], ...]
    late: tuple[tuple[str, int], ...]

    def note(self, which: str, name: str, seq: int) -> "_Missed":
        known: tuple[tuple[str, int], ...] = getattr(self, which)
        if any(name == noted for noted, _ in known):
            return self
        added = (*known, (name, seq))
        return replace(self, early=added) if which == "early" else replace(self, late=added)


def _read_share(rule: Rule, state: State, shares: Mapping[str, Fraction]) -> Fraction:
    """Give by how much a graded milestone exceeds what was reached before; 0 if it does not."""
    held = sum(1 for part, inner in zip(rule.monitor.parts, state, strict=True) if holds(part, inner))
    return max(Fraction(0), Fraction(held, rule.parts) - shares.get(rule.declared.name, Fraction(0)))


def _find_obstacle(rule: Rule, progress: Progress, event: Event) -> str:
    """Say whether an occurrence is too `early` or too `late` to pay; empty when it is neither."""
    if not rule.after <= progress.reached:
        return "early"
    limit = rule.declared.within_steps
    if limit is None:
        return ""
    begun = max((hit.step for hit in progress.hits if hit.name in rule.after), default=0)
    return "late" if event.step > begun + limit else ""


def _find_basis(rule: Rule, state: State, event: Event) -> tuple[int, ...]:
    found = evidence(rule.monitor, state)
    return found if event.seq in found else tuple(sorted((*found, event.seq)))


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
