from fractions import Fraction
from pathlib import Path

import pytest

from milepost.milestones import SpecError
from milepost.milestones.judge.rubric import JudgeReason, parse_rubric, read_record, read_rubric
from milepost.sandbox.events import Trust
from tests.milestones.judge.conftest import RUBRIC

HEAD = 'reason = "semantic"\n'
ONE = '[[criterion]]\nid = "a"\ntext = "The answer names the total of the report."\nevidence = ["answer_given"]\n'


def test_a_rubric_reads_as_written() -> None:
    assert (RUBRIC.reason, RUBRIC.rule_coverage) == (JudgeReason.SEMANTIC, Fraction(1, 2))
    total, polite = RUBRIC.criteria
    assert (total.weight, total.decisive, total.trust) == (Fraction(1), True, Trust.AGENT)
    assert (polite.weight, polite.decisive) == (Fraction(3), False)
    assert polite.evidence == {"answer_given", "element_appeared"}


def test_the_five_reasons_are_an_enumeration() -> None:
    assert [reason.value for reason in JudgeReason] == [
        "semantic",
        "cross_context",
        "ambiguity",
        "recovery",
        "alignment",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reason =", "is not TOML"),
        (ONE, "reason: Field required"),
        (HEAD, "criterion: Field required"),
        (HEAD + ONE + "points = 5", "points: Extra inputs"),
        (HEAD + ONE.replace("answer_given", "screenshot"), "unknown evidence 'screenshot'; known kinds: "),
        (HEAD + ONE.replace("answer_given", "page_scored"), "unknown evidence 'page_scored'"),
        (HEAD + ONE.replace('["answer_given"]', "[]"), "names no evidence"),
        (HEAD + ONE + 'weight = "0"', "a weight is above 0"),
        (HEAD + ONE + 'weight = "half"', "Invalid literal"),
        (HEAD + ONE.replace("The answer names the total of the report.", "Good?"), "write a whole sentence"),
        (HEAD + ONE + ONE, "'a' is there twice"),
        (HEAD + ONE + ONE.replace('"a"', '"b"'), "criteria 'a' and 'b' overlap \\(100% of their words\\)"),
        (HEAD + 'rule_coverage = "1"\n' + ONE, "leave the rubric out"),
        (HEAD + ONE.replace('"a"', '"A b"'), "String should match"),
        (HEAD.replace("semantic", "vibes") + ONE, "got 'vibes'"),
    ],
)
def test_a_rubric_that_cannot_be_judged_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_rubric(text)


def test_too_many_criteria_are_refused() -> None:
    lines = [
        ONE.replace('"a"', f'"c{n}"').replace(
            "The answer names the total of the report.", f"w{n} x{n} y{n} z{n}"
        )
        for n in range(9)
    ]
    with pytest.raises(SpecError, match="1 to 8 criteria, got 9"):
        parse_rubric(HEAD + "".join(lines))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot read the rubric"):
        read_rubric(tmp_path / "none.toml")
    (tmp_path / "r.toml").write_text(HEAD + ONE)
    assert read_rubric(tmp_path / "r.toml").criteria[0].id == "a"


def test_a_record_gives_the_rubric_again() -> None:
    assert read_record(RUBRIC.to_record()) == RUBRIC
    with pytest.raises(KeyError):
        read_record({"reason": "semantic"})
