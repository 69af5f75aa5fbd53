"""Episodes that begin in the document of another: when they may, and that nothing tells them from fresh ones."""

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from milepost.sandbox.events import EpisodeStarted, to_record
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool
from milepost.sandbox.renewal import find_opening
from milepost.sandbox.session import Session
from milepost.sandbox.storage import StorageState
from milepost.sandbox.world import World
from tests.sandbox.conftest import build_world

GAME = """<!doctype html><title>Game</title><style>button:hover { color: red }</style>
<input aria-label=Word value=old><div id=area></div><script>
let won = null, goal = null;
const draw = seed => { goal = 'Win ' + seed; document.querySelector('input').value = 'old';
  area.innerHTML = '<button onclick="won = 1">Win</button><a href=/two>Two</a><a href=#part>Part</a>'
    + '<button onclick="window.open(`/two`)">Open</button><button onclick="alert(1)">Alert</button>' + '<i>i</i>'.repeat(seed); };
const turn = () => { if (goal === null) draw(SEED); const score = won; won = null; return {goal, score, reason: ''}; };
const again = seed => { document.activeElement.blur(); won = null; draw(seed); return {goal, score: null, reason: ''}; };
</script>"""


def build_game(seed: int, **more: Any) -> World:
    game = build_world(
        {"/": GAME.replace("SEED", str(seed))},
        referee="typeof turn === 'function' ? turn() : null",
        **{"again": f"again({seed})", **more},
    )
    return dataclasses.replace(game, seed=seed)


async def play(session: Session, view: Observation, actions: Sequence[str]) -> list[Any]:
    """Everything that an agent sees and the log holds, step by step."""
    seen: list[Any] = [view]
    for action in actions:
        seen.append(await session.step(action))
    session.end("closed")
    return [*seen, *(to_record(event) for event in session.log.events)]


ACTIONS = ('fill("1", "new")', 'click("2")', "reload()", 'click("2")')


@pytest.mark.browser
async def test_an_episode_in_an_old_document_is_the_one_that_a_fresh_context_gives(pool: Pool) -> None:
    async with pool.session(build_game(2)) as (session, view):
        fresh = await play(session, view, ACTIONS)
    async with pool.session(build_game(1)) as (session, view):
        await play(session, view, ('hover("3")', 'click("2")', 'type("1", "!")', "no action"))
        again = await session.renew(build_game(2))
        assert again is not None
        assert await play(session, again, ACTIONS) == fresh


@pytest.mark.browser
async def test_one_document_serves_many_episodes(pool: Pool) -> None:
    async with pool.session(build_game(0)) as (session, view):
        for seed in range(1, 5):
            await session.step('click("2")')
            later = await session.renew(build_game(seed))
            assert later is not None
            assert later.goal == f"Win {seed}"
            assert [e.id for e in later.elements if e.id] == [e.id for e in view.elements if e.id]
            started = session.log.events[0].fact
            assert isinstance(started, EpisodeStarted)
            assert started.seed == seed


LEAVES_SOMETHING = {
    "another document": 'click("3")',
    "the same document loaded again": "reload()",
    "an entry of the history": 'click("4")',
    "a tab": 'click("5")',
    "an open dialog": 'click("6")',
    "a file": 'write_file("a.txt", "b")',
    "a copied text": 'copy("2")',
    "a tab that was closed again": "new_tab()",
}


async def leave(pool: Pool, action: str) -> tuple[str, Observation | None]:
    async with pool.session(build_game(1)) as (session, _):
        view = await session.step(action)
        if action == "new_tab()":
            view = await session.step("tab_close()")
        return view.last_error, await session.renew(build_game(2))


@pytest.mark.browser
async def test_what_leaves_something_behind_asks_for_a_fresh_context(pool: Pool) -> None:
    ends = await asyncio.gather(*(leave(pool, action) for action in LEAVES_SOMETHING.values()))
    assert dict(zip(LEAVES_SOMETHING, ends, strict=True)) == dict.fromkeys(LEAVES_SOMETHING, ("", None))


@pytest.mark.browser
async def test_a_page_or_world_that_cannot_begin_anew_asks_for_a_fresh_context(pool: Pool) -> None:
    async with pool.session(build_game(1)) as (session, _):
        for other in (
            build_game(2, again=""),
            build_game(2, viewport=(320, 200)),
            build_game(2, files={"a.txt": b""}),
            build_game(2, max_tokens=100),
            build_game(2, storage=StorageState()),
            build_game(2, start="/two"),
        ):
            assert find_opening(session.log, build_game(1), other) is None
        assert find_opening(session.log, build_game(1), build_game(2)) is not None
        # The page says no, or its script breaks.
        for again in ("null", "nowhere()"):
            assert await session.renew(build_game(2, again=again)) is None
