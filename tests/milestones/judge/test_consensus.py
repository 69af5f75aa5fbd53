from fractions import Fraction

import pytest

from milepost.milestones.judge.confidence import Agreement, Confidence
from milepost.milestones.judge.consensus import agree, form_opinion
from milepost.milestones.judge.question import Finding
from milepost.milestones.judge.verdict import Verdict
from milepost.milestones.router import Standing
from tests.milestones.judge.conftest import RUBRIC

# Right in 3 of 3 cases: (3 + 1) / (3 + 2).
MEASURED = Confidence(judges=("a", "b"), counts={Agreement.ALL_MET: (3, 3)})
YES, NO, UNSURE = Finding.MET, Finding.NOT_MET, Finding.CANNOT_DETERMINE


@pytest.mark.parametrize(
    ("findings", "together"),
    [
        ([YES, YES], YES),
        ([YES, NO], UNSURE),
        ([YES, UNSURE], UNSURE),
        ([NO, NO], NO),
        ([NO, UNSURE], UNSURE),
        ([YES, YES, NO], UNSURE),
        ([NO, NO, YES], NO),
        ([NO, YES, UNSURE], UNSURE),
        ([YES, YES, YES], YES),
        ([], UNSURE),
    ],
)
def test_positive_needs_all_and_negative_most(findings: list[Finding], together: Finding) -> None:
    assert agree(findings) is together


def verdict(total: Finding, polite: Finding, **about: object) -> Verdict:
    return Verdict(
        findings={"total": total, "polite": polite},
        cited={"total": ("E3",), "polite": ()},
        reasons={"total": "", "polite": ""},
        **about,  # type: ignore[arg-type]
    )


def form(*verdicts: Verdict) -> tuple[Standing, Fraction, str]:
    named = {f"j{n}": v for n, v in enumerate(verdicts)}
    opinion = form_opinion(RUBRIC, named, confidence=MEASURED, keys=("k1", "k2"))
    return opinion.standing, opinion.value, opinion.reason


def test_the_value_is_the_weight_of_what_is_met() -> None:
    assert form(verdict(YES, YES), verdict(YES, YES)) == (
        Standing.SCORED,
        Fraction(1),
        "total met, polite met",
    )
    assert form(verdict(YES, NO), verdict(YES, NO)) == (
        Standing.SCORED,
        Fraction(1, 4),
        "total met, polite not_met",
    )


def test_a_decisive_criterion_that_is_not_met_makes_it_worth_nothing_whatever_else_is_open() -> None:
    assert form(verdict(NO, YES), verdict(NO, NO)) == (Standing.SCORED, Fraction(0), "not met: total")


def test_doubt_is_no_score() -> None:
    standing, _, reason = form(verdict(YES, YES), verdict(YES, NO))
    assert (standing, reason) == (
        Standing.ABSTAINED,
        "judges could not determine or do not agree on polite",
    )


def test_an_injection_or_a_fault_that_one_judge_sees_leaves_no_score() -> None:
    seen = verdict(YES, YES, suspected_injection=True)
    assert form(verdict(YES, YES), seen)[::2] == (
        Standing.ABSTAINED,
        "judge j1 suspects that the evidence speaks to it",
    )
    fault = verdict(NO, NO, uncontrollable=(1,))
    assert form(fault, verdict(NO, NO))[0] is Standing.ABSTAINED


def test_an_opinion_carries_cited_facts_keys_and_confidence() -> None:
    named = {"a": verdict(YES, YES), "b": verdict(YES, YES)}
    opinion = form_opinion(RUBRIC, named, confidence=MEASURED, keys=("k1",))
    assert (opinion.evidence, opinion.confidence) == (("E3", "k1"), Fraction(4, 5))
    differ = {"a": verdict(NO, YES), "b": verdict(NO, NO)}
    assert form_opinion(RUBRIC, differ, confidence=MEASURED).confidence == Fraction(1, 2)
