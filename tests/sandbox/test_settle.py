"""A page is read when it has come to rest: after each way to load, from fast servers and slow ones."""

import asyncio
import time
from collections.abc import Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import pytest

from milepost.sandbox.pool import Pool
from milepost.sandbox.sites import ASGIApp, Recorder, Site
from milepost.sandbox.world import World

pytestmark = pytest.mark.browser

WAYS = {
    "link": "<a href='/end?ms=MS'>Go</a>",
    "form post": "<form method=post action='/end?ms=MS'><input name=a value=b><button>Go</button></form>",
    "script navigation": "<button onclick=\"location.href = '/end?ms=MS'\">Go</button>",
    "navigation from a task": "<button onclick=\"setTimeout(() => location.assign('/end?ms=MS'), 0)\">Go</button>",
    "redirects": "<a href='/moved?ms=MS'>Go</a>",
    "refresh": "<a href='/refresh?ms=MS'>Go</a>",
    "pushState": """<button onclick="history.pushState({}, '', '/pushed'); load()">Go</button>
<script>const load = async () => { h.textContent = await (await fetch('/text?ms=MS')).text(); }</script>""",
    "fetches": """<button onclick="load()">Go</button><script>const load = async () => {
  for (let i = 0; i < 3; i++) h.textContent = i + await (await fetch('/text?ms=MS')).text();
  h.textContent = 'The end'; }</script>""",
    "xhr": """<button onclick="load()">Go</button><script>const load = () => {
  const x = new XMLHttpRequest(); x.onload = () => { h.textContent = x.responseText; }; x.open('GET', '/text?ms=MS'); x.send(); }</script>""",
    "navigation in a frame": "<iframe src='/inside?ms=MS' title=Frame></iframe>",
    "a frame that is put in": """<button onclick="document.body.append(Object.assign(document.createElement('iframe'),
  {src: '/end?ms=MS'}))">Go</button>""",
}
DELAYS = (0, 30, 200, 1000)
END = "The end"


def build_slow_site() -> Site:
    def build(_recorder: Recorder) -> ASGIApp:
        async def app(scope: MutableMapping[str, Any], _receive: object, send: Callable[[Any], Any]) -> None:
            asked = parse_qs(scope["query_string"].decode())
            ms = asked.get("ms", ["0"])[0]
            await asyncio.sleep(int(ms) / 1000)
            headers, status = [(b"content-type", b"text/html")], 200
            body = f"<title>End</title><h1>{END}</h1>"
            match scope["path"]:
                case "/start":
                    body = f"<title>Start</title><h1 id=h>Not yet</h1>{WAYS[asked['way'][0]].replace('MS', asked['of'][0])}"
                case "/text":
                    body = END
                case "/inside":
                    body = f"<a href='/end?ms={ms}'>Go</a>"
                case "/moved":
                    status, headers = 302, [(b"location", f"/moved-again?ms={ms}".encode())]
                case "/moved-again":
                    status, headers = 307, [(b"location", b"/end")]
                case "/refresh":
                    body = "<title>x</title><script>location.replace('/end?ms=" + ms + "')</script>"
                case _:
                    pass
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body.encode()})

        return app

    return Site(app="slow", build=build)


def build_slow_world(start: str, pages: Site | None = None, **more: Any) -> World:
    return World(
        task="test",
        seed=0,
        split="train",
        goal="a goal",
        start_url=f"http://slow.test{start}",
        sites={"slow.test": pages or build_slow_site()},
        **more,
    )


async def follow(pool: Pool, way: str, ms: int, **more: Any) -> tuple[bool, bool]:
    """Take a way on a server that answers after some time; gives whether its end was seen, and the page settled."""
    world = build_slow_world(f"/start?way={way.replace(' ', '+')}&of={ms}", **more)
    async with pool.session(world) as (session, view):
        assert view.find("heading", "Not yet")
        go = view.find("button", "Go") or view.find("link", "Go")
        view = await session.step(f'click("{go}")')
        return view.find("heading", END) is not None, session.settled


@pytest.mark.parametrize("page_time_ms", [None, 500])
async def test_every_way_to_load_is_waited_for_however_slow_the_server(
    pool: Pool, page_time_ms: int | None
) -> None:
    cases = [(way, ms) for ms in DELAYS for way in WAYS]
    ends = await asyncio.gather(*(follow(pool, way, ms, page_time_ms=page_time_ms) for way, ms in cases))
    assert {case: end for case, end in zip(cases, ends, strict=True) if end != (True, True)} == {}


def serve(body: str) -> Site:
    def build(_recorder: Recorder) -> ASGIApp:
        async def app(scope: MutableMapping[str, Any], _receive: object, send: Callable[[Any], Any]) -> None:
            if scope["path"] == "/never":
                await asyncio.sleep(60)
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]}
            )
            await send({"type": "http.response.body", "body": body.encode()})

        return app

    return Site(app="one", build=build)


DEBOUNCED = """<title>x</title><input aria-label=Word><p role=status id=s>none</p><script>
let timer; document.querySelector('input').oninput = e => { clearTimeout(timer);
  timer = setTimeout(() => { s.textContent = 'found ' + e.target.value; }, 300); };</script>"""


async def test_a_debounced_field_answers_later_in_real_time(pool: Pool) -> None:
    async with pool.session(build_slow_world("/", serve(DEBOUNCED))) as (session, view):
        view = await session.step(f'type("{view.find("textbox", "Word")}", "tea")')
        assert view.find("status", "none")
        view = await session.step("noop(400)")
        assert view.find("status", "found tea")


async def test_an_animation_and_a_ticking_page_are_no_reason_to_wait(pool: Pool) -> None:
    page = """<title>x</title><style>@keyframes k { to { opacity: .5 } } p { animation: k .1s infinite alternate }</style>
<p>moving</p><output id=o>0</output><button onclick="p.textContent = 'done'">Go</button><div id=p></div><script>
const tick = () => { o.dataset.n = performance.now(); requestAnimationFrame(tick); }; tick();
setInterval(() => { o.textContent = +o.textContent + 1; }, 200);</script>"""
    async with pool.session(build_slow_world("/", serve(page))) as (session, view):
        start = time.perf_counter()
        view = await session.step(f'click("{view.find("button", "Go")}")')
        assert time.perf_counter() - start < 1.5
        assert session.settled
        assert any(e.name == "done" for e in view.elements)


async def test_a_page_that_changes_in_every_task_is_read_unsettled(pool: Pool) -> None:
    page = """<title>x</title><p id=p></p><script>const c = new MessageChannel();
c.port1.onmessage = () => { p.textContent = +p.textContent + 1; c.port2.postMessage(0); }; c.port2.postMessage(0);</script>"""
    async with pool.session(build_slow_world("/", serve(page))) as (session, view):
        assert view.title == "x"
        assert not session.settled


async def test_a_poll_without_end_is_waited_for_once(pool: Pool) -> None:
    page = "<title>x</title><button onclick=\"fetch('/never')\">Poll</button><button>Other</button>"
    async with pool.session(build_slow_world("/", serve(page))) as (session, view):
        await session.step(f'click("{view.find("button", "Poll")}")')
        settled = [session.settled]
        start = time.perf_counter()
        await session.step(f'click("{view.find("button", "Other")}")')
        assert [*settled, session.settled] == [False, True]
        assert time.perf_counter() - start < 1.5
