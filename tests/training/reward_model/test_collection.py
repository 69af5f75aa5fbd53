from pathlib import Path

import pytest

from milepost.training.reward_model.collection import collect_plays, plan_plays
from milepost.training.reward_model.corruption import Play
from milepost.training.reward_model.pairs import Label, export_pairs, read_side
from milepost.training.trajectory import Status


def test_a_plan_is_one_episode_for_each_task_seed_and_play() -> None:
    plan = plan_plays(["A-v0", "B-v0"], seeds=[3, 4], split="train")
    assert len(plan) == 2 * 2 * len(Play)
    assert len({request.episode_id for request in plan}) == len(plan)
    assert plan[0].episode_id == "play-oracle-A-v0-3-0"
    assert plan[0].sampling_seed == plan_plays(["A-v0"], seeds=[3], split="train")[0].sampling_seed


@pytest.mark.browser
async def test_plays_are_scored_by_the_rules_and_give_preferences(tmp_path: Path) -> None:
    plays = (Play.ORACLE, Play.WRONG_VALUE, Play.CLAIM)
    plan = plan_plays(["ReportExport-v0"], seeds=[0], split="train", plays=plays)
    found = await collect_plays(tmp_path, plan, contexts=3)
    assert [one.status for one in found].count(Status.INFRASTRUCTURE) == 0
    assert [one.success for one in found] == [True, False, False]
    pairs = export_pairs(tmp_path)
    assert {pair.source for pair in pairs} >= {Label.HACK, Label.TRUNCATION}
    steps = read_side(tmp_path, pairs[0].chosen)
    assert len(steps) == pairs[0].chosen.end == len(found[0].turns)
    assert all(step.goal == pairs[0].chosen.goal for step in steps)
