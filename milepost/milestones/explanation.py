"""Why a milestone fired, or did not: its evidence, what is still missing, and what came too early."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from milepost.milestones.milestone import Effect
from milepost.milestones.monitor import Monitor, Op, State, evidence, holds
from milepost.milestones.predicates import Predicate, parts_of
from milepost.milestones.progress import Progress, fold
from milepost.milestones.reward import GOAL
from milepost.milestones.spec import Spec
from milepost.milestones.wording import describe
from milepost.sandbox.events import Event, to_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a milestone fired or not; for the goal, why it is reached or not."""

    name: str
    fired: bool
    evidence: tuple[Event, ...] = ()
    """The events it rests on; when it did not fire, those that were a part of it."""
    missing: tuple[str, ...] = ()
    """Parts of its predicate that do not hold, in the words of the rule."""
    waiting_for: tuple[str, ...] = ()
    """Milestones of its `after` that had not fired."""
    too_early: Event | None = None
    """The first event at which its predicate occurred before its `after` had fired."""
    too_late: Event | None = None
    """The first event at which its predicate occurred after its `within_steps` had passed."""
    spoiled: Event | None = None
    """For the goal: the event of a veto, or else the first change outside the frame."""

    def describe(self) -> str:
        """Give the explanation as lines of text."""
        lines = [f"{self.name}: {'fired' if self.fired else 'not fired'}"]
        lines += [f"  rests on {_show(event)}" for event in self.evidence]
        lines += [f"  missing: {part}" for part in self.missing]
        lines += [f"  waits for milestone {name}" for name in self.waiting_for]
        if self.too_early is not None:
            lines.append(f"  came too early: {_show(self.too_early)}")
        if self.too_late is not None:
            lines.append(f"  came too late: {_show(self.too_late)}")
        if self.spoiled is not None:
            lines.append(f"  spoiled by {_show(self.spoiled)}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Give the explanation as plain data; events are the records of the log."""
        single = {"too_early": self.too_early, "too_late": self.too_late, "spoiled": self.spoiled}
        return {
            "name": self.name,
            "fired": self.fired,
            "evidence": [to_record(event) for event in self.evidence],
            "missing": list(self.missing),
            "waiting_for": list(self.waiting_for),
            **{key: None if event is None else to_record(event) for key, event in single.items()},
        }


def explain(spec: Spec, events: Sequence[Event]) -> tuple[Explanation, ...]:
    """Explain every milestone, in the spec's order, and then the goal (under the name `goal`)."""
    progress, _ = fold(spec, events)
    by_seq = {event.seq: event for event in events}
    vetoes = [by_seq[v.seq] for v in progress.violations if v.effect is Effect.VETO]
    explained = [_explain_milestone(spec, progress, index, by_seq) for index in range(len(spec.milestones))]
    state = progress.states[-1]
    broken = None if progress.broken is None else by_seq[progress.broken]
    goal = Explanation(
        name=GOAL,
        fired=progress.goal_reached,
        evidence=tuple(by_seq[seq] for seq in evidence(spec.plan.goal, state)),
        missing=(*_find_missing(spec.goal.when, spec.plan.goal, state), *_find_lost(spec, progress)),
        spoiled=vetoes[0] if vetoes else broken,
    )
    return (*explained, goal)


def _explain_milestone(spec: Spec, progress: Progress, index: int, by_seq: dict[int, Event]) -> Explanation:
    declared = spec.milestones[index]
    if declared.name in progress.reached:
        hit = next(hit for hit in reversed(progress.hits) if hit.name == declared.name)
        return Explanation(
            name=declared.name, fired=True, evidence=tuple(by_seq[seq] for seq in hit.evidence)
        )
    monitor, state = spec.plan.rules[index].monitor, progress.states[index]
    early, late = dict(progress.early).get(declared.name), dict(progress.late).get(declared.name)
    return Explanation(
        name=declared.name,
        fired=False,
        evidence=tuple(by_seq[seq] for seq in evidence(monitor, state)),
        missing=tuple(_find_missing(declared.when, monitor, state)),
        waiting_for=tuple(name for name in declared.after if name not in progress.reached),
        too_early=None if early is None else by_seq[early],
        too_late=None if late is None else by_seq[late],
    )


def _find_lost(spec: Spec, progress: Progress) -> Iterator[str]:
    """Name the milestones that the goal asks for and that have not fired or no longer hold."""
    for index in spec.plan.kept:
        rule = spec.plan.rules[index]
        name = rule.declared.name
        if name not in progress.reached:
            yield f"milestone {name}, which has not fired"
        elif not holds(rule.monitor, progress.states[index]):
            yield f"milestone {name}, which was undone"


def _find_missing(predicate: Predicate, monitor: Monitor, state: State) -> Iterator[str]:
    """Name the smallest parts that must still come true (or, under `~`, should not have)."""
    if holds(monitor, state):
        return
    parts = parts_of(predicate)
    if monitor.op is Op.ALL:
        for part, below, inner in zip(parts, monitor.parts, state, strict=True):
            yield from _find_missing(part, below, inner)
    elif monitor.op is Op.THEN and state[1]:
        yield from (
            f"{part}, after {describe(parts[0])}"
            for part in _find_missing(parts[1], monitor.parts[1], state[2])
        )
    elif monitor.op is Op.THEN:
        yield f"{describe(parts[0])}, and after it {describe(parts[1])}"
    elif monitor.op is Op.COUNT:
        yield f"{describe(predicate)}, {len(state)} so far"
    elif monitor.unknown:
        yield f"{describe(predicate)}, which no rule can decide here"
    elif monitor.op is Op.UNTIL and state[1]:
        yield f"{describe(parts[0])}, before event {max(evidence(monitor.parts[1], state[2]))}, which ended its time"
    elif monitor.op is Op.UNDONE and (undone := evidence(monitor.parts[1], state[2])):
        yield f"{describe(parts[0])}, not undone as by event {max(undone)}"
    else:
        yield describe(predicate)


def _show(event: Event) -> str:
    return f"event {event.seq} (step {event.step}): {event.fact}"
