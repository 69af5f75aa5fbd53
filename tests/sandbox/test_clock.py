"""Page time: timers cost no time, and the page stands still while the agent thinks."""

import asyncio
import time
from typing import Any

import pytest

from milepost.sandbox.log import EventLog
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool
from milepost.sandbox.session import Session
from tests.sandbox.conftest import build_world

pytestmark = pytest.mark.browser

TIMERS = """<title>x</title><output id=o>0</output><p id=late></p><p id=now></p>
<button onclick="setTimeout(() => { late.textContent = 'late'; }, 300)">Later</button>
<button onclick="setTimeout(() => { late.textContent = 'much later'; }, 9000)">Much later</button>
<button onclick="now.textContent = [new Date().getFullYear(), Math.round(performance.now() / 100)].join()">Now</button>
<button onclick="confirm('sure?'); late.textContent = 'answered'">Ask</button>
<script>setInterval(() => { o.textContent = +o.textContent + 1; }, 100);</script>"""


async def press(session: Session, view: Observation, name: str) -> Observation:
    return await session.step(f'click("{view.find("button", name)}")')


def counted(view: Observation) -> int:
    return int(next(e.name for e in view.elements if e.role == "status"))


def build_timers(**more: Any) -> Any:
    return build_world({"/t": TIMERS}, "/t", **{"page_time_ms": 500, **more})


async def test_a_timer_is_over_when_the_page_is_read(pool: Pool) -> None:
    async with pool.session(build_timers()) as (session, view):
        view = await press(session, view, "Later")
        assert any(e.name == "late" for e in view.elements)
        assert session.settled


async def test_the_page_stands_still_while_the_agent_thinks(pool: Pool) -> None:
    async with pool.session(build_timers()) as (session, view):
        first = counted(view)
        await asyncio.sleep(0.5)
        view = await session.step("noop()")
        assert counted(view) == first + 5
        view = await session.step("noop(2000)")
        assert counted(view) == first + 30


async def test_waiting_for_nine_seconds_takes_none(pool: Pool) -> None:
    async with pool.session(build_timers()) as (session, view):
        view = await press(session, view, "Much later")
        assert not any(e.name == "much later" for e in view.elements)
        start = time.perf_counter()
        view = await session.step("noop(9000)")
        assert any(e.name == "much later" for e in view.elements)
        assert time.perf_counter() - start < 8


async def test_a_dialog_holds_the_time_and_its_answer_lets_it_go_on(pool: Pool) -> None:
    async with pool.session(build_timers()) as (session, view):
        view = await press(session, view, "Ask")
        assert view.dialog is not None
        view = await session.step("accept_dialog()")
        assert any(e.name == "answered" for e in view.elements)


async def test_the_same_actions_give_the_same_times_dates_and_frames(pool: Pool) -> None:
    page = """<title>x</title><p id=p></p><button onclick="p.textContent = [n, Date.now(), performance.now()].join()">Tell</button>
<script>let n = 0; const tick = () => { n++; requestAnimationFrame(tick); }; tick();</script>"""
    seen = list[tuple[str, str]]()
    for pause in (0, 0.2):
        async with pool.session(build_world({"/t": page}, "/t", page_time_ms=250)) as (session, view):
            for _ in range(2):
                await asyncio.sleep(pause)
                view = await press(session, view, "Tell")
            log: EventLog = session.log
            seen.append((view.tree, log.head))
    assert seen[0] == seen[1]
    assert '"' in seen[0][0]


async def test_navigation_tabs_and_history_work_in_page_time(pool: Pool) -> None:
    async with pool.session(build_world(page_time_ms=100)) as (session, view):
        view = await session.step(f'click("{view.find("link", "Two")}")')
        assert view.title == "Two"
        view = await session.step("back()")
        assert view.title == "Home"
        view = await session.step('new_tab("http://shop.test/two")')
        assert view.title == "Two"
        view = await session.step("focus_tab(0)")
        assert view.title == "Home"
        view = await session.step(f'click("{view.find("button", "Fetch")}")')
        assert '"slow2"' in view.changes
