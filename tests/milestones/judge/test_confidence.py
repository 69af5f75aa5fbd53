from fractions import Fraction
from pathlib import Path

import pytest

from milepost.milestones.judge.confidence import (
    Agreement,
    Confidence,
    ConfidenceError,
    name_agreement,
    read_confidence,
    write_confidence,
)
from milepost.milestones.judge.question import Finding

YES, NO, UNSURE = Finding.MET, Finding.NOT_MET, Finding.CANNOT_DETERMINE


@pytest.mark.parametrize(
    ("findings", "agreement"),
    [
        ([{"a": YES, "b": YES}, {"a": YES, "b": YES}], Agreement.ALL_MET),
        ([{"a": YES, "b": NO}, {"a": YES, "b": NO}], Agreement.ALL_SAME),
        ([{"a": NO, "b": NO}, {"a": NO, "b": UNSURE}], Agreement.MOST),
        ([{"a": YES}, {"a": NO}, {"a": NO}], Agreement.MOST),
        ([{"a": NO}], Agreement.ALL_SAME),
    ],
)
def test_an_agreement_is_seen_without_knowing_what_is_right(
    findings: list[dict[str, Finding]], agreement: Agreement
) -> None:
    assert name_agreement(findings) is agreement


def test_confidence_is_the_rule_of_succession_and_a_half_where_nothing_was_seen() -> None:
    measured = Confidence(judges=("a", "b"), counts={Agreement.ALL_MET: (18, 18), Agreement.MOST: (2, 4)})
    assert [measured.rate(one) for one in Agreement] == [Fraction(19, 20), Fraction(1, 2), Fraction(1, 2)]
    assert {Confidence().rate(one) for one in Agreement} == {Fraction(9, 10)}


def test_a_measurement_reads_back_as_it_was(tmp_path: Path) -> None:
    measured = Confidence(judges=("a", "b"), counts={Agreement.ALL_SAME: (3, 4), Agreement.ALL_MET: (1, 1)})
    write_confidence(measured, tmp_path / "deep" / "judges.json", figures={"cases": 5})
    assert read_confidence(tmp_path / "deep" / "judges.json") == measured


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no", "is no measurement of judges: JSONDecodeError"),
        ("[]", "is no measurement of judges: TypeError"),
        ('{"version": 1}', "is no measurement of judges: KeyError 'confidence'"),
        (
            '{"version": 1, "confidence": {"judges": ["a"], "counts": {"most": [5, 4]}, "constant": "1"}}',
            "more are right than there are",
        ),
        (
            '{"version": 7, "confidence": {"judges": [], "counts": {}, "constant": "1"}}',
            "version 1 is read, got 7",
        ),
    ],
)
def test_what_is_no_measurement_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "judges.json").write_text(text)
    with pytest.raises(ConfidenceError, match=message):
        read_confidence(tmp_path / "judges.json")
    with pytest.raises(ConfidenceError, match="make one with: milepost calibrate-judges"):
        read_confidence(tmp_path / "none.json")
