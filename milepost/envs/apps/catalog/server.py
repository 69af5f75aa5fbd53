"""The catalogue site: a search, results in pages, and a page for each item."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from milepost.envs.apps.pages import Link, Look, render
from milepost.sandbox.sites import ASGIApp, Recorder


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something the shop sells."""

    sku: str
    name: str
    price: int
    """In whole dollars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the site looks and what its controls are called."""

    look: Look
    home_link: str
    """Label of the navigation entry that leads to the start page."""
    search_at: str
    """Where the search stands: `header` (of every page) or `page` (start page and results only)."""
    search_type: str
    """Type of the search field: `search` or `text`."""
    search_label: str
    """Accessible name of the search field."""
    button: str
    """Caption of the button that searches."""
    results_as: str
    """How results are shown: `table`, `list` or `tiles`."""
    in_place: bool
    """Whether results appear in the page, fetched by a script, or on a page of their own."""
    page_size: int
    """Results a page."""
    sorted_by: str
    """Order of the results: `name` or `price`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """One page of what a search found."""

    query: str
    items: tuple[Item, ...]
    page: int
    pages: int


def search(items: Sequence[Item], query: str, sorted_by: str) -> tuple[Item, ...]:
    """Find the items whose name holds any of the query's words, sorted by `name` or by `price` and name."""
    wanted = set(query.lower().split())
    found = [item for item in items if wanted & set(item.name.lower().split())]
    return tuple(sorted(found, key=lambda item: (item.price if sorted_by == "price" else 0, item.name)))


_NOTICES = {
    "/orders": ("Orders", "You have no orders yet."),
    "/help": ("Help", "Look for an item by any word of its name."),
}


def build(layout: Layout, items: tuple[Item, ...], featured: tuple[Item, ...], record: Recorder) -> ASGIApp:
    """Make the site. Nothing on it changes but the record of searches and opened items."""
    site = _Site(layout, items, featured, record)
    return Starlette(
        routes=[
            Route("/", site.show_home),
            Route("/search", site.show_results),
            Route("/found", site.send_results),
            Route("/items/{sku}", site.show_item),
            *(Route(path, site.show_notice) for path in _NOTICES),
        ]
    )


class _Site:
    """One episode's pages."""

    def __init__(
        self, layout: Layout, items: tuple[Item, ...], featured: tuple[Item, ...], record: Recorder
    ) -> None:
        self._layout = layout
        self._items = {item.sku: item for item in items}
        self._featured = featured
        self._record = record
        self._links = (
            Link(label=layout.home_link, href="/"),
            Link(label="Orders", href="/orders"),
            Link(label="Help", href="/help"),
        )

    def _page(
        self, template: str, here: str, *, results: Results | None = None, **context: object
    ) -> Response:
        layout = self._layout
        return render(
            template,
            look=layout.look,
            links=self._links,
            here=here,
            layout=layout,
            results=results,
            **context,
        )

    def _search(self, request: Request) -> Results:
        query = " ".join(request.query_params.get("q", "").split())
        found = search(tuple(self._items.values()), query, self._layout.sorted_by)
        size = self._layout.page_size
        pages = max(1, -(-len(found) // size))
        page = min(_page_number(request.query_params.get("page", "")), pages)
        self._record("search.executed", {"query": query, "page": page, "found": len(found)})
        return Results(query=query, items=found[(page - 1) * size : page * size], page=page, pages=pages)

    async def show_home(self, request: Request) -> Response:
        return self._page("catalog/home.html", "/", featured=self._featured)

    async def show_results(self, request: Request) -> Response:
        return self._page("catalog/results.html", "", results=self._search(request))

    async def send_results(self, request: Request) -> Response:
        results = self._search(request)
        html = self._page("catalog/found.html", "", results=results).body
        return JSONResponse({"query": results.query, "html": bytes(html).decode()})

    async def show_item(self, request: Request) -> Response:
        item = self._items.get(request.path_params["sku"])
        if item is None:
            return PlainTextResponse("There is no such item.", status_code=404)
        self._record("item.opened", {"sku": item.sku, "name": item.name})
        return self._page("catalog/item.html", "", item=item)

    async def show_notice(self, request: Request) -> Response:
        heading, text = _NOTICES[request.url.path]
        return self._page("catalog/notice.html", request.url.path, heading=heading, text=text)


def _page_number(text: str) -> int:
    return max(1, int(text)) if text.isdecimal() and len(text) < 6 else 1
