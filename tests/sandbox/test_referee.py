"""Pages that keep score themselves."""

import pytest

from milepost.sandbox.events import PageScored, Source, Trust
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.pool import Pool
from tests.sandbox.conftest import build_world

pytestmark = pytest.mark.browser

GAME = """<!doctype html><title>Game</title><button onclick="won = 0.25">Win</button><p id=p>0</p><script>
let won = null, turns = 0;
const turn = () => { const score = won; won = null; p.textContent = turns++;
  return {goal: 'Win!', score, reason: 'luck'}; };
</script>"""


async def test_the_page_gives_the_goal_and_says_once_how_it_went(pool: Pool) -> None:
    session, view = await pool.open(build_world({"/": GAME}, referee="turn()"))
    assert view.goal == "Win!"
    assert [e.name for e in view.elements if not e.id] == ["1"]
    view = await session.step('click("1")')
    await session.step("noop()")
    (scored,) = (event for event in session.log.events if isinstance(event.fact, PageScored))
    assert scored.fact == PageScored(tab=0, score="0.25", reason="luck")
    assert (scored.step, scored.source, scored.trust) == (1, Source.PAGE, Trust.PAGE)
    await session.close()


async def test_what_the_pages_turn_changed_is_seen_in_the_same_step(pool: Pool) -> None:
    session, _ = await pool.open(build_world({"/": GAME}, referee="turn()"))
    view = await session.step("noop()")
    assert [e.name for e in view.elements if not e.id] == ["2"]
    await session.close()


async def test_a_start_page_without_rules_is_the_tasks_failure(pool: Pool) -> None:
    with pytest.raises(SandboxError, match="does not keep score") as caught:
        await pool.open(build_world(referee="globalThis.turn && turn()"))
    assert caught.value.failure is Failure.TASK


async def test_rules_that_break_are_the_tasks_failure(pool: Pool) -> None:
    with pytest.raises(SandboxError, match="own rules broke") as caught:
        await pool.open(build_world(referee="turn()"))
    assert caught.value.failure is Failure.TASK


async def test_a_page_that_knows_no_question_is_seen_all_the_same(pool: Pool) -> None:
    session, _ = await pool.open(build_world({"/": GAME}, referee="globalThis.p && turn()"))
    view = await session.step('goto("http://shop.test/two")')
    assert view.element("heading", "Second")
    await session.close()
