from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from milepost.milestones import Goal, Spec, milestone, score, when
from milepost.milestones.audit import audit_run
from milepost.milestones.rescoring import AMENDMENT, diff_runs, diff_specs, find_episodes, rescore_run
from milepost.sandbox.events import EpisodeEnded, EpisodeStarted, Event, Fact
from milepost.sandbox.log import write_log
from tests.milestones.conftest import ORACLE, click, witness

STARTED = EpisodeStarted(task="T-v0", seed=7, split="train", goal="Send it.")
ENDED = EpisodeEnded(reason="goal")


def record(folder: Path, spec: Spec, *facts: Fact) -> list[Event]:
    events = witness(STARTED, *facts, ENDED)
    folder.mkdir(parents=True)
    write_log(events, folder / "events.jsonl")
    (folder / "spec.json").write_bytes(spec.to_bytes())
    (folder / "rewards.json").write_bytes(score(spec, events).to_bytes())
    return events


@pytest.fixture
def run(expense_spec: Spec, tmp_path: Path) -> Path:
    record(tmp_path / "run/episodes/a", expense_spec, *ORACLE)
    record(tmp_path / "run/episodes/b", expense_spec, click("Submit"))
    return tmp_path / "run"


SUBMIT = Spec(
    milestones=(milestone("pressed", reward="0.75", when=when("clicked", name="Submit")),),
    goal=Goal(when=when("clicked", name="Submit"), frame=(when("app_changed"),)),
)


def test_the_same_rules_change_nothing(run: Path, expense_spec: Spec) -> None:
    report = rescore_run(run, lambda started: expense_spec)
    assert [(e.episode, e.old, e.new, e.was_success, e.success) for e in report.episodes] == [
        ("a", "1", "1", True, True),
        ("b", "0", "0", False, False),
    ]
    assert report.changed == ()
    assert report.describe() == (
        "2 episodes: 0 pay another amount or reach another end, 0 unscored; goals reached 1 before, 1 now"
    )


def test_new_rules_pay_what_they_say_and_know_the_task(run: Path) -> None:
    asked: list[EpisodeStarted] = []

    def rules(started: EpisodeStarted) -> Spec:
        asked.append(started)
        return SUBMIT

    report = rescore_run(run, rules)
    assert asked == [STARTED, STARTED]
    assert [(e.old, e.new) for e in report.changed] == [("1", "3/4"), ("0", "3/4")]
    assert report.describe().splitlines()[1:] == ["a: 1 -> 3/4", "b: 0 -> 3/4, goal reached"]
    plain = report.as_dict()
    assert (plain["changed"], plain["successes_before"], plain["successes"]) == (2, 1, 2)


def test_a_new_run_is_written_beside_the_old_and_audits_clean(run: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    rescore_run(run, lambda started: SUBMIT, out=tmp_path / "new")
    assert audit_run(tmp_path / "new").clean
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    amended = orjson.loads((tmp_path / "new/episodes/a" / AMENDMENT).read_bytes())
    assert amended["supersedes"]["total"] == "1"
    assert amended["spec"] == SUBMIT.digest
    with pytest.raises(FileExistsError):
        rescore_run(run, lambda started: SUBMIT, out=tmp_path / "new")


def forge(events: Sequence[Event]) -> list[Event]:
    return [replace(event, fact=click("Submit")) if event.seq == 1 else event for event in events]


def cut(events: Sequence[Event]) -> list[Event]:
    return list(events[:-1])


def turn(events: Sequence[Event]) -> list[Event]:
    return [events[0], events[2], events[1], *events[3:]]


@pytest.mark.parametrize("damage", [forge, cut, turn])
def test_a_log_that_cannot_be_trusted_is_unscored_by_new_rules_too(
    run: Path, expense_spec: Spec, damage: object
) -> None:
    events = witness(STARTED, *ORACLE, ENDED)
    write_log(damage(events), run / "episodes/a/events.jsonl")  # type: ignore[operator]
    report = rescore_run(run, lambda started: expense_spec)
    assert [(e.old, e.new, e.success) for e in report.episodes] == [
        ("1", "unscored", False),
        ("0", "0", False),
    ]
    assert report.as_dict()["unscored"] == 1
    assert "events.jsonl" in report.episodes[0].reason


def test_one_episodes_folder_is_rescored_alone(run: Path) -> None:
    assert find_episodes(run / "episodes/b") == (run / "episodes/b",)
    assert [e.episode for e in rescore_run(run / "episodes/b", lambda started: SUBMIT).episodes] == ["b"]


def test_an_episode_without_a_stored_reward_has_none_to_compare(run: Path) -> None:
    (run / "episodes/a/rewards.json").write_bytes(b"[]")
    assert [(e.old, e.was_success) for e in rescore_run(run, lambda started: SUBMIT).episodes] == [
        ("", None),
        ("0", False),
    ]


def test_runs_are_compared_by_episode(run: Path, tmp_path: Path) -> None:
    assert diff_runs(run, run) == ()
    rescore_run(run, lambda started: SUBMIT, out=tmp_path / "new")
    (tmp_path / "new/episodes/b/rewards.json").unlink()
    one, other = diff_runs(run, tmp_path / "new")
    assert one.episode == "a"
    assert "total: the first '1', the second '3/4'" in one.detail
    assert other.episode == "b"
    assert other.detail.startswith("there is no ")
    (only,) = diff_runs(run / "episodes/a", tmp_path / "new/episodes/a")
    assert only.detail == one.detail


def test_rules_are_compared_entry_by_entry(expense_spec: Spec) -> None:
    assert diff_specs(SUBMIT, SUBMIT) == ""
    more = replace(
        SUBMIT, milestones=(replace(SUBMIT.milestones[0], reward=SUBMIT.milestones[0].reward * 2),)
    )
    assert diff_specs(SUBMIT, more) == "milestones[0].reward: the first '0.75', the second '1.5'"
