import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

from milepost.sandbox.sites import ASGIApp, Recorder, Site
from milepost.sandbox.world import World

PAGE = """<!doctype html><title>Home</title><h1>Hello</h1>
<form aria-label="Order" onsubmit="event.preventDefault();document.querySelector('dialog').showModal()">
<label for="a">Amount</label><input id="a" required><label>Category <select><option>Food<option>Travel</select></label>
<label><input type="checkbox"> Agree</label><button>Submit</button></form>
<dialog aria-label="Confirm order"><p>Sure?</p><button id="c">Confirm</button></dialog>
<a href="/two">Two</a> <a href="/file">Export CSV</a> <a href="/bad-name">Odd name</a>
<button id="f">Fetch</button><button disabled>Off</button>
<button onclick="confirm('really?') ? o.textContent = 'yes' : o.textContent = 'no'">Ask</button>
<div id="o"></div><div style="position:relative"><button>Under</button>
<div style="position:absolute;inset:0">cover</div></div>
<script>
c.onclick = async () => { const r = await fetch('/api', {method: 'POST', body: 'x'}); const t = await r.text();
  document.querySelector('dialog').close(); o.innerHTML = '<div role=status>' + t + '</div>'; };
f.onclick = async () => { for (let i = 0; i < 3; i++) { const r = await fetch('/slow'); o.textContent = await r.text() + i; } };
</script>"""

RESPONSES = {
    "/": ("text/html", PAGE, ""),
    "/two": ("text/html", "<title>Two</title><h1>Second</h1><a href='/'>Home</a>", ""),
    "/file": ("text/csv", "a,b\n1,2\n", 'attachment; filename="x.csv"'),
    "/bad-name": ("text/csv", "a\n", 'attachment; filename="../../../CON"'),
    "/slow": ("text/plain", "slow", ""),
    "/api": ("text/plain", "Saved!", ""),
}


def build_site(pages: dict[str, str] | None = None) -> Site:
    """A small site: the pages above, and any extra HTML pages by path."""

    def build(recorder: Recorder) -> ASGIApp:
        async def app(
            scope: MutableMapping[str, Any], _receive: Callable[[], Any], send: Callable[[Any], Any]
        ) -> None:
            path = scope["path"]
            kind, body, disposition = RESPONSES.get(path, ("text/plain", "missing", ""))
            if pages and path in pages:
                kind, body, disposition = "text/html", pages[path], ""
            if path == "/slow":
                await asyncio.sleep(0.02)
            if path == "/api":
                recorder("order.placed", {"amount": "1"})
            headers = [(b"content-type", kind.encode())]
            if disposition:
                headers.append((b"content-disposition", disposition.encode()))
            status = 200 if path in RESPONSES or (pages and path in pages) else 404
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body.encode()})

        return app

    return Site(app="shop", build=build)


def build_world(
    pages: dict[str, str] | None = None, start: str = "/", *, tidy: bool = True, **more: Any
) -> World:
    """A world of that site. Untidy ones have a context of their own, which is dear."""
    return World(
        task="test",
        seed=0,
        split="train",
        goal="a goal",
        start_url=f"http://shop.test{start}",
        sites={"shop.test": build_site(pages)},
        tidy=tidy,
        **more,
    )
