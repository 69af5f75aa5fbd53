"""An episode that is over, as the tiers see it, and the units in it that are to be paid."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from milepost.milestones.judge.evidence import EvidencePack, build_pack
from milepost.milestones.judge.rubric import Rubric
from milepost.milestones.milestone import Effect
from milepost.milestones.reward import GOAL
from milepost.milestones.router import Routing, Tier, Unit
from milepost.milestones.spec import Spec
from milepost.milestones.trace import Detection, RewardTrace, list_open, score
from milepost.sandbox.events import EpisodeStarted, Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An episode that is over, as the tiers see it."""

    id: str
    """The episode's, unique in a run."""
    spec: Spec
    events: tuple[Event, ...]
    turns: tuple[Mapping[str, str], ...] = ()
    """For the learned model: `tree`, `action` and `error` of each turn."""
    rubric: Rubric | None = None
    """What a judge may be asked; None when the task has no questions."""
    truth: tuple[str, ...] = ()
    """What the task knows to be right, for the judge."""

    @property
    def goal(self) -> str:
        """The goal text as the agent saw it."""
        first = self.events[0].fact if self.events else None
        return first.goal if isinstance(first, EpisodeStarted) else ""

    def pack(self) -> EvidencePack:
        """Give what a judge is shown.

        Raises:
            ValueError: the task has no rubric.
        """
        if self.rubric is None:
            raise ValueError(f"episode {self.id} has no rubric, so there is nothing to ask a judge")
        return build_pack(self.goal, self.events, self.rubric, truth=self.truth)


def list_units(case: Case, routing: Routing) -> tuple[Unit, ...]:
    """List what is to be paid in an episode: each milestone and the goal, or with the rules off the goal alone."""
    trace = score(case.spec, case.events)
    if Tier.RULE not in routing.tiers:
        seen = Unit(id=f"{case.id}/{GOAL}", detection=Detection.UNINSTRUMENTED, broken=trace.reason)
        return (seen,)
    open_ = list_open(case.spec)
    vetoed = any(violation.effect is Effect.VETO for violation in trace.violations)
    units = [_describe_milestone(case, trace, name, name in open_, vetoed) for name in trace.milestones]
    goal = trace.goal
    units.append(
        Unit(
            id=f"{case.id}/{GOAL}",
            detection=goal.detection,
            value=Fraction(goal.detection is Detection.FIRED),
            coverage=_cover(case, goal.detection, GOAL in open_),
            ceiling=_share_left(case.spec, trace, case.spec.total, spent=Fraction(0)),
            vetoed=vetoed,
            broken=trace.reason,
            evidence=tuple(f"E{seq}" for seq in goal.evidence),
        )
    )
    return tuple(units)


def _describe_milestone(case: Case, trace: RewardTrace, name: str, is_open: bool, vetoed: bool) -> Unit:
    reward = next(declared.reward for declared in case.spec.milestones if declared.name == name)
    hits = [hit for hit in trace.hits if hit.name == name]
    paid = sum((hit.reward for hit in hits), Fraction(0))
    detection = trace.milestones[name]
    return Unit(
        id=f"{case.id}/{name}",
        detection=detection,
        value=paid / reward,
        coverage=_cover(case, detection, is_open),
        ceiling=_share_left(case.spec, trace, reward, spent=trace.total or Fraction(0))
        if is_open
        else Fraction(1),
        # What a rule paid before a veto stays paid.
        vetoed=vetoed and is_open,
        broken=trace.reason,
        evidence=tuple(f"E{seq}" for hit in hits for seq in hit.evidence),
    )


def _cover(case: Case, detection: Detection, is_open: bool) -> Fraction:
    if not is_open or detection is Detection.FIRED:
        return Fraction(1)
    return case.rubric.rule_coverage if case.rubric is not None else Fraction(0)


def _share_left(spec: Spec, trace: RewardTrace, reward: Fraction, *, spent: Fraction) -> Fraction:
    """Give the largest share of a reward that caps leave, in [0, 1]."""
    broken = {violation.name for violation in trace.violations if violation.effect is Effect.CAP}
    caps = [rule.cap for rule in spec.forbidden if rule.name in broken]
    if not caps or not reward:
        return Fraction(1)
    return min(Fraction(1), max(Fraction(0), min(caps) - spent) / reward)
