"""Frames of other origins, in the same process and in others."""

from collections.abc import AsyncIterator, Callable, MutableMapping
from typing import Any

import pytest

from milepost.sandbox.browser import FLAGS
from milepost.sandbox.events import Clicked, Filled
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool
from milepost.sandbox.session import Session
from milepost.sandbox.sites import ASGIApp, Recorder, Site
from milepost.sandbox.world import World

pytestmark = pytest.mark.browser

PAGES = {
    ("shop.test", "/"): "<title>Shop</title><button>Buy</button><div style='height:HEIGHT'></div>"
    "<iframe title=Pay src='http://HOST/pay' width=300 height=200 STYLE></iframe><button>After</button>",
    (
        "*",
        "/pay",
    ): "<title>Pay</title><input aria-label=Card><div style='height:DEEP'></div><button onclick=\"h.textContent = 'Paid'\">Pay now</button>"
    "<h2 id=h>Open</h2><a href='/thanks'>Receipt</a>",
    (
        "*",
        "/thanks",
    ): "<h2>Thanks</h2><iframe title=Inner src='http://inner.test/in' width=100 height=60></iframe>",
    ("pay.test", "/hang"): "<h2>Frame</h2><script>setTimeout(() => { while (true); }, 100)</script>",
    ("inner.test", "/in"): "<button onclick=\"this.textContent = 'Seen'\">Deep</button>",
}


def build_frames(host: str, *, height: str = "10px", deep: str = "10px", style: str = "") -> World:
    def site(name: str) -> Site:
        def build(_recorder: Recorder) -> ASGIApp:
            async def app(
                scope: MutableMapping[str, Any], _receive: object, send: Callable[[Any], Any]
            ) -> None:
                body = PAGES.get((name, scope["path"])) or PAGES.get(("*", scope["path"]), "missing")
                for word, value in {"HOST": host, "HEIGHT": height, "DEEP": deep, "STYLE": style}.items():
                    body = body.replace(word, value)
                headers = [(b"content-type", b"text/html")]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await send({"type": "http.response.body", "body": body.encode()})

            return app

        return Site(app=name, build=build)

    names = ("shop.test", "pay.shop.test", "pay.test", "inner.test")
    return World(
        task="test",
        seed=0,
        split="train",
        goal="a goal",
        start_url="http://shop.test/",
        sites={name: site(name) for name in names},
    )


async def click(session: Session, view: Observation, role: str, name: str) -> Observation:
    view = await session.step(f'click("{view.find(role, name)}")')
    assert view.last_error == ""
    return view


@pytest.mark.parametrize("host", ["pay.shop.test", "pay.test"])
async def test_a_foreign_frame_is_read_clicked_filled_and_followed(pool: Pool, host: str) -> None:
    async with pool.session(build_frames(host)) as (session, view):
        assert view.tree.split("\n") == [
            '[1] button "Buy"',
            '[2] iframe "Pay"',
            ' [1f1] textbox "Card"',
            ' [1f2] button "Pay now"',
            ' [1f3] heading "Open"',
            ' [1f4] link "Receipt"',
            '[3] button "After"',
        ]
        view = await session.step('fill("1f1", "4242")')
        assert view.element("textbox", "Card").value == "4242"  # type: ignore[union-attr]
        view = await click(session, view, "button", "Pay now")
        assert view.find("heading", "Paid") == "1f3"
        view = await click(session, view, "button", "After")
        seen = [event.fact for event in session.log.events if isinstance(event.fact, Clicked | Filled)]
        assert [fact.name for fact in seen] == ["Card", "Pay now", "After"]
        view = await click(session, view, "link", "Receipt")
        assert view.find("heading", "Thanks") == "2f1"
        stale = await session.step('click("1f2")')
        assert stale.last_error == "no element of this tab has the id 1f2; take one from the tree"
        view = await click(session, view, "button", "Deep")
        assert view.find("button", "Seen") == "3f1"


@pytest.mark.parametrize("host", ["pay.shop.test", "pay.test"])
async def test_what_is_far_down_in_a_frame_far_down_is_scrolled_to(pool: Pool, host: str) -> None:
    async with pool.session(build_frames(host, height="3000px", deep="900px")) as (session, view):
        assert "offscreen" in view.element("button", "Pay now").states  # type: ignore[union-attr]
        view = await click(session, view, "button", "Pay now")
        assert view.find("heading", "Paid")


@pytest.mark.parametrize("host", ["shop.test", "pay.shop.test", "pay.test"])
@pytest.mark.parametrize(
    "style",
    [
        "style='transform: scale(.5)'",
        "style='transform: rotate(30deg) scale(.8); margin: 90px; padding: 9px'",
    ],
)
async def test_a_frame_that_is_scaled_or_turned_is_hit_where_it_is(pool: Pool, host: str, style: str) -> None:
    async with pool.session(build_frames(host, style=style)) as (session, view):
        view = await click(session, view, "button", "Pay now")
        assert view.find("heading", "Paid")


async def test_a_frame_behind_a_cover_is_not_clicked(pool: Pool) -> None:
    style = "></iframe><div style='position:fixed;inset:0' aria-label=Veil role=region></div><iframe hidden"
    async with pool.session(build_frames("pay.test", style=style)) as (session, view):
        view = await session.step(f'click("{view.find("button", "Pay now")}")')
        assert view.last_error == 'the frame 2 is covered by region "Veil"'


@pytest.fixture
async def isolating(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    """A browser that gives every site a process, as a full Chromium does."""
    monkeypatch.setattr("milepost.sandbox.browser.FLAGS", (*FLAGS, "--site-per-process"))
    pool = Pool(contexts=1)
    yield pool
    await pool.close()


async def test_a_frame_of_another_process_is_read_clicked_and_filled(isolating: Pool) -> None:
    async with isolating.session(build_frames("pay.test", height="3000px", deep="900px")) as (session, view):
        browser = await isolating.warm_up()
        answer = await browser.connection.send("Target.getTargets", {"filter": [{}]})
        assert "iframe" in [target["type"] for target in answer["targetInfos"]]
        view = await session.step(f'fill("{view.find("textbox", "Card")}", "4242")')
        assert view.element("textbox", "Card").value == "4242"  # type: ignore[union-attr]
        view = await click(session, view, "button", "Pay now")
        assert view.find("heading", "Paid")
        seen = [event.fact for event in session.log.events if isinstance(event.fact, Clicked | Filled)]
        assert [fact.name for fact in seen] == ["Card", "Pay now"]
        view = await click(session, view, "link", "Receipt")
        view = await click(session, view, "button", "Deep")
        assert view.find("button", "Seen")


async def test_a_frame_of_another_process_that_hangs_is_left_alone(isolating: Pool) -> None:
    async with isolating.session(build_frames("pay.test/hang?")) as (session, view):
        view = await session.step("noop(300)")
        assert view.find("heading", "Frame") is None
        view = await click(session, view, "button", "Buy")
        assert view.find("iframe", "Pay")
