import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from milepost.sandbox.observation import Element, Observation
from milepost.training.records import RecordError, list_episodes, read_episode, write_episode
from milepost.training.trajectory import Status
from tests.training.trajectories import make_trajectory, make_turn

TRAJECTORY = make_trajectory(
    [
        make_turn(1 / 3, name="opened", logps=(-0.1, -0.25)),
        make_turn(reached=frozenset({"opened"}), completion=(7,), logps=(-3.5,)),
    ],
    status=Status.TRUNCATED,
    failure="",
    seed=5,
)


def observe(title: str) -> Observation:
    button = Element(id="3", depth=0, role="button", name=f"Go {title}")
    return Observation(goal="g", url="http://a.test/", title=title, elements=(button,), last_effect="dom")


SEEN = [observe("one"), observe("two"), observe("three")]


def test_an_episode_reads_back_as_it_was(tmp_path: Path) -> None:
    write_episode(tmp_path / "e", TRAJECTORY, goal="Find it", phase="test-end", observations=SEEN)
    record = read_episode(tmp_path / "e")
    assert record.goal == "Find it"
    assert record.phase == "test-end"
    assert record.trajectory.turns == TRAJECTORY.turns
    assert record.trajectory.status is Status.TRUNCATED
    assert record.trajectory.ret == 1 / 3
    assert record.trajectory.reward_parts == {"opened": 1 / 3}
    assert record.views[1] == {
        "url": "http://a.test/",
        "title": "two",
        "tree": '[3] button "Go two"',
        "dialog": "",
        "effect": "dom",
    }


def test_too_few_observations_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 turns need at least 3 observations, got 2"):
        write_episode(tmp_path, TRAJECTORY, goal="", phase="", observations=SEEN[:2])


def test_a_folder_that_is_no_episode_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"is not a recorded episode.*episode\.json is missing"):
        read_episode(tmp_path)


def test_an_episode_without_a_field_is_refused(tmp_path: Path) -> None:
    write_episode(tmp_path, TRAJECTORY, goal="", phase="", observations=SEEN)
    (tmp_path / "episode.json").write_text('{"episode_id": "x"}')
    with pytest.raises(RecordError, match="lacks the field 'task_id'"):
        read_episode(tmp_path)


def test_a_broken_line_is_refused(tmp_path: Path) -> None:
    write_episode(tmp_path, TRAJECTORY, goal="", phase="", observations=SEEN)
    (tmp_path / "turns.jsonl").write_text("{")
    with pytest.raises(RecordError, match="cannot be read"):
        read_episode(tmp_path)


def test_episodes_are_listed_by_phase(tmp_path: Path) -> None:
    for name in ("test-end-b", "test-end-a", "test-start-a"):
        write_episode(tmp_path / name, TRAJECTORY, goal="", phase="", observations=SEEN)
    (tmp_path / "test-end-empty").mkdir()
    assert [p.name for p in list_episodes(tmp_path, "test-end")] == ["test-end-a", "test-end-b"]
    assert len(list(list_episodes(tmp_path))) == 3


def test_pictures_are_kept_once_by_what_is_in_them(tmp_path: Path) -> None:
    pictures = (b"one", b"two", b"one", None)
    turns = [
        replace(turn, completion=replace(turn.completion, picture=picture))
        for turn, picture in zip([make_turn()] * 4, pictures, strict=True)
    ]
    seen = [observe(str(n)) for n in range(5)]
    write_episode(tmp_path, make_trajectory(turns), goal="", phase="", observations=seen)
    names = [hashlib.sha256(picture).hexdigest() for picture in (b"one", b"two")]
    assert {path.name for path in (tmp_path / "frames").iterdir()} == {f"{name}.png" for name in names}
    again = read_episode(tmp_path).trajectory.turns
    assert tuple(turn.completion.picture for turn in again) == pictures
    (tmp_path / "frames" / f"{names[1]}.png").write_bytes(b"three")
    with pytest.raises(RecordError, match="is not the picture that was seen"):
        read_episode(tmp_path)
    (tmp_path / "frames" / f"{names[0]}.png").unlink()
    with pytest.raises(RecordError, match=f"{names[0]}.png is missing"):
        read_episode(tmp_path)
