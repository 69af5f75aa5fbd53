"""Pages of MiniWoB++ as episodes: the same seed, the page's own goal and score, time that passes in turns."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from milepost.envs.episode import Episode
from milepost.envs.miniwob.table import RENEWABLE
from milepost.envs.registration import register_envs
from milepost.envs.registry import get_template
from milepost.envs.task import Split, choose
from milepost.milestones.audit import audit_episode
from milepost.sandbox.dialect import render_action
from milepost.sandbox.events import AppChanged, EpisodeStarted, PageScored, to_record
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool

pytestmark = pytest.mark.browser

VARIED = ("click-button", "click-checkboxes", "email-inbox", "search-engine", "use-slider", "book-flight", "terminal", "drag-cube")  # fmt: skip


async def start(pool: Pool, page: str, seed: int = 0, split: Split = Split.TRAIN) -> Episode:
    return (await Episode.open(pool, get_template(f"miniwob.{page}-v1"), seed, split))[0]


def scores(episode: Episode) -> list[PageScored]:
    return [event.fact for event in episode.events if isinstance(event.fact, PageScored)]


async def record(episode: Episode, actions: Sequence[str] = ()) -> tuple[list[str], list[Any]]:
    """What was done (by the oracle, if nothing is said), and all that was seen, paid and logged."""
    done, seen = list[str](), [episode.observation]
    rewards = []
    while not episode.over:
        done.append(
            actions[len(done)] if actions else render_action(episode.task.oracle(episode.observation))
        )
        outcome = await episode.step(done[-1])
        seen.append(outcome.observation)
        rewards.append((outcome.rewards, outcome.terminated, outcome.truncated))
    return done, [seen, rewards, [to_record(event) for event in episode.events]]


def touch(view: Observation, rng: np.random.Generator) -> str:
    """Something that an agent does which does not know better."""
    element = choose(rng, [e for e in view.elements if e.id])
    return f'type("{element.id}", "ab ")' if element.role == "textbox" else f'click("{element.id}")'


async def begin_again(pool: Pool, page: str, seed: int) -> str:
    """Let an oracle solve a page, and play the same in the document of another episode; say how that differs."""
    split, template = tuple(Split)[seed % len(Split)], get_template(f"miniwob.{page}-v1")
    fresh = await start(pool, page, seed, split)
    done, expected = await record(fresh)
    if not fresh.success:
        return f"{page}: its oracle misses the goal {fresh.observation.goal!r} of seed {seed} ({split})"
    rng = np.random.default_rng(4)
    before, _ = await Episode.open(pool, template, seed + 10, split, after=fresh)
    for _ in range(4):
        if not before.over:
            await before.step(touch(before.observation, rng))
    episode, _ = await Episode.open(pool, template, seed, split, after=before)
    if not (before.renewed and episode.renewed):
        return f"{page}: it begins in a fresh document"
    _, told = await record(episode, done)
    await episode.close()
    return "" if told == expected else f"{page}: something differs"


def is_variant(page: str) -> bool:
    """Whether a page is a variant of another; all were played when the list was made."""
    return re.sub(r"-(\d|large|transfer)$", "", page) in RENEWABLE - {page}


async def test_an_episode_in_an_old_document_is_the_one_that_a_fresh_context_gives(pool: Pool) -> None:
    # An episode and the one before it share a place, so none waits for another page's.
    pages = enumerate(page for page in sorted(RENEWABLE) if not is_variant(page))
    ends = await asyncio.gather(*(begin_again(pool, page, seed) for seed, page in pages))
    assert [end for end in ends if end] == []


@pytest.mark.parametrize("page", VARIED)
async def test_the_same_seed_gives_the_same_observation_and_log(pool: Pool, page: str) -> None:
    seen = []
    for _ in range(2):
        episode = await start(pool, page, seed=5)
        await episode.step("noop()")
        seen.append((episode.observation, episode.events[-1].hash))
        await episode.close()
    assert seen[0] == seen[1]


async def test_another_seed_or_split_gives_another_page(pool: Pool) -> None:
    seen = set()
    for seed, split in ((0, Split.TRAIN), (1, Split.TRAIN), (0, Split.VALIDATION), (0, Split.TEST)):
        episode = await start(pool, "click-checkboxes", seed, split)
        seen.add(episode.observation.goal + episode.observation.tree)
        await episode.close()
    assert len(seen) == 4


async def test_the_goal_is_the_pages_own_and_the_page_is_ready(pool: Pool) -> None:
    episode = await start(pool, "click-button-sequence")
    view = episode.observation
    assert view.goal == "Click button ONE, then click button TWO."
    assert view.tree == '[1] button "ONE"\n[2] button "TWO"'
    started = [event.fact for event in episode.events if isinstance(event.fact, EpisodeStarted)]
    assert [fact.goal for fact in started] == [view.goal]
    assert episode.events[0].fact == started[0]
    await episode.close()


async def test_the_last_click_ends_the_episode_in_its_own_step(pool: Pool) -> None:
    episode = await start(pool, "click-test-2")
    outcome = await episode.step('click("1")')
    assert (outcome.terminated, outcome.reward, episode.success) == (True, 1.0, True)
    assert scores(episode) == [PageScored(tab=0, score="1", reason="")]
    await episode.close()


async def test_the_wrong_click_ends_it_too_and_pays_nothing(pool: Pool) -> None:
    episode = await start(pool, "click-test-2")
    outcome = await episode.step('click("2")')
    assert (outcome.terminated, outcome.reward, episode.success) == (True, 0.0, False)
    assert scores(episode) == [PageScored(tab=0, score="-1", reason="")]
    assert "START" not in outcome.observation.tree
    await episode.close()


async def test_a_partial_score_is_recorded_as_it_is(pool: Pool) -> None:
    episode = await start(pool, "click-checkboxes", seed=0)
    view = episode.observation
    wrong = view.goal.removeprefix("Select ").split(",")[0].split(" and ")[0]
    await episode.step(f'click("{view.find("checkbox", wrong)}")')
    boxes = [e for e in episode.observation.elements if e.role == "checkbox"]
    for box in boxes[:1]:
        await episode.step(f'click("{box.id}")')
    await episode.step(f'click("{episode.observation.find("button", "Submit")}")')
    (scored,) = scores(episode)
    assert -1 < float(scored.score) < 1
    assert not episode.success
    await episode.close()


async def test_time_passes_in_turns_only(pool: Pool) -> None:
    episode = await start(pool, "stock-market", seed=1)
    before = episode.observation.tree
    await asyncio.sleep(0.5)
    outcome = await episode.step("scroll(0, 0)")
    again = await start(pool, "stock-market", seed=1)
    assert again.observation.tree == before
    assert (await again.step("scroll(0, 0)")).observation.tree == outcome.observation.tree != before
    await asyncio.gather(episode.close(), again.close())


async def test_the_pages_own_deadline_never_falls(pool: Pool) -> None:
    episode = await start(pool, "click-test")
    for _ in range(11):
        outcome = await episode.step("noop()")
        assert not outcome.terminated
    assert scores(episode) == []
    await episode.close()


async def test_opening_the_page_again_gives_the_same_task_again(pool: Pool) -> None:
    episode = await start(pool, "click-option", seed=2)
    before = episode.observation.tree
    outcome = await episode.step(f'goto("{episode.task.start_url}")')
    assert outcome.observation.tree.count("radio") == before.count("radio")
    assert "START" not in outcome.observation.tree
    served = [event.fact for event in episode.events if isinstance(event.fact, AppChanged)]
    assert len(served) == 2
    await episode.step(f'click("{outcome.observation.find("radio", outcome.observation.goal.split()[1])}")')
    done = await episode.step(f'click("{outcome.observation.find("button", "Submit")}")')
    assert (done.terminated, episode.success) == (True, True)
    await episode.close()


async def test_no_other_page_can_be_opened_for_an_easier_score(pool: Pool) -> None:
    episode = await start(pool, "click-option")
    outcome = await episode.step('goto("http://miniwob.test/miniwob/click-test.html")')
    assert "not a file of this page" in outcome.observation.tree
    await episode.close()


async def test_a_recorded_episode_replays_to_the_same_bytes(pool: Pool, tmp_path: Path) -> None:
    episode = await start(pool, "click-test")
    await episode.step('click("1")')
    episode.save(tmp_path)
    await episode.close()
    assert audit_episode(tmp_path).verdict == "equal"


def test_reset_begins_in_the_same_document_unless_a_fresh_one_is_wanted() -> None:
    register_envs()
    env: Any = gymnasium.make("milepost/miniwob.click-button-v1").unwrapped
    views, renewed = [], []
    for options in ({}, {}, {"fresh": True}):
        views.append(env.reset(seed=3, options=options))
        renewed.append(env.episode.renewed)
        env.step('click("1")')
    assert renewed == [False, True, False]
    assert views[0] == views[1] == views[2]
    env.close()


def test_a_page_is_a_gymnasium_environment() -> None:
    register_envs()
    env = gymnasium.make("milepost/miniwob.click-test-v1", render_mode="rgb_array")
    view, _ = env.reset(seed=0)
    assert view["goal"] == "Click the button."
    frame = env.render()
    assert getattr(frame, "shape", None) == (214, 332, 3)
    _, reward, terminated, _, info = env.step('click("1")')
    assert (reward, terminated, info["success"], info["page_score"]) == (1.0, True, True, "1")
    env.close()
