"""How the units of an episode are settled once it is over: which they are, who decided them, and what that pays.

Pure, like the fold beside which it stands: a settlement holds everything that was said, so it can be made again from
the log and its own record, without asking a model or a judge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any

import orjson

from milepost.milestones.case import Case, list_units
from milepost.milestones.judge.cache import Kept
from milepost.milestones.judge.confidence import Confidence
from milepost.milestones.judge.consensus import form_opinion
from milepost.milestones.judge.question import Style, ask, is_key, verdict_key
from milepost.milestones.judge.rubric import read_record
from milepost.milestones.judge.verdict import InvalidReplyError, read_reply
from milepost.milestones.milestone import Component
from milepost.milestones.reward import GOAL, Pay, RewardMode
from milepost.milestones.router import Decision, Opinion, RouterMode, Routing, Standing, Tier, decide
from milepost.milestones.spec import Spec
from milepost.milestones.spec_error import SpecError
from milepost.milestones.trace import list_open
from milepost.sandbox.events import Event, canonical

VERSION = 2
"""Version of the JSON form; version 1, in which a judge's confidence was one number, is read too."""

SUCCESS = Fraction(1, 2)
"""From this value on a settled goal counts as reached in figures of success; rewards are paid exactly."""


class SettlementError(ValueError):
    """A stored settlement cannot be made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Every unit of an episode with its decision, and all that was said."""

    case: Case
    routing: Routing
    decisions: tuple[Decision, ...]
    verdicts: tuple[Kept, ...] = ()
    """The judges' replies as they came, in the order of the judges."""
    confidence: Confidence = field(default_factory=Confidence)
    """How often which agreement of the judges is right; part of their opinion."""
    version: int = VERSION
    """Of the form in which it is written."""
    sample: Opinion | None = None
    """The judges' opinion on an episode of the audit sample; it pays nothing."""

    def find(self, name: str) -> Decision:
        """Give the decision on a milestone or on `goal`.

        Raises:
            KeyError: there is no such unit.
        """
        for decision in self.decisions:
            if decision.name == name:
                return decision
        raise KeyError(name)

    @property
    def open(self) -> dict[str, Decision]:
        """The decisions on what rules could not settle, by name; with the rules off, the goal's."""
        rules = Tier.RULE in self.routing.tiers
        names = list_open(self.case.spec) if rules else (GOAL,)
        return {name: self.find(name) for name in names}

    @property
    def unscored(self) -> tuple[str, ...]:
        """Why open units have no reward, one reason each; empty when all have one."""
        return tuple(f"{name}: {d.reason}" for name, d in self.open.items() if not d.scored)

    @property
    def success(self) -> bool:
        """Whether the goal was settled as reached."""
        value = self.find(GOAL).value
        return value is not None and value >= SUCCESS

    def pay(self, pay: Pay) -> dict[str, Fraction | None]:
        """Give what open units pay at the end of the episode, by name, in the terms of a reward mode.

        None is no reward, which is not reward 0. What rules decided was paid when it happened and is not here.
        """
        if Tier.RULE not in self.routing.tiers:
            return {GOAL: self.find(GOAL).value}
        open_ = self.open
        if pay.mode in (RewardMode.OUTCOME, RewardMode.POTENTIAL):
            return {GOAL: open_[GOAL].value} if GOAL in open_ else {}
        if pay.mode is RewardMode.COMPONENTS:
            return self._pay_components(pay.weights)
        spec = self.case.spec
        whole = spec.total if pay.mode is RewardMode.NORMALIZED else Fraction(1)
        return {m.name: _times(m.reward / whole, open_[m.name]) for m in spec.milestones if m.name in open_}

    def _pay_components(self, weights: Mapping[Component, Fraction]) -> dict[str, Fraction | None]:
        spec, open_ = self.case.spec, self.open
        paid: dict[str, Fraction | None] = {}
        for declared in spec.milestones:
            part = declared.component
            if declared.name not in open_ or part is Component.GOAL:
                continue
            whole = sum((m.reward for m in spec.milestones if m.component is part), Fraction(0))
            now = _times(weights[part] * declared.reward / whole, open_[declared.name])
            before = paid.get(part.value, Fraction(0))
            paid[part.value] = None if now is None or before is None else before + now
        if GOAL in open_:
            paid[GOAL] = _times(weights[Component.GOAL], open_[GOAL])
        return paid

    def describe(self, only: str = "") -> list[str]:
        """Say in lines for every unit, or only this one, which tier paid it, how much, and why."""
        lines = []
        for decision in self.decisions:
            if only not in ("", decision.name):
                continue
            shares = ", ".join(f"{tier.value} {weight}" for tier, weight in decision.weights.items())
            value = "no reward (masked)" if decision.value is None else f"{decision.value} by {shares}"
            lines.append(f"{decision.name}: {value}: {decision.reason}")
            for tier, opinion in decision.opinions.items():
                rests = f", on {', '.join(_shorten(e) for e in opinion.evidence)}" if opinion.evidence else ""
                said = f"{opinion.value} with confidence {opinion.confidence}"
                found = said if opinion.standing is Standing.SCORED else opinion.standing.value
                lines.append(f"  {tier.value} said {found}{rests}: {opinion.reason}")
        if self.sample is not None:
            lines.append(f"of the audit sample: judges said {self.sample.standing.value} {self.sample.value}")
        return lines

    def to_record(self) -> dict[str, Any]:
        """Give the JSON form; all numbers are exact."""
        rubric = self.case.rubric
        return {
            "version": self.version,
            "episode": self.case.id,
            "routing": _write_routing(self.routing),
            "rubric": None if rubric is None else rubric.to_record(),
            "truth": list(self.case.truth),
            "confidence": str(self.confidence.constant) if self.version == 1 else self.confidence.to_record(),
            "verdicts": [asdict(kept) for kept in self.verdicts],
            "sample": None if self.sample is None else self.sample.to_record(),
            "decisions": [decision.to_record() for decision in self.decisions],
        }

    def to_bytes(self) -> bytes:
        """Give the canonical JSON."""
        return canonical(self.to_record())


def _shorten(evidence: str) -> str:
    return f"verdict {evidence[:12]}" if is_key(evidence) else evidence


def _times(reward: Fraction, decision: Decision) -> Fraction | None:
    return None if decision.value is None else reward * decision.value


def _write_routing(routing: Routing) -> dict[str, Any]:
    return {
        "mode": routing.mode.value,
        "tiers": [tier.value for tier in Tier if tier in routing.tiers],
        "weights": {tier.value: str(routing.weights[tier]) for tier in Tier},
        "thresholds": {tier.value: str(level) for tier, level in sorted(routing.thresholds.items())},
    }


def _read_routing(record: Mapping[str, Any]) -> Routing:
    return Routing(
        mode=RouterMode(record["mode"]),
        tiers=frozenset(Tier(name) for name in record["tiers"]),
        weights={Tier(name): Fraction(value) for name, value in record["weights"].items()},
        thresholds={Tier(name): Fraction(value) for name, value in record["thresholds"].items()},
    )


def replay_settlement(stored: bytes, spec: Spec, events: Sequence[Event]) -> Settlement:
    """Make a settlement again from its record and the log: units by the rules, judges by their kept replies.

    A model's opinion is taken from the record, and so is that of judges that could not be asked; everything that
    follows from them is made again.

    Raises:
        SettlementError: the record is not of this form, or a kept reply does not answer this episode's question.
    """
    try:
        record = orjson.loads(stored)
        version = record["version"]
        if version not in (1, VERSION):
            raise SettlementError(f"versions 1 and {VERSION} are read, got {version!r}")
        case = Case(
            id=record["episode"],
            spec=spec,
            events=tuple(events),
            rubric=None if record["rubric"] is None else read_record(record["rubric"]),
            truth=tuple(record["truth"]),
        )
        confidence = _read_confidence(record["confidence"])
        verdicts = tuple(Kept(**kept) for kept in record["verdicts"])
        routing = _read_routing(record["routing"])
        said = {
            one["unit"]["id"]: {Tier(tier): Opinion.from_record(o) for tier, o in one["opinions"].items()}
            for one in record["decisions"]
        }
        sample = None if record["sample"] is None else Opinion.from_record(record["sample"])
    except (KeyError, TypeError, ValueError, SpecError) as wrong:
        raise SettlementError(f"not a settlement: {type(wrong).__name__} {wrong}") from None
    if verdicts:
        heard = form_again(case, verdicts, confidence)
        said = {
            unit: {t: _prefer(t, o, heard) for t, o in opinions.items()} for unit, opinions in said.items()
        }
        sample = None if sample is None else _prefer(Tier.JUDGE, sample, heard)
    return Settlement(
        case=case,
        routing=routing,
        decisions=tuple(decide(routing, unit, said.get(unit.id, {})) for unit in list_units(case, routing)),
        verdicts=verdicts,
        confidence=confidence,
        sample=sample,
        version=version,
    )


def _read_confidence(record: Any) -> Confidence:
    return (
        Confidence(constant=Fraction(record)) if isinstance(record, str) else Confidence.from_record(record)
    )


def _prefer(tier: Tier, stored: Opinion, heard: Opinion) -> Opinion:
    """Take what the kept replies say where a judge has answered, and the record everywhere else."""
    return heard if tier is Tier.JUDGE and stored.standing is not Standing.FAILED else stored


def form_again(case: Case, verdicts: Sequence[Kept], confidence: Confidence) -> Opinion:
    """Form the judges' opinion again from their kept replies.

    Raises:
        SettlementError: a reply is not valid, or answers another question.
    """
    if case.rubric is None:
        raise SettlementError(f"episode {case.id} has verdicts but no rubric")
    pack = case.pack()
    read = {}
    for kept in verdicts:
        style = Style(kept.style)
        if verdict_key(pack, case.rubric, model=kept.model, style=style) != kept.key:
            raise SettlementError(f"the reply {kept.key[:16]} answers another question than this episode's")
        try:
            question = ask(pack, case.rubric, nonce=kept.nonce, style=style)
            read[name_judge(kept.model, style)] = read_reply(question, kept.reply)
        except InvalidReplyError as wrong:
            raise SettlementError(f"the reply {kept.key[:16]} is not valid: {wrong}") from None
    return form_opinion(case.rubric, read, confidence=confidence, keys=[kept.key for kept in verdicts])


def name_judge(model: str, style: Style) -> str:
    """Name a judge after what it is: its model and the style of its questions."""
    return f"{model} ({style.value})"
