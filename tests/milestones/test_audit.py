from pathlib import Path

import orjson
import pytest

from milepost.milestones import Spec, TraceStatus, score
from milepost.milestones.audit import (
    Verdict,
    audit_episode,
    audit_run,
    describe_difference,
    explain_episode,
    replay,
)
from milepost.sandbox.events import EpisodeEnded, Event
from milepost.sandbox.log import LogError, write_log
from tests.milestones.conftest import ORACLE, click, rechain, witness

LOG = witness(*ORACLE, EpisodeEnded(reason="goal"))


def record(folder: Path, spec: Spec, events: list[Event] | None = None) -> Path:
    events = LOG if events is None else events
    folder.mkdir(parents=True)
    write_log(events, folder / "events.jsonl")
    (folder / "spec.json").write_bytes(spec.to_bytes())
    (folder / "rewards.json").write_bytes(score(spec, events).to_bytes())
    return folder


def test_a_stored_log_replays_to_the_same_bytes(expense_spec: Spec, tmp_path: Path) -> None:
    folder = record(tmp_path / "e", expense_spec)
    trace = replay(Spec.from_bytes((folder / "spec.json").read_bytes()), folder / "events.jsonl")
    assert trace.to_bytes() == (folder / "rewards.json").read_bytes() == score(expense_spec, LOG).to_bytes()
    assert trace.total == 1


def damage_byte(data: bytes) -> bytes:
    return data.replace(b"48.20", b"48.21", 1)


def damage_hash(data: bytes) -> bytes:
    return data.replace(b'"hash":"', b'"hash":"0', 1)


def damage_order(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join([lines[1], lines[0], *lines[2:]])


def damage_middle(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(lines[:3] + lines[4:])


def damage_end(data: bytes) -> bytes:
    return b"".join(data.splitlines(keepends=True)[:-1])


def damage_line(data: bytes) -> bytes:
    return data[:-20]


def damage_all(data: bytes) -> bytes:
    return b""


DAMAGES = [damage_byte, damage_hash, damage_order, damage_middle, damage_end, damage_line, damage_all]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_tampered_log_is_unscored_and_broken(expense_spec: Spec, tmp_path: Path, damage: object) -> None:
    folder = record(tmp_path / "e", expense_spec)
    path = folder / "events.jsonl"
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    trace = replay(expense_spec, path)
    assert (trace.status, trace.total, trace.hits) == (TraceStatus.UNSCORED, None, ())
    found = audit_episode(folder)
    assert found.verdict is Verdict.BROKEN
    assert found.detail == trace.reason
    with pytest.raises(LogError):
        explain_episode(folder)


def test_a_log_forged_with_a_valid_chain_differs_in_its_head(expense_spec: Spec, tmp_path: Path) -> None:
    folder = record(tmp_path / "e", expense_spec)
    forged = rechain([*witness(click("Other")), *LOG])
    write_log(forged, folder / "events.jsonl")
    found = audit_episode(folder)
    assert found.verdict is Verdict.DIFFERENT
    assert f"log_head: stored '{LOG[-1].hash}', recomputed '{forged[-1].hash}'" in found.detail
    assert "events: stored 8, recomputed 9" in found.detail


def test_an_edited_reward_is_named_precisely(expense_spec: Spec, tmp_path: Path) -> None:
    folder = record(tmp_path / "e", expense_spec)
    stored = orjson.loads((folder / "rewards.json").read_bytes())
    stored["hits"][1]["reward"] = "1/2"
    stored["extra"] = 1
    del stored["goal"]["broken"]
    (folder / "rewards.json").write_bytes(orjson.dumps(stored))
    assert audit_episode(folder).detail == (
        "extra: not in the recomputed trace; goal.broken: missing in the stored trace; "
        "hits[1].reward: stored '1/2', recomputed '3/10'"
    )


def test_edited_rules_are_found(expense_spec: Spec, tmp_path: Path) -> None:
    folder = record(tmp_path / "e", expense_spec)
    path = folder / "spec.json"
    path.write_bytes(path.read_bytes().replace(b'"reward":"0.2"', b'"reward":"0.4"'))
    found = audit_episode(folder)
    assert found.verdict is Verdict.DIFFERENT
    assert "hits[0].reward: stored '1/5', recomputed '2/5'" in found.detail
    assert "spec: stored" in found.detail
    path.write_bytes(b"{}")
    assert audit_episode(folder).verdict is Verdict.BROKEN


def test_bytes_that_mean_the_same_are_still_different() -> None:
    assert describe_difference(b'{"a":1}', b'{"a":1}') == ""
    assert "not in canonical form" in describe_difference(b'{"a": 1}', b'{"a":1}')
    assert "not JSON" in describe_difference(b"{", b"{}")
    assert describe_difference(b"[1]", b"[1,2]") == "the trace: stored [1], recomputed [1, 2]"
    assert describe_difference(b'{"a":true}', b'{"a":1}') == "a: stored True, recomputed 1"


def test_a_run_is_audited_episode_by_episode(expense_spec: Spec, tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        record(tmp_path / "episodes" / name, expense_spec)
    assert audit_run(tmp_path).clean
    (tmp_path / "episodes/b/rewards.json").write_bytes(b"{}")
    (tmp_path / "episodes/c/events.jsonl").unlink()
    report = audit_run(tmp_path)
    assert [(e.episode, e.verdict.value) for e in report.episodes] == [
        ("a", "equal"),
        ("b", "different"),
        ("c", "broken"),
        ("d", "equal"),
    ]
    assert not report.clean
    plain = report.as_dict()
    assert {key: plain[key] for key in ("episodes", "clean", "equal", "different", "broken")} == {
        "episodes": 4,
        "clean": False,
        "equal": 2,
        "different": 1,
        "broken": 1,
    }
    assert [finding["episode"] for finding in plain["findings"]] == ["b", "c"]
    lines = report.describe().splitlines()
    assert lines[0] == "4 episodes: 2 equal byte for byte, 1 different, 1 broken"
    assert [line.split(": ")[:2] for line in lines[1:]] == [["different", "b"], ["broken", "c"]]


def test_one_episodes_own_folder_can_be_audited(expense_spec: Spec, tmp_path: Path) -> None:
    report = audit_run(record(tmp_path / "alone", expense_spec))
    assert [(e.episode, e.verdict) for e in report.episodes] == [("alone", Verdict.EQUAL)]


def test_an_empty_run_is_not_clean(tmp_path: Path) -> None:
    report = audit_run(tmp_path)
    assert (report.clean, report.episodes) == (False, ())
    assert "no recorded episodes here; expected folders with events.jsonl" in report.describe()


def test_a_stored_episode_can_be_explained(expense_spec: Spec, tmp_path: Path) -> None:
    found = explain_episode(record(tmp_path / "e", expense_spec))
    assert [(e.name, e.fired) for e in found] == [
        ("filled", True),
        ("asked", True),
        ("sent", True),
        ("goal", True),
    ]
