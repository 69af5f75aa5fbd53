"""The reports site: a list of reports, a page for each, and exports of a region to a file."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from milepost.envs.apps.pages import Link, Look, render
from milepost.sandbox.sites import ASGIApp, Recorder

EVERYWHERE = "All"
"""The region that is chosen at first: the sum of the others."""

Row = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report: a titled table for each region."""

    title: str
    owner: str
    """The team it belongs to, shown in the list."""
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[Row, ...]]
    """Rows by region, `EVERYWHERE` among them."""

    @property
    def slug(self) -> str:
        """The title as it stands in addresses: `quarterly-revenue`."""
        return self.title.lower().replace(" ", "-")

    def file_name(self, region: str, format_name: str) -> str:
        """Name the file of an export: `quarterly-revenue-north.csv`."""
        return f"{self.slug}-{region}.{format_name}".lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the site looks and what its controls are called."""

    look: Look
    list_title: str
    """Heading of the list and label of its navigation entry."""
    list_as: str
    """How the list is shown: `table`, `list` or `tiles`."""
    control: str
    """How a format is chosen: `buttons`, `select` or `menu`."""
    verb: str
    """Caption of what exports: `Export`."""
    formats: tuple[str, ...]
    """The formats on offer, in order."""
    region_label: str
    """Label of the list of regions."""
    regions: tuple[str, ...]
    """The regions on offer after `EVERYWHERE`, in order."""


def _separated(report: Report, region: str, delimiter: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(report.columns)
    writer.writerows(report.rows[region])
    return text.getvalue().encode()


def _csv(report: Report, region: str) -> bytes:
    return _separated(report, region, ",")


def _tsv(report: Report, region: str) -> bytes:
    return _separated(report, region, "\t")


def _json(report: Report, region: str) -> bytes:
    records = [dict(zip(report.columns, row, strict=True)) for row in report.rows[region]]
    return json.dumps({"report": report.title, "region": region, "rows": records}, indent=2).encode() + b"\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A file format."""

    media_type: str
    write: Callable[[Report, str], bytes]
    """Gives the file of a report and region."""


FORMATS: Mapping[str, Format] = {
    "CSV": Format(media_type="text/csv", write=_csv),
    "JSON": Format(media_type="application/json", write=_json),
    "TSV": Format(media_type="text/tab-separated-values", write=_tsv),
}
"""Every export format by the name that pages show."""


_SHOWN_ROWS = 2

_NOTICES = {
    "/team": ("Team", "Every report belongs to a team. Ask the team if a number looks wrong."),
    "/help": ("Help", "Open a report to see its first rows. A file holds the rows of a region."),
}


def build(layout: Layout, reports: tuple[Report, ...], record: Recorder) -> ASGIApp:
    """Make the site. Nothing on it changes but the record of what was exported."""
    site = _Site(layout, reports, record)
    return Starlette(
        routes=[
            Route("/", site.show_list),
            Route("/reports/{slug}", site.show_report),
            Route("/reports/{slug}/export", site.export),
            *(Route(path, site.show_notice) for path in _NOTICES),
        ]
    )


class _Site:
    """One episode's pages."""

    def __init__(self, layout: Layout, reports: tuple[Report, ...], record: Recorder) -> None:
        self._layout = layout
        self._reports = {report.slug: report for report in reports}
        self._record = record
        self._links = (
            Link(label=layout.list_title, href="/"),
            Link(label="Team", href="/team"),
            Link(label="Help", href="/help"),
        )

    def _page(self, template: str, here: str, **context: object) -> Response:
        return render(
            template, look=self._layout.look, links=self._links, here=here, layout=self._layout, **context
        )

    async def show_list(self, request: Request) -> Response:
        return self._page("reports/list.html", "/", reports=self._reports.values())

    async def show_report(self, request: Request) -> Response:
        report = self._reports.get(request.path_params["slug"])
        if report is None:
            return PlainTextResponse("There is no such report.", status_code=404)
        shown = report.rows[EVERYWHERE][:_SHOWN_ROWS]
        return self._page("reports/report.html", "", report=report, everywhere=EVERYWHERE, shown=shown)

    async def export(self, request: Request) -> Response:
        report = self._reports.get(request.path_params["slug"])
        region, name = request.query_params.get("region", ""), request.query_params.get("format", "")
        if report is None or region not in report.rows or name not in self._layout.formats:
            return PlainTextResponse("There is no such export.", status_code=404)
        self._record("report.exported", {"report": report.title, "region": region, "format": name})
        return Response(
            FORMATS[name].write(report, region),
            media_type=FORMATS[name].media_type,
            headers={
                "content-disposition": f'attachment; filename="{report.file_name(region, name)}"',
                "cache-control": "no-store",
            },
        )

    async def show_notice(self, request: Request) -> Response:
        heading, text = _NOTICES[request.url.path]
        return self._page("notice.html", request.url.path, heading=heading, text=text)
