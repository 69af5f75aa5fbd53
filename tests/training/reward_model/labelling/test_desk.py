from pathlib import Path

import pytest

from milepost.training.reward_model.labelling.desk import Desk, DeskError
from milepost.training.reward_model.labels import Choice, read_verdicts
from tests.training.reward_model.test_pairs import record


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    for play, rewards in (("oracle", [0.5, 0.5]), ("random", [0.25]), ("claim", [0.0])):
        record(tmp_path, play, rewards, goal="Press <b>Go</b>")
    return Desk(tmp_path, tmp_path / "labels.jsonl", seed=0)


def test_keys_mean_what_stands_where(desk: Desk, tmp_path: Path) -> None:
    first, second, _ = desk.comparisons
    desk.take("ada", first.id, "1")
    desk.take("ada", second.id, "2")
    one, two = read_verdicts(tmp_path / "labels.jsonl")
    assert one.choice is one.left
    assert {two.choice, two.left} == {Choice.FIRST, Choice.SECOND}


def test_annotators_see_sides_in_different_places(desk: Desk) -> None:
    lefts = [[desk.draw_left(about, name) for about in desk.comparisons] for name in "abcdef"]
    assert len({tuple(left) for left in lefts}) > 1
    assert lefts == [[desk.draw_left(about, name) for about in desk.comparisons] for name in "abcdef"]


def test_undo_asks_again(desk: Desk, tmp_path: Path) -> None:
    first = desk.comparisons[0]
    desk.take("ada", first.id, "t")
    with pytest.raises(DeskError, match="not the one that was asked"):
        desk.take("ada", first.id, "t")
    desk.take("ada", "", "u")
    assert read_verdicts(tmp_path / "labels.jsonl") == []
    with pytest.raises(DeskError, match="nothing to take back"):
        desk.take("ada", "", "u")
    desk.take("ada", first.id, "s")


@pytest.mark.parametrize(
    ("name", "key", "why"), [(" ", "1", "your name"), ("ada", "9", "expected 1, 2, t, s or u")]
)
def test_what_cannot_be_taken_is_said(desk: Desk, name: str, key: str, why: str) -> None:
    with pytest.raises(DeskError, match=why):
        desk.take(name, desk.comparisons[0].id, key)


def test_the_page_hides_rewards_and_plays_and_escapes_the_world(desk: Desk) -> None:
    page = desk.render("ada", nonce="n")
    assert "Press &lt;b&gt;Go&lt;/b&gt;" in page
    for hidden in ("oracle", "random", "claim", "0.5", "0.25", "reward"):
        assert hidden not in page, hidden


def test_when_all_is_done_the_page_says_so(desk: Desk) -> None:
    for about in desk.comparisons:
        desk.take("ada", about.id, "1")
    assert "That was all, ada" in desk.render("ada", nonce="n")
    assert "1 of 3" in desk.render("ben", nonce="n")
    assert "Your name" in desk.render("", nonce="n")
