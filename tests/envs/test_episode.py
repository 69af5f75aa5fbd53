"""Episodes of every task: determinism, replay, and what cheap policies get."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import orjson
import pytest

from milepost.agents.agent import Agent
from milepost.agents.scripted import OracleAgent, RandomAgent
from milepost.envs.conditions import Conditions
from milepost.envs.episode import Episode
from milepost.envs.registry import get_template, templates
from milepost.envs.task import Split
from milepost.milestones.audit import audit_episode
from milepost.sandbox.dialect import render_action
from milepost.sandbox.pool import Pool

pytestmark = pytest.mark.browser
IDS = [template.id for template in templates()]
FIRST = IDS[:3]
"""Played with more seeds; a second is a long time when there are many tasks."""


async def play(
    undrawn: Pool, task: str, seed: int, split: Split, agent: Agent | None = None, folder: Path | None = None
) -> Episode:
    template = get_template(task)
    episode, view = await Episode.open(undrawn, template, seed, split)
    player = agent or OracleAgent(episode.task.oracle)
    while not episode.over:
        view = (await episode.step((await player.act(view)).text)).observation
    if folder is not None:
        episode.save(folder)
    await episode.close()
    return episode


@pytest.mark.parametrize("task", FIRST)
async def test_the_oracle_solves_every_split(undrawn: Pool, task: str) -> None:
    for split in Split:
        episode = await play(undrawn, task, 1, split)
        assert episode.success, (split, episode.task.goal)


@pytest.mark.parametrize("task", IDS)
async def test_the_oracle_solves_every_level_and_again_to_the_same_log(
    undrawn: Pool, task: str, tmp_path: Path
) -> None:
    judged = not get_template(task).levels  # what they are worth is not for rules alone to say
    plays = [(Split.TRAIN, task)]
    if not judged:
        plays = [(s, f"{task}@{v}") for s, v in zip(Split, ("easy", "hard", "normal"), strict=True)]
    ends = []
    for split, name in plays:
        episode = await play(undrawn, name, 5, split, folder=tmp_path / split)
        ends.append(episode.events[-1].hash)
        assert episode.solved if judged else episode.success, (split, name, episode.task.goal)
        assert judged or episode.reached == {m.name for m in episode.spec.milestones}
        assert 2 <= episode.steps <= 15
        finding = audit_episode(tmp_path / split)
        assert (finding.verdict, finding.detail) == ("equal", "")
    split, name = plays[-1]
    assert (await play(undrawn, name, 5, split)).events[-1].hash == ends[-1]


@pytest.mark.parametrize("task", FIRST)
async def test_a_random_policy_reaches_no_goal(undrawn: Pool, task: str) -> None:
    """Of the other tasks their certificates say it, with more seeds."""
    agent = RandomAgent(np.random.default_rng(0))
    episode = await play(undrawn, task, 0, Split.TRAIN, agent)
    assert not episode.solved


@pytest.mark.parametrize("task", FIRST)
async def test_a_recorded_episode_replays_to_the_same_bytes(undrawn: Pool, task: str, tmp_path: Path) -> None:
    await play(undrawn, task, 2, Split.TEST, folder=tmp_path)
    assert audit_episode(tmp_path).verdict == "equal"
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines()
    record = orjson.loads(lines[-2])
    record["step"] += 1
    lines[-2] = orjson.dumps(record)
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    assert audit_episode(tmp_path).verdict == "broken"


async def test_other_processes_replay_recorded_episodes_to_the_same_bytes(
    undrawn: Pool, tmp_path: Path
) -> None:
    for task in FIRST:
        await play(undrawn, task, 4, Split.VALIDATION, folder=tmp_path / "episodes" / task)
    for hash_seed in ("0", "random"):
        audit = [sys.executable, "-m", "milepost", "audit", str(tmp_path), "--json"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(audit, env=environment, capture_output=True, text=True, check=False)
        found = orjson.loads(done.stdout)
        assert (found["episodes"], found["equal"], found["findings"]) == (3, 3, [])


async def test_a_reward_that_was_edited_on_disk_is_found(undrawn: Pool, tmp_path: Path) -> None:
    await play(undrawn, IDS[0], 2, Split.TEST, folder=tmp_path)
    path = tmp_path / "rewards.json"
    path.write_bytes(path.read_bytes().replace(b'"total":"1"', b'"total":"2"'))
    finding = audit_episode(tmp_path)
    assert finding.verdict == "different"
    assert finding.detail == "total: stored '2', recomputed '1'"


async def test_observations_hold_a_screenshot_when_asked_for_except_behind_a_dialog(pool: Pool) -> None:
    template = get_template("EventSignup-v0")
    episode, view = await Episode.open(pool, template, 0, conditions=Conditions(screenshot=True))
    seen = [view]
    while not episode.over:
        seen.append((await episode.step(render_action(episode.task.oracle(seen[-1])))).observation)
    await episode.close()
    assert episode.success
    assert {view.dialog is None for view in seen} == {True, False}
    for view in seen:
        assert (view.screenshot is None) == (view.dialog is not None)
        assert view.screenshot is None or view.screenshot.startswith(b"\x89PNG")
    plain, view = await Episode.open(pool, template, 0)
    assert view.screenshot is None
    await plain.close()
