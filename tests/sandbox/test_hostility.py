"""Pages that would break, fool or hang what looks at them. Each is an error in the observation or a typed failure
within the deadline, and other episodes do not notice."""

import asyncio
import os
import re
import shlex
import signal
from pathlib import Path

import pytest

from milepost.sandbox import chromium
from milepost.sandbox.browser import BrowserOptions
from milepost.sandbox.chromium import find_chromium
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.pool import Pool
from milepost.sandbox.world import Deadlines, World
from tests.sandbox.conftest import build_world

pytestmark = pytest.mark.browser

PAGES = {
    "/loop": "<title>Loop</title><button onclick='while (true);'>Spin</button>",
    "/alerts": "<title>Alerts</title><h1>x</h1><button onclick=\"setInterval(() => alert('again'), 1)\">Start</button>",
    "/trap": """<title>Trap</title><button>Touch</button><a href=/two>Leave</a>
<script>onbeforeunload = e => { e.preventDefault(); return 'stay'; };</script>""",
    "/huge": """<title>Huge</title><button>First</button><script>
document.body.insertAdjacentHTML('beforeend', '<i></i>'.repeat(100000));</script>""",
    "/deep": """<title>Deep</title><body><script>let e = document.body;
for (let i = 0; i < 400; i++) e = e.appendChild(document.createElement('div'));
e.innerHTML = '<button>Bottom</button>';</script>""",
    "/gone": "<title>Gone</title><button onclick='document.documentElement.remove()'>Remove</button>",
    "/map": """<title>Map</title><img usemap="#m" width=200 height=100 alt=Plan src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">
<map name=m><area href=/two alt=Kitchen shape=rect coords="0,0,80,100"><area href=/ alt=Hall shape=circle coords="150,50,40"></map>""",
    "/console": "<title>Console</title><script>setInterval(() => { for (let i = 0; i < 999; i++) console.log(i) })</script>",
    "/history": """<title>History</title><button>Here</button><script>let n = 0;
setInterval(() => { for (let i = 0; i < 99; i++) history.pushState({}, '', '/history?' + n++) })</script>""",
    "/endless": """<h1>x</h1><p id=p></p><div id=d>y</div><button onclick="open('/two?' + long)">Open</button><script>
const long = 'e'.repeat(2e5);
document.title = p.textContent = long;
d.setAttribute('role', 'doc-' + long);
history.replaceState({}, '', '/?' + long);</script>""",
    "/reload": "<title>Reload</title><script>setTimeout(() => location.reload(), 100)</script><h1>x</h1>",
}

# A form with a field for every member of a form, and a document with an image for every member of a document.
NAMED = """<title>Names</title><h1>Waiting</h1><body><script>
const members = thing => {
  const all = new Set();
  for (let x = thing; x; x = Object.getPrototypeOf(x)) for (const name of Object.getOwnPropertyNames(x)) all.add(name);
  return [...all].sort();
};
const fields = members(document.createElement('form')).map(n => `<label>${n}<input name="PREFIX${n}"></label>`);
const images = members(document).map(n => `<img name="PREFIX${n}" alt="${n}">`), heading = document.querySelector('h1');
addEventListener('submit', e => { e.preventDefault(); heading.textContent = 'Sent'; });
const html = `<form tabindex=0 aria-label=Fields>${fields.join('')}<button>Go</button></form>${images.join('')}`;
document.body.insertAdjacentHTML('beforeend', html);
</script>"""
for prefix in ("", "x-"):
    PAGES[f"/{prefix}names"] = NAMED.replace("PREFIX", prefix)
    PAGES[f"/{prefix}frame"] = f"<title>Names</title><iframe title=Inner src='/{prefix}names'></iframe>"


def build_hostile(start: str) -> World:
    return build_world(PAGES, start, tidy=False)


@pytest.fixture
async def brisk() -> Pool:
    return Pool(contexts=3, deadlines=Deadlines(step_s=4))


async def test_a_page_that_never_yields_fails_within_the_deadline_and_alone(brisk: Pool) -> None:
    try:
        async with (
            brisk.session(build_world()) as (other, _),
            brisk.session(build_hostile("/loop")) as (session, _),
        ):
            stuck = asyncio.create_task(session.step('click("1")'))
            view = await other.step("noop(50)")
            assert view.title == "Home"
            with pytest.raises(SandboxError) as caught:
                await stuck
            assert caught.value.failure is Failure.TIMEOUT
            assert (await other.step("scroll(0, 10)")).last_error == ""
        async with brisk.session(build_world()) as (_, view):
            assert view.title == "Home"
    finally:
        await brisk.close()


async def test_a_storm_of_alerts_is_one_dialog_after_the_other(pool: Pool) -> None:
    async with pool.session(build_hostile("/alerts")) as (session, view):
        view = await session.step(f'click("{view.find("button", "Start")}")')
        for _ in range(3):
            view = await session.step("noop(20)") if view.dialog is None else view
            assert view.dialog is not None
            assert view.dialog.message == "again"
            view = await session.step("accept_dialog()")
        while view.dialog is None:
            view = await session.step("noop(20)")
        refused = await session.step('click("1")')
        assert "dialog is open" in refused.last_error


async def test_a_page_that_floods_its_console_fails_alone(pool: Pool) -> None:
    async with pool.session(build_world()) as (other, _):

        async def watch() -> None:
            async with pool.session(build_hostile("/console")) as (session, _):
                while True:
                    await session.step("noop(50)")

        with pytest.raises(SandboxError, match="more than can be listened to") as caught:
            await watch()
        assert caught.value.failure is Failure.INFRASTRUCTURE
        assert (await other.step("scroll(0, 10)")).last_error == ""


async def test_a_page_that_pushes_history_without_end_is_slowed_down(pool: Pool) -> None:
    async with pool.session(build_hostile("/history")) as (session, view):
        view = await session.step(f'click("{view.find("button", "Here")}")')
        assert (view.title, view.last_error) == ("History", "")
        pushed = [e for e in session.log.events if e.kind == "history_navigated"]
        assert 0 < len(pushed) < 1000


async def test_what_a_page_says_without_end_is_cut(pool: Pool) -> None:
    async with pool.session(build_hostile("/endless")) as (session, view):
        assert (len(view.title), len(view.url)) == (1000, 10_000)
        assert [(e.role, len(e.name)) for e in view.elements] == [
            ("heading", 1),
            ("text", 20_000),
            ("text", 1),
            ("button", 4),
        ]
        await session.step(f'click("{view.find("button", "Open")}")')
        assert max(len(str(event)) for event in session.log.events) < 11_000


async def test_a_page_that_will_not_be_left_asks_first(pool: Pool) -> None:
    async with pool.session(build_hostile("/trap")) as (session, view):
        leave = view.find("link", "Leave")
        view = await session.step(f'click("{view.find("button", "Touch")}")')
        view = await session.step(f'click("{leave}")')
        assert view.dialog is not None
        assert view.dialog.type == "beforeunload"
        view = await session.step("dismiss_dialog()")
        assert view.title == "Trap"
        view = await session.step('goto("http://shop.test/two")')
        assert view.dialog is not None
        view = await session.step("accept_dialog()")
        assert view.title == "Two"


@pytest.mark.parametrize(("page", "name"), [("/huge", "First"), ("/deep", "Bottom")])
async def test_large_and_deep_pages_are_read(pool: Pool, page: str, name: str) -> None:
    async with pool.session(build_hostile(page)) as (session, view):
        view = await session.step(f'click("{view.find("button", name)}")')
        assert view.last_error == ""


@pytest.mark.parametrize("page", ["names", "frame"])
async def test_fields_and_images_that_are_named_like_members_hide_nothing(pool: Pool, page: str) -> None:
    seen = []
    for prefix in ("", "x-"):
        async with pool.session(build_hostile(f"/{prefix}{page}")) as (session, view):
            assert len(view.elements) > 600
            field = next(e for e in view.elements if (e.role, e.name) == ("textbox", "firstChild"))
            filled = await session.step(f'fill("{field.id}", "some text")')
            sent = await session.step(f'click("{filled.find("button", "Go")}")')
            form = await session.step(f'focus("{sent.find("form", "Fields")}")')
            away = await session.step("scroll(0, 200)")
            views = (view, filled, sent, form, away)
            assert [v.last_error for v in views] == [""] * 5
            assert next(e.value for e in filled.elements if e.id == field.id) == "some text"
            assert sent.find("heading", "Sent")
            seen.append([v.elements for v in views])
    assert seen[0] == seen[1]


@pytest.mark.parametrize("name", ["names.js", "walker.js"])
def test_the_walker_reads_what_pages_can_hide_through_the_prototypes_alone(name: str) -> None:
    folder = Path(chromium.__file__).parent
    quoted = re.findall(r"'([A-Za-z ]+)'", (folder / "members.js").read_text("utf-8"))
    taken = set(" ".join(quoted).split()) - {"form", "milepostMembers"}
    assert {"tagName", "activeElement", "querySelector"} <= taken
    code = re.sub(r"(^|\s)//.*", "", (folder / name).read_text("utf-8"), flags=re.MULTILINE)
    code = code.replace("globalThis.scrollBy(", "")
    assert re.findall(rf"[\w)\]]\.(?:{'|'.join(taken)})\b(?!:)", code) == []


async def test_a_document_without_a_root_is_empty(pool: Pool) -> None:
    async with pool.session(build_hostile("/gone")) as (session, view):
        view = await session.step('click("1")')
        assert view.elements == ()
        view = await session.step('goto("http://shop.test/two")')
        assert view.title == "Two"


async def test_a_page_that_loads_itself_again_and_again_is_read_all_the_same(pool: Pool) -> None:
    async with pool.session(build_hostile("/reload")) as (session, view):
        assert view.title == "Reload"
        # A reload that begins in the same instant wins, in any Chromium: the agent goes again.
        while view.title == "Reload":
            view = await session.step('goto("http://shop.test/two")')
            assert view.last_error == ""
        assert view.title == "Two"


async def test_a_crashed_renderer_is_an_infrastructure_failure_of_its_episode_alone(pool: Pool) -> None:
    async with pool.session(build_world()) as (other, _), pool.session(build_world()) as (session, _):
        assert session._tabs is not None
        session._tabs.active.post_input("Page.crash", {})
        with pytest.raises(SandboxError) as caught:
            await session.step("noop(100)")
        assert caught.value.failure is Failure.INFRASTRUCTURE
        assert (await other.step("noop()")).title == "Home"


async def test_a_dead_browser_is_replaced(pool: Pool) -> None:
    browser = await pool.warm_up()
    session, _ = await pool.open(build_world())
    browser.connection.post("Browser.crash")
    with pytest.raises(SandboxError) as caught:
        await session.step("noop(200)")
    assert caught.value.failure is Failure.INFRASTRUCTURE
    await session.close()
    async with pool.session(build_world()) as (_, view):
        assert view.title == "Home"


async def test_episodes_outlive_the_gpu_process(pool: Pool) -> None:
    async with pool.session(build_world()) as (session, view):
        await session.screenshot()
        browser = await pool.warm_up()
        processes = (await browser.connection.send("SystemInfo.getProcessInfo"))["processInfo"]
        victims = [process["id"] for process in processes if process["type"] == "GPU"]
        assert len(victims) == 1
        os.kill(victims[0], signal.SIGKILL)
        view = await session.step(f'click("{view.find("link", "Two")}")')
        assert view.title == "Two"
        assert await session.screenshot()


async def test_the_parts_of_an_image_map_are_clicked_where_they_are(pool: Pool) -> None:
    async with pool.session(build_hostile("/map")) as (session, view):
        hall = view.find("link", "Hall")
        kitchen = await session.step(f'click("{view.find("link", "Kitchen")}")')
        assert kitchen.title == "Two"
        view = await session.step("back()")
        assert view.find("link", "Hall") == hall
        view = await session.step(f'click("{hall}")')
        assert view.title == "Home"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "chrome://version",
        "view-source:http://shop.test/",
        "javascript:alert(1)",
        "data:text/html,x",
        "about:blank",
        "http://evil.test/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://shop.test@evil.test/",
        "http://shop.test:81/",
        "http://[shop.test/",
        "blob:http://shop.test/x",
        "https://shop.test/",
    ],
)
async def test_only_the_episodes_own_sites_are_opened(pool: Pool, url: str) -> None:
    async with pool.session(build_world()) as (session, _):
        for verb in ("goto", "new_tab"):
            view = await session.step(f"{verb}({url!r})")
            assert view.url == "http://shop.test/"
            assert "is not open to this episode" in view.last_error or "is not a URL" in view.last_error


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\0",
        "\x1b[2J",
        "click(" * 500,
        "fill('1', '" + "x" * 200_000 + "')",
        "\ud83d",
        "paste " * 1_700_000,
    ],
)
async def test_any_text_of_an_agent_is_an_error_at_worst(pool: Pool, text: str) -> None:
    async with pool.session(build_world()) as (session, _):
        view = await session.step(text)
        assert view.last_error
        assert (await session.step("noop()")).last_error == ""


GLUTTON = """<title>Glutton</title><button onclick="const all = []; for (;;) all.push(new Array(1e5).fill(all.length))">Eat</button>"""


async def test_a_renderer_without_memory_fails_its_episode_alone(tmp_path: Path) -> None:
    # Chromium with a small heap for scripts: the same end as with a large one, sooner.
    lean = tmp_path / "chromium"
    lean.write_text(
        f'#!/bin/sh\nexec {shlex.quote(str(find_chromium(os.environ).path))} --js-flags=--max-old-space-size=64 "$@"\n'
    )
    lean.chmod(0o755)
    pool = Pool(contexts=2, options=BrowserOptions(executable=str(lean)))
    try:
        async with (
            pool.session(build_world()) as (other, _),
            pool.session(build_world({"/eat": GLUTTON}, "/eat")) as (session, _),
        ):
            with pytest.raises(SandboxError) as caught:
                await session.step('click("1")')
            assert caught.value.failure is Failure.INFRASTRUCTURE
            assert (await other.step("scroll(0, 10)")).title == "Home"
    finally:
        await pool.close()
