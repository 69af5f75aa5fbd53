"""A real Chromium, a small site, every action."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from milepost.sandbox.events import (
    AppChanged,
    Clicked,
    DialogClosed,
    DialogOpened,
    DownloadFinished,
    ElementChanged,
    FileCreated,
    Filled,
    NavigationCompleted,
    Requested,
    Selected,
    Source,
    Toggled,
    Trust,
)
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.log import read_log, write_log
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool
from milepost.sandbox.session import Session
from milepost.sandbox.world import Deadlines
from tests.sandbox.conftest import build_world

pytestmark = pytest.mark.browser
T = TypeVar("T")


def facts(session: Session, kind: type[T]) -> list[T]:
    return [event.fact for event in session.log.events if isinstance(event.fact, kind)]


async def click(session: Session, view: Observation, role: str, name: str) -> Observation:
    return await session.step(f'click("{view.find(role, name)}")')


async def test_a_property_that_a_page_sets_is_witnessed(pool: Pool) -> None:
    page = """<!doctype html><title>P</title><button aria-expanded="false" onclick="this.ariaExpanded = 'true';
        document.querySelector('div').ariaValueNow = 7">Filters</button>
        <div role="progressbar" aria-label="Done" aria-valuenow="2"></div>"""
    async with pool.session(build_world({"/": page})) as (session, view):
        await click(session, view, "button", "Filters")
        assert facts(session, ElementChanged) == [
            ElementChanged(tab=0, role="button", name="Filters", value="", states="expanded"),
            ElementChanged(tab=0, role="progressbar", name="Done", value="7", states=""),
        ]


async def test_the_tree_shows_roles_names_values_and_states(pool: Pool) -> None:
    async with pool.session(build_world()) as (_, view):
        lines = view.tree.split("\n")
    assert lines[:8] == [
        '[1] heading "Hello"',
        '[2] form "Order"',
        ' [3] textbox "Amount"',
        ' [4] combobox "Category" value="Food"',
        '  [5] option "Food" selected',
        '  [6] option "Travel"',
        ' [7] checkbox "Agree"',
        ' [8] button "Submit"',
    ]
    assert '[12] button "Fetch"' in lines
    assert '[13] button "Off" disabled' in lines


async def test_a_form_is_filled_confirmed_and_saved_by_trusted_input(pool: Pool) -> None:
    async with pool.session(build_world()) as (session, view):
        view = await session.step(f'fill("{view.find("textbox", "Amount")}", "48.20")')
        view = await session.step(f'select_option("{view.find("combobox")}", "Travel")')
        view = await click(session, view, "checkbox", "Agree")
        assert view.element("textbox", "Amount").value == "48.20"  # type: ignore[union-attr]
        assert view.element("checkbox", "Agree").states == ("checked", "focused")  # type: ignore[union-attr]
        view = await click(session, view, "button", "Submit")
        assert view.tree == '[16] dialog "Confirm order"\n "Sure?"\n [17] button "Confirm" focused'
        assert view.last_effect == "dialog"
        view = await click(session, view, "button", "Confirm")
        assert view.find("status", "Saved!") is not None
        assert facts(session, Filled)[0].value == "48.20"
        assert facts(session, Selected)[0].value == "Travel"
        assert facts(session, Toggled)[0].checked is True
        assert [c.name for c in facts(session, Clicked)] == ["Agree", "Submit", "Confirm"]
        assert facts(session, AppChanged) == [
            AppChanged(app="shop", change="order.placed", data={"amount": "1"})
        ]
        assert facts(session, DialogOpened)[0].message == "Confirm order"
        assert facts(session, DialogClosed)[0].message == "Confirm order"


async def test_a_chain_of_fetches_is_waited_for_without_sleeping(pool: Pool) -> None:
    async with pool.session(build_world()) as (session, view):
        view = await click(session, view, "button", "Fetch")
        assert '"slow2"' in view.changes
        assert session.settled


async def test_a_download_lands_in_downloads_with_its_hash(pool: Pool) -> None:
    async with pool.session(build_world()) as (session, view):
        view = await click(session, view, "link", "Export CSV")
        assert [(f.path, f.size, f.change) for f in view.files] == [("Downloads/x.csv", 8, "created")]
        assert view.last_effect == "file"
        assert facts(session, DownloadFinished)[0].state == "completed"
        sha = "492d5ea496056f1a6a6592241032fab764c321596317930b4fa0e1e8bc3b7470"
        assert facts(session, FileCreated) == [FileCreated(path="Downloads/x.csv", size=8, sha256=sha)]


async def test_a_hostile_download_name_stays_inside_downloads(pool: Pool) -> None:
    async with pool.session(build_world()) as (session, view):
        view = await click(session, view, "link", "Odd name")
        assert len(view.files) == 1
        assert view.files[0].path.startswith("Downloads/")
        assert ".." not in view.files[0].path.split("/")


async def test_a_javascript_dialog_blocks_until_it_is_answered(pool: Pool) -> None:
    async with pool.session(build_world()) as (session, view):
        view = await click(session, view, "button", "Ask")
        assert view.dialog is not None
        assert (view.dialog.type, view.dialog.message) == ("confirm", "really?")
        view = await session.step('click("1")')
        assert view.last_error.startswith("a confirm dialog is open")
        view = await session.step("dismiss_dialog()")
        assert '"no"' in view.changes
        assert facts(session, DialogClosed)[0].accepted is False


async def test_a_link_navigates_and_back_returns(pool: Pool) -> None:
    async with pool.session(build_world()) as (session, view):
        view = await click(session, view, "link", "Two")
        assert (view.url, view.title, view.last_effect) == ("http://shop.test/two", "Two", "navigation")
        view = await session.step("back()")
        assert view.title == "Home"
        urls = [f.url for f in facts(session, NavigationCompleted)]
        assert urls == ["http://shop.test/", "http://shop.test/two", "http://shop.test/"]


async def test_a_page_cannot_reach_another_host(pool: Pool) -> None:
    page = """<title>x</title><button onclick="Promise.allSettled(['http://evil.test/', 'http://127.0.0.1:1/', 'https://evil.test/']
      .map(u => fetch(u, {mode: 'no-cors'}))).then(r => o.textContent = r.map(x => x.status).join())">Go</button><p id="o"></p>"""
    async with pool.session(build_world({"/x": page}, "/x")) as (session, view):
        await click(session, view, "button", "Go")
        outside = [r for r in facts(session, Requested) if "shop.test" not in r.url]
        assert outside
        assert not any(request.allowed for request in outside)


async def test_a_page_cannot_forge_input_events(pool: Pool) -> None:
    page = """<title>x</title><button id="b">Pay</button><button id="go">Go</button><script>
      window.milepostNote && milepostNote('{}');
      Object.defineProperty(Event.prototype, 'isTrusted', {get: () => true});
      go.onclick = () => { b.click(); b.dispatchEvent(new MouseEvent('click', {bubbles: true})); document.title = typeof milepostNote; };
    </script>"""
    async with pool.session(build_world({"/x": page}, "/x")) as (session, view):
        view = await click(session, view, "button", "Go")
        assert [c.name for c in facts(session, Clicked)] == ["Go"]
        assert view.title == "undefined"


async def test_observing_changes_nothing_that_a_page_can_see(pool: Pool) -> None:
    page = """<title>0</title><input value="a"><button>B</button><script>
      let n = 0; new MutationObserver(r => { n += r.filter(x => x.target.nodeName !== 'TITLE').length; })
        .observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
      for (const t of ['focus', 'scroll', 'click', 'mousemove']) addEventListener(t, () => n++, true);
      const before = document.body.outerHTML;
      addEventListener('keydown', () => { document.title = n + ',' + (before === document.body.outerHTML) }, true);
    </script>"""
    async with pool.session(build_world({"/x": page}, "/x")) as (session, view):
        # A key makes the page state what it has counted; the first one also moves the focus.
        button = view.find("button", "B")
        view = await session.step(f'press("{button}", "a")')
        counted = view.title
        assert counted.endswith(",true")
        for _ in range(3):
            view = await session.step("noop()")
        view = await session.step(f'press("{button}", "a")')
        assert view.title == counted


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ('click("999")', "no element has the id 999; take one from the tree"),
        ('click("13")', "element 13 is disabled"),
        ('fill("8", "x")', "element 8 (button) is not a text field"),
        (
            'select_option("4", "Rent")',
            '"Rent" is not an option; options: Food, Travel',
        ),
        ("hello there", "no action found in 'hello there'; expected a call such as click(\"12\")"),
        ('press("8", "Hyper+x")', "unknown modifier 'Hyper'; expected one of Alt, Control, Meta, Shift"),
        ('read_file("../../etc/passwd")', "is not a path inside the workspace"),
        ('read_file("none.txt")', "no file 'none.txt'"),
        ("noop(99999)", "noop waits 0 to 10000 ms, got 99999"),
    ],
)
async def test_an_action_that_cannot_be_done_is_an_observation_error(
    pool: Pool, action: str, error: str
) -> None:
    async with pool.session(build_world()) as (session, _):
        view = await session.step(action)
        assert error in view.last_error
        assert (await session.step("noop()")).last_error == ""


async def test_a_covered_element_is_named_with_what_covers_it(pool: Pool) -> None:
    async with pool.session(build_world()) as (session, view):
        view = await click(session, view, "button", "Under")
        assert view.last_error.endswith('is covered by generic ""')


async def test_a_link_over_two_lines_is_hit_where_it_is(pool: Pool) -> None:
    page = "<title>x</title><p style='width:90px'>some words <a href='/two'>here</a> <a id='l' href='/two'>a link that wraps</a></p>"
    async with pool.session(build_world({"/x": page}, "/x")) as (session, view):
        assert (await click(session, view, "link", "a link that wraps")).title == "Two"


async def test_scrolling_moves_the_page(pool: Pool) -> None:
    page = "<title>x</title><div style='height:3000px'></div><button>Low</button>"
    async with pool.session(build_world({"/x": page}, "/x")) as (session, view):
        assert view.element("button", "Low").states == ("offscreen",)  # type: ignore[union-attr]
        view = await session.step("scroll(0, 2900)")
        assert view.last_error == ""
        assert view.element("button", "Low").states == ()  # type: ignore[union-attr]


async def test_files_are_written_read_moved_and_deleted(pool: Pool) -> None:
    async with pool.session(build_world(files={"notes/in.txt": b"hello"})) as (session, view):
        assert [f.path for f in view.files] == ["notes/in.txt"]
        view = await session.step('read_file("notes/in.txt")')
        assert view.last_text == "hello"
        view = await session.step('write_file("out.txt", "bye")')
        assert ("out.txt", "created") in [(f.path, f.change) for f in view.files]
        view = await session.step('move_file("out.txt", "kept/out.txt")')
        assert ("kept/out.txt", "moved") in [(f.path, f.change) for f in view.files]
        view = await session.step('delete_file("kept/out.txt")')
        assert [f.path for f in view.files] == ["notes/in.txt"]


async def test_the_same_actions_give_the_same_log(pool: Pool) -> None:
    heads = []
    for _ in range(2):
        async with pool.session(build_world()) as (session, view):
            view = await session.step(f'fill("{view.find("textbox", "Amount")}", "7")')
            view = await click(session, view, "button", "Submit")
            view = await click(session, view, "button", "Confirm")
            await click(session, view, "link", "Two")
            session.end("closed")
            heads.append(session.log.head)
    assert heads[0] == heads[1]


async def test_a_page_in_an_endless_loop_is_a_typed_failure_and_hurts_no_neighbour(pool: Pool) -> None:
    page = "<title>x</title><button onclick='while (true) {}'>Hang</button>"
    pool_of_two = Pool(contexts=2, deadlines=Deadlines(reset_s=20, step_s=1.5))
    try:
        async with (
            pool_of_two.session(build_world({"/x": page}, "/x")) as (hung, view),
            pool_of_two.session(build_world()) as (fine, other),
        ):
            with pytest.raises(SandboxError) as caught:
                await click(hung, view, "button", "Hang")
            assert caught.value.failure is Failure.TIMEOUT
            other = await click(fine, other, "link", "Two")
            assert other.title == "Two"
    finally:
        await pool_of_two.close()


async def test_a_dead_browser_is_an_infrastructure_failure_and_is_replaced(pool: Pool) -> None:
    async with pool.session(build_world()) as (session, _):
        browser = await pool.warm_up()
        browser.connection.post("Browser.close")
        await asyncio.sleep(0.5)
        with pytest.raises(SandboxError) as caught:
            await session.step("noop()")
        assert caught.value.failure is Failure.INFRASTRUCTURE
    async with pool.session(build_world()) as (_, view):
        assert view.title == "Home"


async def test_sessions_share_nothing(pool: Pool) -> None:
    page = "<title>x</title><script>document.title = localStorage.n || 'new'; localStorage.n = 'old'; document.cookie = 'a=1'</script>"
    for _ in range(2):
        async with pool.session(build_world({"/x": page}, "/x")) as (_session, view):
            assert view.title == "new"


async def test_many_sessions_run_at_once(pool: Pool) -> None:
    async def episode() -> str:
        async with pool.session(build_world()) as (session, view):
            return (await click(session, view, "link", "Two")).title

    assert await asyncio.gather(*(episode() for _ in range(8))) == ["Two"] * 8


async def test_facts_that_come_after_the_last_step_stand_before_the_end_of_the_log(
    pool: Pool, tmp_path: Path
) -> None:
    async with pool.session(build_world()) as (session, _):
        session.log.note(Source.SERVER, AppChanged(app="shop", change="late", data={}))
        session.end("step_limit")
        assert [event.kind for event in session.log.events[-2:]] == ["app_changed", "episode_ended"]
        write_log(session.log.events, tmp_path / "events.jsonl")
        assert len(read_log(tmp_path / "events.jsonl")) == len(session.log.events)


async def test_events_say_who_could_have_written_them(pool: Pool, tmp_path: Path) -> None:
    async with pool.session(build_world()) as (session, view):
        await click(session, view, "link", "Export CSV")
        session.end("closed")
        trust = {event.kind: event.trust for event in session.log.events}
    assert trust["clicked"] is Trust.BROWSER
    assert trust["file_created"] is Trust.HARNESS
    assert trust["element_appeared"] is Trust.PAGE
    path = tmp_path / "events.jsonl"
    write_log(session.log.events, path)
    assert read_log(path) == list(session.log.events)


CHANCE = """<title>Chance</title><h1></h1><script>
document.querySelector('h1').textContent = [Math.random(), new Date().getFullYear(), Date().slice(0, 15),
  new Date(2020, 0, 1).getTime(), new Date() instanceof Date, performance.timeOrigin, (12.5).toLocaleString(),
  Intl.DateTimeFormat().resolvedOptions().timeZone].join(' ');</script>"""


async def test_chance_and_time_are_the_episodes_own(pool: Pool) -> None:
    shown = []
    for seed in (1, 1, 2):
        async with pool.session(replace(build_world({"/": CHANCE}), seed=seed)) as (_, view):
            shown.append(view.elements[0].name)
    assert shown[0] == shown[1] != shown[2]
    rest = shown[0].split(" ", 1)[1]
    assert rest == "2026 Mon Jan 05 2026 1577836800000 true 1767603600000 12.5 UTC"


async def test_a_world_without_an_instant_has_the_real_time(pool: Pool) -> None:
    async with pool.session(replace(build_world({"/": CHANCE}), instant_ms=None)) as (_, view):
        assert " 1767603600000 " not in view.elements[0].name
