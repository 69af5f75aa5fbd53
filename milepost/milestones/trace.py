"""The judgement of a whole episode: every reward with its evidence, in canonical bytes."""

import graphlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

from milepost.milestones.monitor import decide, evidence, is_blind, start
from milepost.milestones.progress import Hit, Progress, Violation, advance, start_progress
from milepost.milestones.reward import GOAL
from milepost.milestones.spec import Spec
from milepost.sandbox.events import GENESIS, Event, Failed, canonical
from milepost.sandbox.failure import Failure

VERSION = 1
"""Version of the JSON form."""


class TraceStatus(StrEnum):
    """Whether an episode has a reward at all."""

    SCORED = "scored"
    UNSCORED = "unscored"
    """The log is broken or the sandbox failed: there is no reward, which is not reward 0."""


class Detection(StrEnum):
    """What the rules say about a milestone or the goal."""

    FIRED = "fired"
    NOT_FIRED = "not_fired"
    """It did not come true: a valid 0, not a lack of knowledge."""
    UNINSTRUMENTED = "uninstrumented"
    """No rule can decide: it rests on a question, or on what its world cannot witness. Judges may."""
    ERROR = "error"
    """The log cannot be trusted, or the episode broke before it came true, so nothing can be said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalStatus:
    """What became of the goal."""

    detection: Detection
    evidence: tuple[int, ...] = ()
    """Sequence numbers of the events it rests on, also when only a part of it has happened."""
    broken: int | None = None
    """Sequence number of the first change outside the frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardTrace:
    """The judgement of an episode."""

    spec_digest: str
    log_head: str
    """Hash of the log's last event: it identifies the whole log."""
    events: int
    """How many events the log has."""
    status: TraceStatus
    reason: str
    """Why the episode is unscored; empty when it is scored."""
    milestones: Mapping[str, Detection]
    hits: tuple[Hit, ...]
    violations: tuple[Violation, ...]
    goal: GoalStatus
    total: Fraction | None
    """Sum of the hits' rewards; None when unscored."""

    @property
    def success(self) -> bool:
        """Whether the goal was reached in a scored episode."""
        return self.status is TraceStatus.SCORED and self.goal.detection is Detection.FIRED

    def to_record(self) -> dict[str, Any]:
        """Give the trace's JSON object; rewards are exact, such as `1/4`."""
        return {
            "version": VERSION,
            "spec": self.spec_digest,
            "log_head": self.log_head,
            "events": self.events,
            "status": self.status.value,
            "reason": self.reason,
            "milestones": {name: detection.value for name, detection in self.milestones.items()},
            "hits": [
                {
                    "name": hit.name,
                    "reward": str(hit.reward),
                    "component": hit.component.value,
                    "seq": hit.seq,
                    "step": hit.step,
                    "evidence": list(hit.evidence),
                    **({} if hit.share == 1 else {"share": str(hit.share)}),
                }
                for hit in self.hits
            ],
            "violations": [
                {
                    "name": violation.name,
                    "effect": violation.effect.value,
                    "seq": violation.seq,
                    "step": violation.step,
                    "evidence": list(violation.evidence),
                }
                for violation in self.violations
            ],
            "goal": {
                "detection": self.goal.detection.value,
                "evidence": list(self.goal.evidence),
                "broken": self.goal.broken,
            },
            "total": None if self.total is None else str(self.total),
        }

    def to_bytes(self) -> bytes:
        """Give the trace's canonical JSON: the same spec and log give the same bytes."""
        return canonical(self.to_record())


def score(spec: Spec, events: Sequence[Event]) -> RewardTrace:
    """Judge an episode. Total, pure and exact: live and replayed traces are the same bytes.

    A log out of order gives an unscored trace with every detection `error`. A log in which the sandbox failed
    keeps its hits as evidence and is unscored too; what had not fired is `error`. Hashes are recomputed where a
    log is read from disk.
    """
    reason = _find_break(events)
    if reason:
        return unscored(spec, events, reason)
    progress = start_progress(spec)
    for event in events:
        progress, _ = advance(spec, progress, event)
    failure = _find_failure(events)
    return _make_trace(spec, events, progress, failure)


def unscored(spec: Spec, events: Sequence[Event], reason: str) -> RewardTrace:
    """Give the trace of a log that cannot be judged."""
    return RewardTrace(
        spec_digest=spec.digest,
        log_head=events[-1].hash if events else GENESIS,
        events=len(events),
        status=TraceStatus.UNSCORED,
        reason=reason,
        milestones={declared.name: Detection.ERROR for declared in spec.milestones},
        hits=(),
        violations=(),
        goal=GoalStatus(detection=Detection.ERROR),
        total=None,
    )


def _make_trace(spec: Spec, events: Sequence[Event], progress: Progress, failure: str) -> RewardTrace:
    goal = GoalStatus(
        detection=_detect_goal(spec, progress, failure),
        evidence=evidence(spec.plan.goal, progress.states[-1]),
        broken=progress.broken,
    )
    return RewardTrace(
        spec_digest=spec.digest,
        log_head=events[-1].hash if events else GENESIS,
        events=len(events),
        status=TraceStatus.UNSCORED if failure else TraceStatus.SCORED,
        reason=failure,
        milestones=_detect_milestones(spec, progress, failure),
        hits=progress.hits,
        violations=progress.violations,
        goal=goal,
        total=None if failure else progress.paid,
    )


def _detect_milestones(spec: Spec, progress: Progress, failure: str) -> dict[str, Detection]:
    found: dict[str, Detection] = {}
    for name in _sort_by_dependency(spec):
        index = next(i for i, rule in enumerate(spec.plan.rules) if rule.declared.name == name)
        rule = spec.plan.rules[index]
        waits = {found[dependency] for dependency in rule.after} - {Detection.FIRED}
        known = decide(rule.monitor, progress.states[index])
        if name in progress.reached:
            found[name] = Detection.FIRED
        elif failure:
            found[name] = Detection.ERROR
        elif known is False or Detection.NOT_FIRED in waits:
            found[name] = Detection.NOT_FIRED
        else:
            unknown = known is None or Detection.UNINSTRUMENTED in waits
            found[name] = Detection.UNINSTRUMENTED if unknown else Detection.NOT_FIRED
    return {declared.name: found[declared.name] for declared in spec.milestones}


def _sort_by_dependency(spec: Spec) -> Iterable[str]:
    return graphlib.TopologicalSorter({m.name: m.after for m in spec.milestones}).static_order()


def _detect_goal(spec: Spec, progress: Progress, failure: str) -> Detection:
    if progress.goal_reached:
        return Detection.FIRED
    if failure:
        return Detection.ERROR
    missed = progress.vetoed or progress.broken is not None
    unknown = decide(spec.plan.goal, progress.states[-1]) is None and not missed
    return Detection.UNINSTRUMENTED if unknown else Detection.NOT_FIRED


def list_open(spec: Spec) -> tuple[str, ...]:
    """Name the milestones that no rule decides in every case, in the spec's order, and then `goal` if it is one.

    Fixed by the rules alone, whatever happens in an episode: so no policy can steer into another tier.
    """
    names = [rule.declared.name for rule in spec.plan.rules if is_blind(rule.monitor)]
    return (*names, *((GOAL,) if is_blind(spec.plan.goal) else ()))


def total_ruled(spec: Spec) -> Fraction:
    """Give what the milestones pay together that rules decide."""
    open_ = list_open(spec)
    return sum((m.reward for m in spec.milestones if m.name not in open_), Fraction(0))


def list_undecided(spec: Spec, progress: Progress) -> tuple[str, ...]:
    """Name the open milestones, and `goal`, of which the rules' part holds and the rest is a question."""
    rules = zip(spec.plan.rules, progress.states, strict=False)
    names = [rule.declared.name for rule, state in rules if decide(rule.monitor, state) is None]
    return (*names, *((GOAL,) if is_left_open(spec, progress) else ()))


def is_left_open(spec: Spec, progress: Progress) -> bool:
    """Say whether all that rules see of the goal has come true, and the rest is a question."""
    goal = spec.plan.goal
    begun = decide(goal, start(goal)) is False and decide(goal, progress.states[-1]) is None
    return begun and not progress.vetoed and progress.broken is None


def _find_break(events: Sequence[Event]) -> str:
    prev = GENESIS
    for position, event in enumerate(events):
        if event.seq != position or event.prev != prev:
            return (
                f"the log is broken: event {event.seq} stands at position {position} or follows another event"
            )
        prev = event.hash
    return ""


def _find_failure(events: Sequence[Event]) -> str:
    for event in events:
        if isinstance(event.fact, Failed) and event.fact.failure != Failure.POLICY:
            return f"{event.fact.failure}: {event.fact.reason}"
    return ""
