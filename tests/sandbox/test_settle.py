"""A page is read when it has come to rest: after each way to load, from fast servers and slow ones."""

import asyncio
from collections.abc import AsyncIterator, Callable, MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_sockets
from websockets.http11 import Request, Response

from milepost.sandbox.follower import Follower
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool
from milepost.sandbox.session import Session
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
    "a fetch that is told of first": """<button onclick="load()">Go</button><script>const load = async () => { h.textContent = 'Asked';
  const r = await fetch('/text?ms=MS'); h.textContent = 'Reading'; h.textContent = await r.text(); }</script>""",
    "xhr": """<button onclick="load()">Go</button><script>const load = () => {
  const x = new XMLHttpRequest(); x.onload = () => { h.textContent = x.responseText; }; x.open('GET', '/text?ms=MS'); x.send(); }</script>""",
    "navigation in a frame": "<iframe src='/inside?ms=MS' title=Frame></iframe>",
    "a frame that is put in": """<button onclick="document.body.append(Object.assign(document.createElement('iframe'),
  {src: '/end?ms=MS'}))">Go</button>""",
    "a picture that is put in": """<button onclick="load()">Go</button><script>const load = () => {
  const picture = new Image(); picture.onerror = () => { h.textContent = 'The end'; }; picture.src = '/text?ms=MS'; }</script>""",
    "a script that is put in": """<button onclick="document.body.append(Object.assign(document.createElement('script'),
  {src: '/script?ms=MS'}))">Go</button>""",
}
DELAYS = (0, 30, 200)
SLOWEST = {1000: ("link", "redirects", "fetches")}
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
                case "/script":
                    body, headers = f"h.textContent = '{END}'", [(b"content-type", b"text/javascript")]
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
        tidy=True,
        **more,
    )


async def follow(pool: Pool, way: str, **more: Any) -> list[tuple[str, int]]:
    """Take a way on servers that answer after some time; gives those whose end was not seen, or the page unsettled."""
    missed = []
    async with pool.session(build_slow_world("/start?way=link&of=0", **more)) as (session, _):
        delays = DELAYS if "page_time_ms" not in more else DELAYS[::2]
        for ms in (*delays, *(ms for ms, ways in SLOWEST.items() if way in ways)):
            view = await session.step(f'goto("http://slow.test/start?way={way.replace(" ", "+")}&of={ms}")')
            assert view.find("heading", "Not yet")
            go = view.find("button", "Go") or view.find("link", "Go")
            view = await session.step(f'click("{go}")')
            if not (view.find("heading", END) and session.settled):
                missed.append((way, ms))
    return missed


@pytest.mark.parametrize("page_time_ms", [None, 500])
async def test_every_way_to_load_is_waited_for_however_slow_the_server(
    pool: Pool, page_time_ms: int | None
) -> None:
    more = {} if page_time_ms is None else {"page_time_ms": page_time_ms}
    missed = await asyncio.gather(*(follow(pool, way, **more) for way in WAYS))
    assert [case for cases in missed for case in cases] == []


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
        view = await session.step(f'click("{view.find("button", "Go")}")')
        assert session.settled
        assert any(e.name == "done" for e in view.elements)


STAYING = """<form {form}><input aria-label=Name><button>Go</button></form>
<script>document.forms[0].onsubmit = event => {{ {script} }};</script>"""


@pytest.mark.parametrize(
    ("form", "script"),
    [
        ("", "event.preventDefault();"),
        ("method=dialog", ""),
        ("", "event.target.remove();"),
        ("action='javascript:1'", ""),
    ],
)
async def test_a_form_that_goes_nowhere_leaves_the_page_settled(pool: Pool, form: str, script: str) -> None:
    page = serve(STAYING.format(form=form, script=script))
    async with pool.session(build_slow_world("/", page)) as (session, view):
        seen = await session.step(f'click("{view.find("button", "Go")}")')
    assert session.settled
    assert seen.url == "http://slow.test/"


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
        await session.step(f'click("{view.find("button", "Other")}")')
        assert [*settled, session.settled] == [False, True]


SOCKET = """<title>x</title><p role=status id=s>none</p><button onclick="socket.send('tea')">Send</button><script>
const socket = new WebSocket('ws://' + location.host + '/socket');
socket.onopen = () => { s.textContent = 'open'; }; socket.onmessage = e => { s.textContent = e.data; };
socket.onerror = () => { s.textContent = 'refused'; };</script>"""

WORKER = """onfetch = e => { if (e.request.url.endsWith('/text')) e.respondWith(
  new Promise(done => setTimeout(() => done(new Response('from the worker')), 150))); };
onactivate = e => e.waitUntil(clients.claim());"""

WORKED = """<title>x</title><p role=status id=s>none</p><button onclick="ask()">Ask</button><script>
const ask = async () => { s.textContent = await (await fetch('/text')).text(); };
const ready = new Promise(done => { navigator.serviceWorker.oncontrollerchange = done; });
navigator.serviceWorker.register('/worker.js').then(() => ready).then(() => { s.textContent = 'ready'; });</script>"""


@pytest.fixture
async def live() -> AsyncIterator[str]:
    """The host of a live server with a WebSocket that says everything again, and with a service worker."""

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(f"heard {message!s}")

    def answer(connection: ServerConnection, request: Request) -> Response | None:
        if request.path == "/socket":
            return None
        response = connection.respond(HTTPStatus.OK, WORKER if request.path == "/worker.js" else WORKED)
        if request.path == "/sockets":
            response = connection.respond(HTTPStatus.OK, SOCKET)
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "text/javascript" if request.path == "/worker.js" else "text/html"
        return response

    async with serve_sockets(echo, "127.0.0.1", 0, process_request=answer) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def build_live_world(host: str, path: str) -> World:
    return World(
        task="live",
        seed=0,
        split="train",
        goal="look",
        start_url=f"http://{host}{path}",
        sites={},
        live=(host,),
    )


async def watch(session: Session, view: Observation, status: str) -> bool:
    """Look again and again until a page that nobody can wait for says something; no step may be unsettled."""
    for _ in range(200):
        if not session.settled or view.find("status", status):
            break
        view = await session.step("noop(10)")
    return session.settled and view.find("status", status) is not None


async def test_an_open_socket_is_no_reason_to_wait_and_what_it_brings_is_seen(pool: Pool, live: str) -> None:
    async with pool.session(build_live_world(live, "/sockets")) as (session, view):
        assert await watch(session, view, "open")
        view = await session.step(f'click("{view.find("button", "Send")}")')
        assert await watch(session, view, "heard tea")


async def test_a_socket_to_a_site_of_the_episode_is_refused_and_the_page_told(pool: Pool) -> None:
    async with pool.session(build_slow_world("/", serve(SOCKET))) as (session, view):
        assert await watch(session, view, "refused")


async def test_an_answer_of_a_service_worker_is_waited_for(pool: Pool, live: str) -> None:
    async with pool.session(build_live_world(live, "/")) as (session, view):
        assert await watch(session, view, "ready")
        view = await session.step(f'click("{view.find("button", "Ask")}")')
        assert view.find("status", "from the worker")
        assert session.settled


def make_follower() -> Follower:
    follower = Follower(tab=0, target="main", sink=lambda *_: None)
    follower.world = 1
    follower.note_input('{"kind": "submitted", "role": "form", "name": ""}')
    return follower


async def test_a_form_that_was_sent_is_waited_for_until_something_loads() -> None:
    follower = make_follower()
    waiting = asyncio.create_task(follower.until_departed(60))
    await asyncio.sleep(0)
    assert not waiting.done()
    follower.on_event("Page.frameRequestedNavigation", {"frameId": "main", "disposition": "currentTab"})
    await asyncio.wait_for(waiting, 10)
    assert follower.loading


async def test_a_form_whose_answer_has_come_as_a_file_is_waited_for_no_more() -> None:
    """Its navigation begins and stops before the page is looked at."""
    follower = make_follower()
    follower.on_event("Page.frameRequestedNavigation", {"frameId": "main", "disposition": "currentTab"})
    follower.on_event("Page.frameStoppedLoading", {"frameId": "main"})
    await asyncio.wait_for(follower.until_departed(60), 10)
    assert not follower.loading
