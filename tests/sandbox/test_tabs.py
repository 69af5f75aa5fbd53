"""Tabs that the agent and pages open and close, in a real Chromium."""

import pytest

from milepost.sandbox.events import NavigationCompleted, TabClosed, TabFocused, TabOpened
from milepost.sandbox.frames import name_prefix
from milepost.sandbox.pool import Pool
from tests.sandbox.conftest import build_world

pytestmark = pytest.mark.browser

PAGES = {
    "/tabs": """<title>Opener</title><a href="/two" target=_blank>Blank</a>
<a href="/two" target=_blank rel=noopener>Alone</a>
<button onclick="window.open('/popup')">Popup</button><button onclick="window.open()">Empty</button>
<button onclick="for (let i = 0; i < 30; i++) window.open('/two')">Storm</button>
<button onclick="window.close()">Vanish</button><form action="/two" target=_blank><button>Send</button></form>""",
    "/popup": "<title>Popup</title><button onclick='window.close()'>Close me</button>",
}


def test_ids_of_later_tabs_begin_with_letters() -> None:
    assert [name_prefix(n) for n in (0, 1, 2, 25, 26, 27)] == ["", "b", "c", "z", "ba", "bb"]


@pytest.mark.parametrize("name", ["Blank", "Alone", "Send"])
async def test_a_link_to_a_new_tab_brings_it_into_view(pool: Pool, name: str) -> None:
    async with pool.session(build_world(PAGES, "/tabs")) as (session, view):
        target = next(e.id for e in view.elements if e.name == name)
        view = await session.step(f'click("{target}")')
        assert (view.title, view.last_effect) == ("Two", "tab")
        assert view.tabs == ("0: Opener", "* 1: Two")
        assert view.elements[0].id == "b1"
        facts = [e.fact for e in session.log.events]
        assert [f for f in facts if isinstance(f, TabOpened | TabFocused)] == [
            TabFocused(tab=1),
            TabOpened(tab=1, url=f"http://shop.test/two{'?' if name == 'Send' else ''}"),
        ]
        loaded = [f.tab for f in facts if isinstance(f, NavigationCompleted)]
        assert loaded == [0, 1]


async def test_a_popup_that_closes_itself_gives_the_view_back(pool: Pool) -> None:
    async with pool.session(build_world(PAGES, "/tabs")) as (session, view):
        view = await session.step(f'click("{view.find("button", "Popup")}")')
        assert view.title == "Popup"
        view = await session.step('click("1")')
        assert view.last_error == "no element of this tab has the id 1; take one from the tree"
        view = await session.step(f'click("{view.find("button", "Close me")}")')
        assert (view.title, view.tabs, view.last_effect) == ("Opener", ("* 0: Opener",), "tab")
        assert TabClosed(tab=1) in [e.fact for e in session.log.events]


async def test_the_agent_opens_visits_and_closes_tabs(pool: Pool) -> None:
    async with pool.session(build_world(PAGES, "/tabs")) as (session, view):
        view = await session.step('new_tab("http://shop.test/two")')
        assert view.tabs == ("0: Opener", "* 1: Two")
        view = await session.step("focus_tab(0)")
        assert (view.title, view.last_effect) == ("Opener", "tab")
        view = await session.step("focus_tab(7)")
        assert view.last_error == "no tab 7; tabs: 0, 1"
        view = await session.step("close_tab()")
        assert view.tabs == ("* 1: Two",)
        view = await session.step("close_tab()")
        assert view.last_error == "this is the only tab; an episode keeps one"
        view = await session.step('new_tab("http://evil.test/")')
        assert "is not open to this episode" in view.last_error
        view = await session.step("new_tab()")
        assert view.tabs[-1] == "* 2: "


async def test_an_empty_popup_is_a_tab_too(pool: Pool) -> None:
    async with pool.session(build_world(PAGES, "/tabs")) as (session, view):
        view = await session.step(f'click("{view.find("button", "Empty")}")')
        assert view.tabs == ("0: Opener", "* 1: ")


async def test_a_storm_of_popups_ends_at_the_limit(pool: Pool) -> None:
    async with pool.session(build_world(PAGES, "/tabs")) as (session, view):
        view = await session.step(f'click("{view.find("button", "Storm")}")')
        assert len(view.tabs) == 10
        view = await session.step("focus_tab(0)")
        assert view.title == "Opener"
