import dataclasses
from fractions import Fraction
from pathlib import Path

import orjson
import pytest

from milepost.envs import certificate as kept
from milepost.envs.certificate import (
    Certificate,
    Finding,
    Tally,
    digest_template,
    find_fault,
    locate_certificate,
)
from milepost.envs.registry import Row, get_template, templates

ROW = templates()[0]
TEMPLATE = get_template(ROW.id)
MADE = Certificate(
    task=ROW.id,
    digest=digest_template(TEMPLATE),
    seeds=2,
    solutions=5,
    alternatives=("by keyboard",),
    adversaries={
        "no-op": Tally(allowed="nothing", episodes=2, goals=0, most=Fraction(0)),
        "double submit": Tally(allowed="once", episodes=2, goals=2, most=Fraction(1)),
    },
    mutants=40,
    survivors=("goal: frame",),
    findings=(),
)


each_template = pytest.mark.parametrize("row", templates(), ids=lambda row: row.id)


@each_template
def test_every_task_has_a_certificate_of_its_present_version(row: Row) -> None:
    assert find_fault(row, get_template(row.id)) == ""


@each_template
def test_a_kept_certificate_has_no_goals_of_adversaries_and_catches_weaker_rules(row: Row) -> None:
    path = locate_certificate(row)
    assert path.is_file(), f"run `milepost certify {row.id} --seeds 20 --solutions 100`"
    stored = orjson.loads(path.read_bytes())
    held = {n: one for n, one in stored["adversaries"].items() if one["allowed"] != "once"}
    waived = [finding for finding in stored["findings"] if finding["waived"]]
    assert sum(one["goals"] for one in held.values()) == len(
        [finding for finding in waived if "reached the goal" in finding["detail"]]
    )
    assert 1 - Fraction(len(stored["survivors"]), stored["mutants"]) >= Fraction(95, 100)
    assert (stored["seeds"] >= 20, stored["solutions"] >= 100) == (True, True)


def keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes | None) -> None:
    path = tmp_path / "kept.json"
    if data is not None:
        path.write_bytes(data)
    monkeypatch.setattr(kept, "locate_certificate", lambda row: path)


def test_a_right_certificate_has_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path, monkeypatch, MADE.to_bytes())
    assert find_fault(ROW, TEMPLATE) == ""


def test_a_changed_task_makes_its_certificate_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path, monkeypatch, MADE.to_bytes())
    changed = dataclasses.replace(TEMPLATE, max_steps=TEMPLATE.max_steps + 1)
    assert (
        find_fault(ROW, changed)
        == f"{ROW.id} has changed since it was certified; run `milepost certify {ROW.id}`"
    )


@pytest.mark.parametrize(
    ("seeds", "solutions", "fault"),
    [
        (2, 5, ""),
        (3, 5, f"{ROW.id} was certified on 2 seeds and solved on 5; run `milepost certify {ROW.id}`"),
        (2, 6, f"{ROW.id} was certified on 2 seeds and solved on 5; run `milepost certify {ROW.id}`"),
    ],
)
def test_more_seeds_can_be_asked_for_than_were_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: int, solutions: int, fault: str
) -> None:
    keep(tmp_path, monkeypatch, MADE.to_bytes())
    assert find_fault(ROW, TEMPLATE, seeds, solutions) == fault


@pytest.mark.parametrize(
    ("data", "fault"),
    [(None, "has no certificate"), (b"{", "is not a certificate"), (b"{}", "is not a certificate")],
)
def test_a_missing_or_unreadable_certificate_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes | None, fault: str
) -> None:
    keep(tmp_path, monkeypatch, data)
    assert fault in find_fault(ROW, TEMPLATE)


def test_a_certificate_with_findings_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Finding(check="start", seed=1, detail="the start pays ['a']")
    failed = dataclasses.replace(MADE, findings=(finding,))
    keep(tmp_path, monkeypatch, failed.to_bytes())
    assert "was not certified" in find_fault(ROW, TEMPLATE)
    assert (failed.passed, MADE.passed) == (False, True)
    assert "FOUND: start: the start pays ['a'] (seed 1)" in failed.describe()
    waived = dataclasses.replace(MADE, findings=(dataclasses.replace(finding, waived="It is meant so."),))
    assert waived.passed


def test_a_certificate_says_what_was_tried() -> None:
    assert MADE.mutation_score == Fraction(39, 40)
    assert MADE.describe().splitlines() == [
        f"{ROW.id}: certified on 2 seeds; solved on 5 in 2 ways; 1 adversaries, 2 episodes, 0 goals; mutants told apart 39 of 40",
        "  survived: goal: frame",
    ]
    assert orjson.loads(MADE.to_bytes())["adversaries"]["no-op"] == {
        "allowed": "nothing",
        "episodes": 2,
        "goals": 0,
        "largest_share": "0",
    }


def test_the_digest_is_of_the_rules_and_of_the_files_of_the_app() -> None:
    assert digest_template(TEMPLATE) == digest_template(TEMPLATE)
    # The kept ones are those of the tasks as they are: the first test of this file.
    stored = {orjson.loads(locate_certificate(row).read_bytes())["digest"] for row in templates()}
    assert len(stored) == len(templates())
