"""What a judge is asked: criteria that can be decided one by one, from a TOML file.

reason = "semantic"            # why a judge is needed at all: one of five
rule_coverage = "1/2"          # part of the acceptance criteria that rules decide

[[criterion]]
id = "total"
text = "The answer names the total that the report shows."
evidence = ["answer_given", "text_extracted"]   # kinds of facts that can support it
trust = "agent"                # least trust of a fact that supports it; default page
weight = "1"                   # default 1
decisive = true                # not met means worth nothing; default true
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from milepost.milestones.spec_error import SpecError
from milepost.milestones.trust import TRUST_OF_KIND
from milepost.sandbox.events import Trust

TRUTH = "truth"
"""Kind of the facts that the task itself gives the judge: the right answer, the true figures."""

EVIDENCE_KINDS: frozenset[str] = frozenset(TRUST_OF_KIND) - {"page_scored"} | {TRUTH}
"""Kinds that a criterion may rest on. What a page says that an episode was worth is not among them."""

MAX_CRITERIA = 8
"""Most criteria in one question, for attention is short."""

_OVERLAP = 0.75
"""Share of common words from which two criteria count as the same question."""


class JudgeReason(StrEnum):
    """Why rules cannot decide: the five kinds of cases that a judge is for."""

    SEMANTIC = "semantic"
    """Subjective or semantic correctness: does a summary match the intent."""
    CROSS_CONTEXT = "cross_context"
    """What was carried from one place to another is right there too."""
    AMBIGUITY = "ambiguity"
    """The goal has to be inferred: the latest invoice."""
    RECOVERY = "recovery"
    """Coming back from an unintended dialog or a wrong click."""
    ALIGNMENT = "alignment"
    """Tone, structure, layout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One question that evidence of named kinds can decide."""

    id: str
    text: str
    evidence: frozenset[str]
    """Kinds of facts of which one must be cited for `met`."""
    trust: Trust = Trust.PAGE
    """Least trust of a cited fact."""
    weight: Fraction = Fraction(1)
    decisive: bool = True
    """Not met means that the whole is worth 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric:
    """All that a judge is asked about an episode."""

    reason: JudgeReason
    criteria: tuple[Criterion, ...]
    rule_coverage: Fraction = Fraction(0)
    """Part of the acceptance criteria that rules decide, in [0, 1): what is left is the judge's."""

    def __post_init__(self) -> None:
        """Refuse what cannot be judged.

        Raises:
            SpecError: no criteria or too many, doubled ids, overlap, unknown evidence, no weight.
        """
        if not 1 <= len(self.criteria) <= MAX_CRITERIA:
            raise SpecError(f"a rubric has 1 to {MAX_CRITERIA} criteria, got {len(self.criteria)}")
        if not 0 <= self.rule_coverage < 1:
            raise SpecError(
                f"rule_coverage is in [0, 1), got {self.rule_coverage}; where rules decide all, leave the rubric out"
            )
        ids = [criterion.id for criterion in self.criteria]
        doubled = sorted({name for name in ids if ids.count(name) > 1})
        if doubled:
            raise SpecError(f"criterion {doubled[0]!r} is there twice; ids name one criterion each")
        for criterion in self.criteria:
            _check_criterion(criterion)
        _check_overlap(self.criteria)

    def to_record(self) -> dict[str, Any]:
        """Give the canonical JSON form: what a cached verdict is keyed by."""
        return {
            "reason": self.reason.value,
            "rule_coverage": str(self.rule_coverage),
            "criteria": [
                {
                    "id": c.id,
                    "text": c.text,
                    "evidence": sorted(c.evidence),
                    "trust": c.trust.name.lower(),
                    "weight": str(c.weight),
                    "decisive": c.decisive,
                }
                for c in self.criteria
            ],
        }


def read_record(record: Mapping[str, Any]) -> Rubric:
    """Read back what `Rubric.to_record` gives.

    Raises:
        SpecError: criteria that cannot be judged.
        KeyError, ValueError: not such a record.
    """
    return Rubric(
        reason=JudgeReason(record["reason"]),
        rule_coverage=Fraction(record["rule_coverage"]),
        criteria=tuple(
            Criterion(
                id=c["id"],
                text=c["text"],
                evidence=frozenset(c["evidence"]),
                trust=Trust[c["trust"].upper()],
                weight=Fraction(c["weight"]),
                decisive=c["decisive"],
            )
            for c in record["criteria"]
        ),
    )


def _check_criterion(criterion: Criterion) -> None:
    name = f"criterion {criterion.id!r}"
    unknown = sorted(criterion.evidence - EVIDENCE_KINDS)
    if unknown:
        known = ", ".join(sorted(EVIDENCE_KINDS))
        raise SpecError(f"{name} rests on unknown evidence {unknown[0]!r}; known kinds: {known}")
    if not criterion.evidence:
        raise SpecError(f"{name} names no evidence; list the kinds of facts that can decide it")
    if criterion.weight <= 0:
        raise SpecError(f"{name} weighs {criterion.weight}; a weight is above 0")
    if len(criterion.text.split()) < 3:
        raise SpecError(f"{name} asks {criterion.text!r}; write a whole sentence that can be true or false")


def _check_overlap(criteria: Sequence[Criterion]) -> None:
    words = [frozenset(re.findall(r"\w+", c.text.lower())) for c in criteria]
    for i, one in enumerate(words):
        for j in range(i):
            shared = len(one & words[j]) / len(one | words[j])
            if shared >= _OVERLAP:
                raise SpecError(
                    f"criteria {criteria[j].id!r} and {criteria[i].id!r} overlap ({shared:.0%} of their words); "
                    "one fact would be paid twice, so make one of them or ask different things"
                )


class _CriterionForm(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    text: str
    evidence: list[str]
    trust: Literal["agent", "page", "browser", "harness"] = "page"
    weight: str = "1"
    decisive: bool = True


class _RubricForm(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    reason: Literal["semantic", "cross_context", "ambiguity", "recovery", "alignment"]
    rule_coverage: str = "0"
    criterion: Annotated[list[_CriterionForm], Field(min_length=1)]


def parse_rubric(text: str, *, origin: str = "the rubric") -> Rubric:
    """Read a rubric from TOML.

    Raises:
        SpecError: not TOML, a key or value that is not known, or criteria that cannot be judged.
    """
    try:
        form = _RubricForm.model_validate(tomllib.loads(text))
        criteria = tuple(
            Criterion(
                id=c.id,
                text=c.text,
                evidence=frozenset(c.evidence),
                trust=Trust[c.trust.upper()],
                weight=Fraction(c.weight),
                decisive=c.decisive,
            )
            for c in form.criterion
        )
        coverage = Fraction(form.rule_coverage)
    except tomllib.TOMLDecodeError as broken:
        raise SpecError(f"{origin} is not TOML: {broken}") from None
    except ValidationError as wrong:
        error = wrong.errors()[0]
        place = ".".join(str(part) for part in error["loc"])
        raise SpecError(f"{origin}: {place}: {error['msg']}, got {error['input']!r}") from None
    except ValueError as wrong:
        raise SpecError(f'{origin}: {wrong}; write weights and coverage as "1/2" or "0.5"') from None
    return Rubric(reason=JudgeReason(form.reason), criteria=criteria, rule_coverage=coverage)


def read_rubric(path: Path) -> Rubric:
    """Read a rubric's file.

    Raises:
        SpecError: it cannot be read or judged.
    """
    try:
        return parse_rubric(path.read_text(encoding="utf-8"), origin=str(path))
    except (OSError, UnicodeDecodeError) as broken:
        raise SpecError(f"cannot read the rubric {path}: {broken}") from None
