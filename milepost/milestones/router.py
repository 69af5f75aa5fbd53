"""Which tier pays: rules first, the learned model where rules cannot see, a judge last.

A *unit* is what is paid as a whole: an episode's outcome, or one criterion of it. `choose_next` says which tier
to ask, `decide` makes of the answers a reward or none. Both are pure: no tier is called here, so a decision can
be recomputed from its record.

What falls through is fixed before anything is asked. A rule that did not fire is a valid 0. Only a unit that
rules cannot see, or not see whole, goes to the learned model, and only when that model is unsure does it go to
the judge. Both modes route alike and differ in how they pay:

- `cascade`: the tier at which the unit came to rest pays alone (one weight is 1).
- `blend`: every tier that produced a score has its weight, made to sum to 1 over those (alpha + beta + gamma = 1).

A unit that no tier could score has no reward, which is not reward 0.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any

from milepost.milestones.spec_error import SpecError
from milepost.milestones.trace import Detection

AUDIT_SHARE = Fraction(1, 50)
"""Part of the units decided without a judge that are shown to one all the same, to see what goes unnoticed."""


class Tier(StrEnum):
    """Who can score a unit, in the order in which they are asked."""

    RULE = "rule"
    LEARNED = "learned"
    JUDGE = "judge"


class RouterMode(StrEnum):
    """How the tiers that scored a unit share in its reward."""

    CASCADE = "cascade"
    BLEND = "blend"


class Standing(StrEnum):
    """What became of asking a tier."""

    SCORED = "scored"
    ABSTAINED = "abstained"
    """It cannot tell: unfamiliar input, `cannot_determine`, judges that disagree."""
    FAILED = "failed"
    """It could not be asked, or what it said is not valid: an outage, a refusal, a cut reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What a tier says about a unit."""

    standing: Standing
    value: Fraction = Fraction(0)
    """Score in [0, 1]; means nothing unless `standing` is `scored`."""
    confidence: Fraction = Fraction(0)
    """In [0, 1], calibrated."""
    evidence: tuple[str, ...] = ()
    """Ids of what it rests on: event numbers, fact ids, the key of a cached verdict."""
    reason: str = ""
    """In words: why it abstained or failed, or what it found."""

    def __post_init__(self) -> None:
        """Refuse a score or a confidence outside [0, 1].

        Raises:
            ValueError: names the value.
        """
        for name in ("value", "confidence"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"an opinion's {name} is in [0, 1], got {getattr(self, name)}")

    def to_record(self) -> dict[str, Any]:
        """Give the JSON form."""
        return {
            "standing": self.standing.value,
            "value": str(self.value),
            "confidence": str(self.confidence),
            "evidence": list(self.evidence),
            "reason": self.reason,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Opinion":
        """Read back what `to_record` gives.

        Raises:
            KeyError, ValueError: not such a record.
        """
        return cls(
            standing=Standing(record["standing"]),
            value=Fraction(record["value"]),
            confidence=Fraction(record["confidence"]),
            evidence=tuple(record["evidence"]),
            reason=record["reason"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What is to be paid, and what the rules say about it."""

    id: str
    """Unique in a run: the episode, a slash, and the milestone or `goal`."""
    detection: Detection
    value: Fraction = Fraction(0)
    """What the rules give, in [0, 1]; for a rule that did not fire, what was reached of it."""
    coverage: Fraction = Fraction(1)
    """Part of the acceptance criteria that rules decide. Fixed by the task, whatever the agent does."""
    ceiling: Fraction = Fraction(1)
    """The most that any tier may pay: below 1 under a cap."""
    vetoed: bool = False
    """A violation took everything."""
    broken: str = ""
    """Why nothing that reads the log may score this unit; empty when the log is sound."""
    evidence: tuple[str, ...] = ()
    """Ids of the events on which the rules rest."""

    @property
    def decided(self) -> bool:
        """Whether the rules decide: a veto, a rule that did not fire, or success of rules that see everything."""
        fired = self.detection is Detection.FIRED and self.coverage == 1
        return self.vetoed or self.detection is Detection.NOT_FIRED or fired


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """How units are routed and paid. The default is rules alone."""

    mode: RouterMode = RouterMode.CASCADE
    tiers: frozenset[Tier] = frozenset({Tier.RULE})
    """Tiers that are switched on. Without `rule`, rules are not looked at, but for a log that is broken."""
    weights: Mapping[Tier, Fraction] = field(
        default_factory=lambda: {
            Tier.RULE: Fraction(6, 10),
            Tier.LEARNED: Fraction(3, 10),
            Tier.JUDGE: Fraction(1, 10),
        }
    )
    """Alpha, beta and gamma of `blend` when all three have scored."""
    thresholds: Mapping[Tier, Fraction] = field(
        default_factory=lambda: {Tier.LEARNED: Fraction(9, 10), Tier.JUDGE: Fraction(1, 2)}
    )
    """Least confidence at which a tier's score counts; from `calibration.find_threshold` on held-out data."""

    def __post_init__(self) -> None:
        """Check the weights and thresholds.

        Raises:
            SpecError: says what is wrong and how it was written.
        """
        shown = ", ".join(f"{tier} {weight}" for tier, weight in self.weights.items())
        if set(self.weights) != set(Tier) or any(not 0 <= w <= 1 for w in self.weights.values()):
            raise SpecError(f"a blend needs a weight in [0, 1] for rule, learned and judge; got {shown}")
        if sum(self.weights.values()) != 1:
            raise SpecError(f"weights of a blend must sum to 1; got {shown}; write them as Fraction('0.6')")
        unweighted = [t for t in self.tiers if not self.weights[t]] if self.mode is RouterMode.BLEND else []
        if unweighted:
            raise SpecError(f"{unweighted[0]} is on but weighs 0 in the blend; switch it off, or weigh it")
        if any(not 0 <= self.thresholds.get(t, 0) <= 1 for t in (Tier.LEARNED, Tier.JUDGE)):
            raise SpecError("thresholds of confidence are in [0, 1]")
        if not self.tiers:
            raise SpecError("no tier is on, so nothing could be paid; switch on rule, learned or judge")

    def is_sure(self, tier: Tier, opinion: Opinion | None) -> bool:
        """Say whether a tier has scored with confidence enough to end the search."""
        if opinion is None or opinion.standing is not Standing.SCORED:
            return False
        return opinion.confidence >= self.thresholds.get(tier, Fraction(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a unit is paid, by whom, and why."""

    unit: Unit
    mode: RouterMode
    value: Fraction | None
    """The reward in [0, 1]; None when no tier could score the unit: it is masked, not 0."""
    weights: Mapping[Tier, Fraction]
    """Weight of each tier that pays; they sum to 1. Empty when unscored."""
    opinions: Mapping[Tier, Opinion]
    """What each tier that was asked has said, those that do not pay included."""
    reason: str
    """In words: why this tier, or why none."""

    @property
    def name(self) -> str:
        """The milestone, or `goal`: the last part of the unit's id."""
        return self.unit.id.partition("/")[2]

    @property
    def scored(self) -> bool:
        """Whether there is a reward at all."""
        return self.value is not None

    @property
    def tier(self) -> Tier | None:
        """The tier that weighs most, the earlier one when equal; None when unscored."""
        return max(self.weights, key=lambda tier: self.weights[tier]) if self.weights else None

    def to_record(self) -> dict[str, Any]:
        """Give the JSON form; rewards and weights are exact, such as `2/3`."""
        unit = self.unit
        return {
            "unit": {
                "id": unit.id,
                "detection": unit.detection.value,
                "value": str(unit.value),
                "coverage": str(unit.coverage),
                "ceiling": str(unit.ceiling),
                "vetoed": unit.vetoed,
                "broken": unit.broken,
                "evidence": list(unit.evidence),
            },
            "mode": self.mode.value,
            "value": None if self.value is None else str(self.value),
            "tier": None if self.tier is None else self.tier.value,
            "weights": {tier.value: str(weight) for tier, weight in self.weights.items()},
            "opinions": {tier.value: opinion.to_record() for tier, opinion in self.opinions.items()},
            "reason": self.reason,
        }


def choose_next(routing: Routing, unit: Unit, opinions: Mapping[Tier, Opinion]) -> Tier | None:
    """Say which tier to ask next; None when nothing more needs to be asked."""
    if unit.broken or (Tier.RULE in routing.tiers and unit.decided):
        return None
    for tier in (Tier.LEARNED, Tier.JUDGE):
        if tier not in routing.tiers:
            continue
        if tier not in opinions:
            return tier
        if routing.is_sure(tier, opinions[tier]):
            return None
    return None


def decide(routing: Routing, unit: Unit, opinions: Mapping[Tier, Opinion]) -> Decision:
    """Make a reward of what the tiers have said, or none.

    Opinions of tiers that are off, or about a unit that the rules decide, are recorded and pay nothing: so no
    judge can raise what the rules decided.
    """
    if unit.broken:
        return _leave_unscored(routing, unit, opinions, unit.broken)
    if Tier.RULE in routing.tiers and unit.decided:
        paid = {Tier.RULE: Fraction(1)}
        why = "vetoed" if unit.vetoed else f"the rules decide: {unit.detection}"
        value = Fraction(0) if unit.vetoed else min(unit.value, unit.ceiling)
        return Decision(
            unit=unit, mode=routing.mode, value=value, weights=paid, opinions=opinions, reason=why
        )
    resting = next(
        (t for t in Tier if t in routing.tiers and routing.is_sure(t, opinions.get(t))),
        None,
    )
    if resting is None:
        return _leave_unscored(routing, unit, opinions, _explain(routing, unit, opinions))
    return _pay(routing, unit, opinions, resting)


def _pay(routing: Routing, unit: Unit, opinions: Mapping[Tier, Opinion], resting: Tier) -> Decision:
    if routing.mode is RouterMode.CASCADE:
        scores = {resting: opinions[resting].value}
    else:
        scores = {
            tier: opinions[tier].value
            for tier in Tier
            if tier in routing.tiers and tier in opinions and opinions[tier].standing is Standing.SCORED
        }
        if Tier.RULE in routing.tiers and unit.detection is Detection.FIRED:
            scores = {Tier.RULE: unit.value, **scores}
    whole = sum((routing.weights[tier] for tier in scores), Fraction(0))
    weights = (
        {resting: Fraction(1)}
        if len(scores) == 1
        else {tier: routing.weights[tier] / whole for tier in scores}
    )
    assert sum(weights.values()) == 1, f"weights of {unit.id} sum to {sum(weights.values())}"
    value = sum((weights[tier] * score for tier, score in scores.items()), Fraction(0))
    ceiling = unit.ceiling if Tier.RULE in routing.tiers else Fraction(1)
    capped = f", capped at {ceiling}" if value > ceiling else ""
    return Decision(
        unit=unit,
        mode=routing.mode,
        value=min(value, ceiling),
        weights=weights,
        opinions=opinions,
        reason=f"{_describe_gap(routing, unit)}; {resting} is sure ({opinions[resting].confidence}){capped}",
    )


def _leave_unscored(routing: Routing, unit: Unit, opinions: Mapping[Tier, Opinion], why: str) -> Decision:
    return Decision(unit=unit, mode=routing.mode, value=None, weights={}, opinions=opinions, reason=why)


def _describe_gap(routing: Routing, unit: Unit) -> str:
    if Tier.RULE not in routing.tiers:
        return "rules are off"
    if unit.detection is Detection.FIRED:
        return f"the rules hold but see only {unit.coverage} of it"
    return f"the rules say {unit.detection}"


def _explain(routing: Routing, unit: Unit, opinions: Mapping[Tier, Opinion]) -> str:
    parts = [_describe_gap(routing, unit)]
    for tier in (Tier.LEARNED, Tier.JUDGE):
        if tier not in routing.tiers:
            parts.append(f"{tier} is off")
        elif tier not in opinions:
            parts.append(f"{tier} was not asked")
        else:
            found = opinions[tier]
            why = found.reason or f"confidence {found.confidence}"
            unsure = found.standing is Standing.SCORED
            parts.append(f"{tier} {'unsure' if unsure else found.standing}: {why}")
    return "; ".join(parts)


def is_audited(unit_id: str, *, share: Fraction = AUDIT_SHARE, salt: str = "") -> bool:
    """Say whether a unit belongs to the audit sample: by its name alone, so that no one can steer it."""
    drawn = int.from_bytes(hashlib.sha256(f"{salt}\0{unit_id}".encode()).digest()[:8])
    return drawn * share.denominator < share.numerator * 2**64


def count_routes(decisions: Iterable[Decision]) -> dict[str, int]:
    """Count units by the tier that weighs most, and those left `unscored`."""
    counts = dict.fromkeys((*(tier.value for tier in Tier), "unscored"), 0)
    for decision in decisions:
        counts["unscored" if decision.tier is None else decision.tier.value] += 1
    return counts


def find_drift(reference: Mapping[str, int], current: Mapping[str, int], *, z: float = 3.0) -> list[str]:
    """Name the routes whose share has moved, by a pooled two-proportion z-test.

    Args:
        reference: counts of an earlier period, as `count_routes` gives them.
        current: counts of this one.
        z: how many standard errors apart two shares must be.

    Returns:
        One sentence for each route that drifted; nothing while either period is empty.
    """
    before, now = sum(reference.values()), sum(current.values())
    alarms = []
    for route in sorted({*reference, *current}) if before and now else ():
        old, new = reference.get(route, 0) / before, current.get(route, 0) / now
        pooled = (reference.get(route, 0) + current.get(route, 0)) / (before + now)
        error = (pooled * (1 - pooled) * (1 / before + 1 / now)) ** 0.5
        if error and abs(new - old) > z * error:
            alarms.append(f"route {route} went from {old:.3f} (n={before}) to {new:.3f} (n={now})")
    return alarms
