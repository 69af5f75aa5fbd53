from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from milepost.training.preferences.dataset import PreferenceFileError, read_preferences, write_preferences
from milepost.training.preferences.pairs import Label, mine_labels, mine_pairs
from tests.training.trajectories import make_trajectory, make_turn


def side(ret: float, *completion: int) -> dict[str, Any]:
    return {
        "name": "e",
        "return": ret,
        "turns": [{"prompt_ids": [1, 2], "completion_ids": list(completion or (3,))}],
    }


def pair(better: float = 1.0, worse: float = 0.0, **other: Any) -> dict[str, Any]:
    return {"kind": "pair", "chosen": side(better, 4), "rejected": side(worse, 5), **other}


def label(desirable: bool = True) -> dict[str, Any]:
    return {"kind": "label", "desirable": desirable, "trajectory": side(1.0, 6)}


def save(folder: Path, *lines: object) -> Path:
    path = folder / "preferences.jsonl"
    path.write_bytes(b"\n".join(x if isinstance(x, bytes) else orjson.dumps(x) for x in lines) + b"\n")
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    batch = [
        make_trajectory([make_turn(), make_turn(1.0, completion=(7, 8))], member=0, success=True),
        make_trajectory([make_turn(completion=(9,))], member=1),
    ]
    pairs, labels = mine_pairs(batch)[0], mine_labels(batch)[0]
    path = tmp_path / "deep" / "preferences.jsonl"
    assert write_preferences(path, [*pairs, *labels]) == 3
    found = read_preferences(path, vocabulary=10)
    assert [type(one) for one in found] == [type(one) for one in [*pairs, *labels]]
    read = found[0]
    assert not isinstance(read, Label)
    assert read.chosen.text == pairs[0].chosen.text
    assert (read.chosen.ret, read.rejected.ret) == (1.0, 0.0)
    assert [one.desirable for one in found if isinstance(one, Label)] == [True, False]
    again = tmp_path / "again.jsonl"
    write_preferences(again, found)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([pair(1.0, 1.0)], "line 1: a tie, both sides have return 1"),
        ([pair(0.0, 1.0)], "less than the rejected side's 1; swap them"),
        ([pair(), pair()], "line 2: repeats line 1"),
        (
            [pair(), {**pair(), "chosen": side(1.0, 5), "rejected": side(0.0, 4)}],
            "line 2: contradicts line 1",
        ),
        ([label(), label(False)], "line 2: contradicts line 1"),
        ([label(), label()], "line 2: repeats line 1"),
        ([{**pair(), "rejected": side(0.0, 4)}], "chosen and rejected are the same"),
        ([pair(surprise=1)], "surprise: Extra inputs are not permitted"),
        ([{"kind": "pair", "chosen": side(1.0)}], "rejected: Field required"),
        ([{"kind": "rank"}], "line 1"),
        (
            [{"kind": "label", "desirable": "yes", "trajectory": side(1.0)}],
            "desirable: Input should be a valid",
        ),
        ([{"kind": "label", "desirable": True, "trajectory": side(1.0, 40)}], "token 40 is unknown"),
        ([{**label(), "trajectory": {**side(1.0), "turns": []}}], "trajectory.turns"),
        ([{**label(), "trajectory": {**side(1.0), "return": None}}], "trajectory.return"),
        ([b'{"kind": "pair"'], "line 1: Invalid JSON"),
        ([b""], "holds no preference"),
    ],
)
def test_a_line_that_is_no_preference_is_refused_with_its_number_and_the_reason(
    tmp_path: Path, lines: list[object], said: str
) -> None:
    with pytest.raises(PreferenceFileError) as refused:
        read_preferences(save(tmp_path, *lines), vocabulary=40)
    assert said in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PreferenceFileError, match=r"cannot read preferences from .*nothing\.jsonl"):
        read_preferences(tmp_path / "nothing.jsonl", vocabulary=40)
    with pytest.raises(PreferenceFileError, match="cannot write preferences"):
        write_preferences(tmp_path, [])


def test_episodes_with_pictures_are_not_written(tmp_path: Path) -> None:
    turn = make_turn(1.0)
    seen = replace(turn, completion=replace(turn.completion, picture=b"a"))
    labels, _ = mine_labels([make_trajectory([seen], success=True)])
    with pytest.raises(
        PreferenceFileError, match="a policy that sees, and a preference file holds no pictures"
    ):
        write_preferences(tmp_path / "preferences.jsonl", labels)
    assert not (tmp_path / "preferences.jsonl").exists()
