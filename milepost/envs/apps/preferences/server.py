"""The settings site: panels below sections, switches and fields, and the record of what was saved."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from milepost.envs.apps.pages import Link, Look, render
from milepost.sandbox.sites import ASGIApp, Recorder

APP = "preferences"
"""Its name in events."""

REQUIRED = "This field is required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """Something to turn on or off."""

    label: str
    on: bool
    """How it stands at the start."""
    warning: str = ""
    """Question of the dialog that opens when it is turned on or off; empty for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A field, or with options a list to choose from."""

    key: str
    label: str
    value: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One page of settings."""

    slug: str
    title: str
    section: str
    """Heading of the section it stands in."""
    switches: tuple[Switch, ...]
    entries: tuple[Entry, ...] = ()
    channels: tuple[str, ...] = ()
    """With channels the switches stand in a table, a column each: `Mentions by Email`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the site looks and what its controls are called."""

    look: Look
    panels: tuple[Panel, ...]
    depth: int
    """Pages between the start and a panel: 0 has all panels in the navigation, 2 has pages for sections."""
    index: str
    """Heading of the list of panels, and label of the link to it."""
    save: str
    """Caption of the button that saves."""
    saved: str
    """Text of the banner after saving."""
    in_place: bool
    """Whether saving stays on the page, by a script, or loads it again."""
    switch_role: str
    """How switches are shown: `switch` or `checkbox`."""


def name_section(section: str) -> str:
    """Give a section's part of the address."""
    return section.lower().replace(" ", "-")


def describe_state(panel: Panel, on: frozenset[str], values: Mapping[str, str]) -> dict[str, str]:
    """Say what is saved of a panel, as the record has it."""
    return {"panel": panel.slug, "on": ", ".join(sorted(on)), **values}


def build(layout: Layout, record: Recorder) -> ASGIApp:
    """Make the site, with everything as it stands at the start."""
    site = _Site(layout, record)
    return Starlette(
        routes=[
            Route("/", site.show_home),
            Route("/help", site.show_help),
            Route("/billing", site.show_billing),
            Route("/team", site.show_team),
            Route("/settings", site.show_index),
            Route("/sections/{section}", site.show_section),
            Route("/settings/{slug}", site.show_panel),
            Route("/settings/{slug}", site.save, methods=["POST"]),
            Route("/api/settings/{slug}", site.send_panel),
        ]
    )


class _Site:
    """One episode's state and pages."""

    def __init__(self, layout: Layout, record: Recorder) -> None:
        self._layout = layout
        self._record = record
        self._panels = {panel.slug: panel for panel in layout.panels}
        self._on = {p.slug: {s.label for s in p.switches if s.on} for p in layout.panels}
        self._values = {p.slug: {e.key: e.value for e in p.entries} for p in layout.panels}
        panels = [Link(label=panel.title, href=f"/settings/{panel.slug}") for panel in layout.panels]
        self._links = (
            Link(label="Home", href="/"),
            *([Link(label=layout.index, href="/settings")] if layout.depth else panels),
            *(Link(label=label, href=f"/{label.lower()}") for label in ("Team", "Billing", "Help")),
        )

    def _page(self, template: str, here: str, **context: object) -> Response:
        layout = self._layout
        return render(template, look=layout.look, links=self._links, here=here, layout=layout, **context)

    def _notice(self, here: str, heading: str, text: str) -> Response:
        return self._page("notice.html", here, heading=heading, text=text)

    async def show_home(self, request: Request) -> Response:
        return self._page("preferences/home.html", "/")

    async def show_help(self, request: Request) -> Response:
        return self._notice("/help", "Help", "Nothing changes before it is saved.")

    async def show_billing(self, request: Request) -> Response:
        return self._notice("/billing", "Billing", "There is nothing to pay.")

    async def show_team(self, request: Request) -> Response:
        return self._notice("/team", "Team", "You work alone on this account.")

    async def show_index(self, request: Request) -> Response:
        layout = self._layout
        if layout.depth > 1:
            sections = dict.fromkeys(panel.section for panel in layout.panels)
            entries = [Link(label=s, href=f"/sections/{name_section(s)}") for s in sections]
        else:
            entries = [Link(label=panel.title, href=f"/settings/{panel.slug}") for panel in layout.panels]
        return self._page("preferences/index.html", "/settings", heading=layout.index, entries=entries)

    async def show_section(self, request: Request) -> Response:
        wanted = request.path_params["section"]
        panels = [panel for panel in self._layout.panels if name_section(panel.section) == wanted]
        if not panels:
            return PlainTextResponse("There is no such section.", status_code=404)
        entries = [Link(label=panel.title, href=f"/settings/{panel.slug}") for panel in panels]
        return self._page("preferences/index.html", "", heading=panels[0].section, entries=entries)

    def _show(self, panel: Panel, *, banner: str = "", errors: Mapping[str, str] = {}) -> Response:
        return self._page(
            "preferences/panel.html",
            f"/settings/{panel.slug}",
            panel=panel,
            on=self._on[panel.slug],
            values=self._values[panel.slug],
            banner=banner,
            errors=errors,
        )

    async def show_panel(self, request: Request) -> Response:
        panel = self._panels.get(request.path_params["slug"])
        if panel is None:
            return PlainTextResponse("There is no such panel.", status_code=404)
        return self._show(panel, banner=self._layout.saved if "saved" in request.query_params else "")

    async def send_panel(self, request: Request) -> Response:
        panel = self._panels.get(request.path_params["slug"])
        if panel is None:
            return PlainTextResponse("There is no such panel.", status_code=404)
        return JSONResponse({"on": sorted(self._on[panel.slug])})

    async def save(self, request: Request) -> Response:
        panel = self._panels.get(request.path_params["slug"])
        if panel is None:
            return PlainTextResponse("There is no such panel.", status_code=404)
        sent = parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
        values = {e.key: " ".join(sent.get(e.key, [""])[0].split()) for e in panel.entries}
        errors = {
            e.key: REQUIRED
            for e in panel.entries
            if not values[e.key] or (e.options and values[e.key] not in e.options)
        }
        in_place = request.headers.get("accept", "") == "application/json"
        if errors:
            return JSONResponse(errors, status_code=422) if in_place else self._show(panel, errors=errors)
        on = frozenset(switch.label for switch in panel.switches if switch.label in sent)
        self._on[panel.slug], self._values[panel.slug] = set(on), values
        self._record("settings.saved", describe_state(panel, on, values))
        if in_place:
            return JSONResponse({})
        return RedirectResponse(f"/settings/{panel.slug}?saved", status_code=303)
