from dataclasses import replace
from pathlib import Path

import pytest

from milepost.training.reward_model.labels import (
    Choice,
    Comparison,
    Verdict,
    append_verdict,
    draw_comparisons,
    join_pairs,
    read_verdicts,
    settle_pairs,
)
from milepost.training.reward_model.pairs import Label, Pair, PreferenceError, Side
from tests.training.reward_model.test_pairs import record

LONG = Side(episode="long", end=5, goal="g", success=True)
SHORT = Side(episode="short", end=2, goal="g", success=False)
ABOUT = Comparison(id="long|short", template="T-v0", prompt="T-v0:train:0", first=LONG, second=SHORT)


def say(annotator: str, choice: Choice, *, about: Comparison = ABOUT, left: Choice = Choice.FIRST) -> Verdict:
    return Verdict(comparison=about, annotator=annotator, choice=choice, left=left)


def test_comparisons_are_of_one_seed_and_their_order_is_drawn(tmp_path: Path) -> None:
    for seed in (0, 1):
        for play in ("oracle", "random", "claim"):
            record(tmp_path, play, [0.5, 0.5], seed=seed)
    found = draw_comparisons(tmp_path, seed=3)
    assert len(found) == 6
    assert all(one.first.episode.split("-")[4] == one.second.episode.split("-")[4] for one in found)
    assert [c.id for c in draw_comparisons(tmp_path, seed=3, limit=2)] == [c.id for c in found[:2]]
    others = [[c.id for c in draw_comparisons(tmp_path, seed=seed)] for seed in (4, 5)]
    assert any(order != [c.id for c in found] for order in others)
    assert all(sorted(order) == sorted(c.id for c in found) for order in others)


def test_one_episode_is_nothing_to_compare(tmp_path: Path) -> None:
    record(tmp_path, "oracle", [1.0])
    with pytest.raises(PreferenceError, match="no two episodes of one task and seed"):
        draw_comparisons(tmp_path, seed=0)


def test_the_last_word_of_an_annotator_counts_and_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    other = replace(ABOUT, id="other")
    said = [
        say("ada", Choice.FIRST),
        say("ben", Choice.SECOND, left=Choice.SECOND),
        say("ada", Choice.TIE),
        say("ada", Choice.FIRST, about=other),
        say("ada", Choice.UNDONE, about=other),
    ]
    for verdict in said:
        append_verdict(verdict, path)
    assert path.read_bytes().count(b"\n") == 5
    assert read_verdicts(path) == [said[1], said[2]]


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    append_verdict(say("ada", Choice.FIRST), path)
    path.write_bytes(path.read_bytes() + b'{"comparison": "cut\n')
    with pytest.raises(PreferenceError, match=r"labels\.jsonl, line 2"):
        read_verdicts(path)


def test_the_majority_settles_a_pair_and_its_lead_is_the_margin() -> None:
    said = [
        say("ada", Choice.SECOND),
        say("ben", Choice.SECOND),
        say("eve", Choice.TIE),
        say("flo", Choice.SKIP),
    ]
    (pair,) = settle_pairs(said)
    assert (pair.chosen, pair.rejected, pair.source) == (SHORT, LONG, Label.HUMAN)
    assert pair.margin == pytest.approx(2 / 3)
    assert settle_pairs([say("ada", Choice.FIRST), say("ben", Choice.SECOND)]) == []


def test_what_people_say_stands_against_the_rules() -> None:
    rules = Pair(
        id="r", template="T-v0", prompt="p", chosen=LONG, rejected=SHORT, margin=1.0, source=Label.MILESTONES
    )
    kept = replace(rules, id="k", rejected=replace(SHORT, end=1))
    said = settle_pairs([say("ada", Choice.SECOND)])
    assert join_pairs([rules, kept], said) == [kept, *said]
