from dataclasses import replace
from pathlib import Path

import pytest

from milepost.sandbox.events import EpisodeEnded, EpisodeStarted, Source
from milepost.sandbox.log import EventLog, write_log
from milepost.sandbox.observation import Element, Observation
from milepost.training.records import write_episode
from milepost.training.reward_model.pairs import (
    Label,
    Pair,
    PreferenceError,
    Side,
    check_pairs,
    check_split,
    export_pairs,
    read_pairs,
    read_side,
    split_key,
    write_pairs,
)
from tests.training.trajectories import make_trajectory, make_turn

BUTTON = Element(id="1", depth=0, role="button", name="Go")


def record(
    run: Path,
    play: str,
    rewards: list[float],
    *,
    seed: int = 0,
    goal: str = "Go",
    success: bool | None = None,
) -> None:
    turns = [make_turn(reward) for reward in rewards]
    reached = sum(rewards) == 1 if success is None else success
    name = f"play-{play}-Demo-v0-{seed}-0"
    trajectory = replace(
        make_trajectory(turns, task_id="Demo-v0", seed=seed, success=reached), episode_id=name
    )
    seen = [Observation(goal=goal, url="", title="", elements=(BUTTON,)) for _ in range(len(turns) + 1)]
    write_episode(run / "episodes" / name, trajectory, goal=goal, phase=f"play-{play}", observations=seen)
    log = EventLog()
    log.note(Source.SESSION, EpisodeStarted(task="Demo-v0", seed=seed, split="train", goal=goal))
    log.note(Source.SESSION, EpisodeEnded(reason="closed"))
    log.commit(0)
    write_log(log.events, run / "episodes" / name / "events.jsonl")


def list_pairs(run: Path) -> set[tuple[str, str, str, float]]:
    def show(side: Side) -> str:
        return f"{side.episode.split('-')[1]}:{side.end}:{side.goal}"

    return {(show(p.chosen), show(p.rejected), p.source.value, p.margin) for p in export_pairs(run)}


def test_who_did_more_than_was_asked_is_worth_less_than_a_solution(tmp_path: Path) -> None:
    record(tmp_path, "oracle", [0.5, 0.5])
    record(tmp_path, "wrong_target", [0.5, 0.5, 0.0], success=False)
    record(tmp_path, "oracle", [1.0], seed=1)
    record(tmp_path, "claim", [0.0], seed=1)
    (found,) = [pair for pair in export_pairs(tmp_path) if pair.source is Label.CORRUPTION]
    assert (found.chosen.end, found.rejected.end) == (2, 3)
    assert found.margin == pytest.approx(0.2)


def test_episodes_of_one_seed_are_compared_by_what_the_rules_paid(tmp_path: Path) -> None:
    record(tmp_path, "oracle", [0.5, 0.5])
    record(tmp_path, "wrong_value", [0.5, 0.0])
    record(tmp_path, "random", [0.25])
    record(tmp_path, "claim", [0.0])
    assert list_pairs(tmp_path) == {
        ("oracle:2:Go", "wrong_value:2:Go", "corruption", 0.5),
        ("oracle:2:Go", "random:1:Go", "milestones", 0.75),
        ("oracle:2:Go", "claim:1:Go", "hack", 1.0),
        ("wrong_value:2:Go", "random:1:Go", "milestones", 0.25),
        ("wrong_value:2:Go", "claim:1:Go", "hack", 0.5),
        ("random:1:Go", "claim:1:Go", "hack", 0.25),
        ("oracle:2:Go", "oracle:1:Go", "truncation", 0.5),
    }


def test_a_solved_episode_is_rejected_under_another_seeds_goal(tmp_path: Path) -> None:
    record(tmp_path, "oracle", [1.0])
    record(tmp_path, "oracle", [1.0], seed=1, goal="Stop")
    assert list_pairs(tmp_path) == {
        ("oracle:1:Go", "oracle:1:Stop", "goal", 1.0),
        ("oracle:1:Stop", "oracle:1:Go", "goal", 1.0),
    }
    rejected = next(p.rejected for p in export_pairs(tmp_path) if p.rejected.goal == "Stop")
    assert [step.goal for step in read_side(tmp_path, rejected)] == ["Stop"]
    assert not rejected.success


def test_pairs_read_back_as_they_were(tmp_path: Path) -> None:
    record(tmp_path, "oracle", [1.0])
    record(tmp_path, "random", [0.0])
    record(tmp_path, "random", [1.0], seed=1)
    record(tmp_path, "claim", [0.0], seed=1)
    pairs = export_pairs(tmp_path)
    write_pairs(pairs, tmp_path / "pairs.jsonl")
    assert read_pairs(tmp_path / "pairs.jsonl") == pairs


def test_a_run_without_episodes_or_differences_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PreferenceError, match="no recorded episodes"):
        export_pairs(tmp_path)
    record(tmp_path, "random", [0.0])
    with pytest.raises(PreferenceError, match="there are no preferences"):
        export_pairs(tmp_path)


def test_a_cut_log_is_named(tmp_path: Path) -> None:
    record(tmp_path, "oracle", [1.0])
    (tmp_path / "episodes" / "play-oracle-Demo-v0-0-0" / "events.jsonl").write_text("")
    side = Side(episode="play-oracle-Demo-v0-0-0", end=1, goal="Go", success=True)
    with pytest.raises(PreferenceError, match=r"cannot be read: .*the log is cut"):
        read_side(tmp_path, side)


def make_pair(chosen: str, rejected: str, template: str = "Demo-v0") -> Pair:
    one, other = (Side(episode=name, end=1, goal="g", success=False) for name in (chosen, rejected))
    return Pair(
        id=f"{chosen}>{rejected}",
        template=template,
        prompt="p",
        chosen=one,
        rejected=other,
        margin=0.0,
        source=Label.HUMAN,
    )


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "there are no preferences"),
        ([make_pair("a", "a")], "prefers an episode to itself"),
        ([make_pair("a", "b"), make_pair("a", "b")], "is there twice"),
        ([make_pair("a", "b"), make_pair("b", "a")], "contradicts another one"),
        ([make_pair("a", "b"), make_pair("a", "c")], "one-sided"),
    ],
)
def test_preferences_that_teach_nothing_are_refused(pairs: list[Pair], message: str) -> None:
    with pytest.raises(PreferenceError, match=message):
        check_pairs(pairs)


def test_a_file_that_is_no_list_of_pairs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    for text in ("{", '{"id": "x"}', "[]"):
        path.write_text(text)
        with pytest.raises(PreferenceError, match="pair 1"):
            read_pairs(path)
    path.write_text("")
    with pytest.raises(PreferenceError, match="there are no preferences"):
        read_pairs(path)


def test_variants_of_a_page_count_as_one_template() -> None:
    assert split_key("miniwob.click-test-2-v1") == split_key("miniwob.click-test-v1") == "click-test"
    assert split_key("miniwob.use-autocomplete-nodelay-v1") == "use-autocomplete"
    assert (
        split_key("miniwob.email-inbox-forward-nl-turk-v1")
        == split_key("miniwob.email-inbox-v1")
        == "email-inbox"
    )
    assert split_key("miniwob.drag-single-shape-v1") == split_key("miniwob.drag-circle-v1")
    assert split_key("miniwob.drag-shapes-2-v1") == "drag-shapes"
    assert split_key("ExpenseForm-v0") == "ExpenseForm"
    one, two = make_pair("a", "b", "miniwob.click-test-v1"), make_pair("c", "d", "miniwob.click-test-2-v1")
    with pytest.raises(PreferenceError, match="click-test in both parts"):
        check_split([one], [two])
    check_split([one], [make_pair("a", "b")])
