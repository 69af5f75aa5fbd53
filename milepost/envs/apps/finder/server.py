"""The search site: entries with facts, found by words, shown as articles, as a table or with filters."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from milepost.envs.apps.pages import Link, Look, render
from milepost.sandbox.sites import ASGIApp, Recorder

APP = "finder"
"""Its name in events."""

RESULTS = "Results"
"""Accessible name of the list of results."""

ORDER = "Order"
"""Accessible name of the list of orders in which results can be shown."""

_SORTS = ("Best match", "Newest", "Oldest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something to find."""

    id: str
    title: str
    facts: Mapping[str, str]
    """Label to value, shown with the entry and searched too."""
    text: str = ""
    rank: int = 0
    """Place in time, the newest highest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the site looks, what its controls are called, and what it holds."""

    look: Look
    home: str
    heading: str
    """Heading of the start page."""
    label: str
    """Accessible name of the search field."""
    button: str
    view: str
    """How results are shown: `articles`, `table`, or `cards`, which a script fills and filters."""
    entries: tuple[Entry, ...]
    featured: tuple[Entry, ...]
    """Entries that the start page links to."""
    filters: tuple[str, ...] = ()
    """Labels of the facts by which cards can be filtered."""
    page_size: int = 5
    notices: tuple[tuple[str, str], ...] = (
        ("About", "Search by any word."),
        ("Help", "Use fewer words to find more."),
    )
    """Further pages: heading and text."""


def _split(text: str) -> set[str]:
    return set("".join(c if c.isalnum() else " " for c in text.lower()).split())


def search(entries: tuple[Entry, ...], query: str, sort: str = "") -> tuple[Entry, ...]:
    """Find the entries with any of the query's words in title or facts, those with most of them first."""
    wanted = _split(query)
    weighed = [(len(wanted & _split(" ".join((e.title, *e.facts.values())))), e) for e in entries]
    found = [(weight, entry) for weight, entry in weighed if weight]
    if sort in ("Newest", "Oldest"):
        found.sort(key=lambda pair: pair[1].rank, reverse=sort == "Newest")
    else:
        found.sort(key=lambda pair: -pair[0])
    return tuple(entry for _, entry in found)


def build(layout: Layout, record: Recorder) -> ASGIApp:
    """Make the site. Nothing on it changes but the record of searches and opened entries."""
    site = _Site(layout, record)
    return Starlette(
        routes=[
            Route("/", site.show_home),
            Route("/search", site.show_results),
            Route("/api/search", site.send_results),
            Route("/entries/{id}", site.show_entry),
            Route("/pages/{page}", site.show_notice),
        ]
    )


_MISSING = PlainTextResponse("There is nothing here.", status_code=404)


class _Site:
    """One episode's pages."""

    def __init__(self, layout: Layout, record: Recorder) -> None:
        self._layout = layout
        self._record = record
        self._entries = {entry.id: entry for entry in layout.entries}
        self._notices = {heading.lower(): (heading, text) for heading, text in layout.notices}
        notices = [Link(label=heading, href=f"/pages/{path}") for path, (heading, _) in self._notices.items()]
        self._links = (Link(label=layout.home, href="/"), *notices)

    def _page(self, template: str, here: str, **context: object) -> Response:
        layout = self._layout
        more = {"query": "", "sort": _SORTS[0], "sorts": _SORTS, "order": ORDER, **context}
        return render(template, look=layout.look, links=self._links, here=here, layout=layout, **more)

    async def show_home(self, request: Request) -> Response:
        return self._page("finder/home.html", "/")

    async def show_notice(self, request: Request) -> Response:
        path = request.path_params["page"]
        if path not in self._notices:
            return _MISSING
        heading, text = self._notices[path]
        return self._page("notice.html", f"/pages/{path}", heading=heading, text=text)

    def _find(self, request: Request) -> tuple[str, tuple[Entry, ...], int, int]:
        """Give the query, the page's entries, the page and how many there are; the search is recorded."""
        asked, size = request.query_params, self._layout.page_size
        query = " ".join(asked.get("q", "").split())
        chosen = {label: asked.getlist(label) for label in self._layout.filters}
        found = [
            entry
            for entry in search(self._layout.entries, query, asked.get("sort", ""))
            if all(not values or entry.facts[label] in values for label, values in chosen.items())
        ]
        pages = max(1, -(-len(found) // size))
        wanted = asked.get("page", "")
        page = min(max(1, int(wanted) if wanted.isdecimal() and len(wanted) < 6 else 1), pages)
        self._record("search.executed", {"query": query, "page": page, "found": len(found)})
        return query, tuple(found[(page - 1) * size : page * size]), page, pages

    async def show_results(self, request: Request) -> Response:
        query, entries, page, pages = self._find(request)
        sort = request.query_params.get("sort", _SORTS[0])
        context = {"query": query, "entries": entries, "page": page, "pages": pages, "sort": sort}
        return self._page("finder/results.html", "", **context)

    async def send_results(self, request: Request) -> Response:
        query, entries, page, pages = self._find(request)
        rows = [{"id": e.id, "title": e.title, "facts": list(e.facts.values())} for e in entries]
        return JSONResponse({"query": query, "rows": rows, "page": page, "pages": pages})

    async def show_entry(self, request: Request) -> Response:
        entry = self._entries.get(request.path_params["id"])
        if entry is None:
            return _MISSING
        self._record("entry.opened", {"id": entry.id, "title": entry.title})
        return self._page("finder/entry.html", "", entry=entry)
