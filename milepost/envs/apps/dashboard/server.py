"""The dashboard site: boards by period, tables in pages, grids that a script sorts, and records in tabs.

Nothing on it can be changed, so it records nothing.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from milepost.envs.apps.pages import Link, Look, render
from milepost.sandbox.sites import ASGIApp, Recorder

APP = "dashboard"
"""Its name in events."""

Cells = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """Figures of a subject, by period."""

    slug: str
    title: str
    figures: Mapping[str, Mapping[str, str]]
    """Period to label to value; the first period is shown at first."""

    @property
    def first(self) -> str:
        """The period shown at first."""
        return next(iter(self.figures))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows, shown some at a time."""

    slug: str
    title: str
    columns: Cells
    rows: tuple[Cells, ...]
    page_size: int
    sortable: bool = False
    """A grid, which a script fills and sorts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Something with fields in tabs."""

    slug: str
    name: str
    tabs: Mapping[str, Mapping[str, str]]
    """Tab to label to value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Everything the site shows."""

    look: Look
    home: str
    """Heading of the start page, and label of the link to it."""
    boards: tuple[Board, ...] = ()
    tables: tuple[Table, ...] = ()
    records: tuple[Record, ...] = ()
    records_title: str = ""
    """Heading of the list of records, and label of the link to it."""
    page_size: int = 6
    """Records a page."""


def build(book: Book, record: Recorder) -> ASGIApp:
    """Make the site."""
    site = _Site(book)
    return Starlette(
        routes=[
            Route("/", site.show_home),
            Route("/boards/{slug}", site.show_board),
            Route("/tables/{slug}", site.show_table),
            Route("/tables/{slug}/download", site.download),
            Route("/api/tables/{slug}", site.send_rows),
            Route("/records", site.show_records),
            Route("/records/{slug}", site.show_record),
            Route("/team", site.show_team),
            Route("/help", site.show_help),
        ]
    )


def write_csv(table: Table) -> bytes:
    """Write all rows of a table as a file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return text.getvalue().encode()


def sort_rows(table: Table, column: str, descending: bool) -> tuple[Cells, ...]:
    """Sort the rows by a column, numbers by size; as they are for a column that there is not."""
    if column not in table.columns:
        return table.rows
    index = table.columns.index(column)

    def weigh(row: Cells) -> tuple[int, str]:
        digits = row[index].replace(",", "")
        return (int(digits), "") if digits.isdecimal() else (0, row[index])

    return tuple(sorted(table.rows, key=weigh, reverse=descending))


_MISSING = PlainTextResponse("There is nothing here.", status_code=404)


class _Site:
    """One episode's pages."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._boards = {board.slug: board for board in book.boards}
        self._tables = {table.slug: table for table in book.tables}
        self._records = {record.slug: record for record in book.records}
        records = [Link(label=book.records_title, href="/records")] if book.records else []
        self._links = (
            Link(label=book.home, href="/"),
            *records,
            Link(label="Team", href="/team"),
            Link(label="Help", href="/help"),
        )

    def _page(self, template: str, here: str, **context: object) -> Response:
        return render(
            template, look=self._book.look, links=self._links, here=here, book=self._book, **context
        )

    async def show_home(self, request: Request) -> Response:
        entries = [
            *(Link(label=board.title, href=f"/boards/{board.slug}") for board in self._book.boards),
            *(Link(label=table.title, href=f"/tables/{table.slug}") for table in self._book.tables),
        ]
        return self._page("dashboard/home.html", "/", entries=entries)

    async def show_board(self, request: Request) -> Response:
        board = self._boards.get(request.path_params["slug"])
        period = request.query_params.get("period", board.first if board else "")
        if board is None or period not in board.figures:
            return _MISSING
        return self._page("dashboard/board.html", "", board=board, period=period)

    async def show_table(self, request: Request) -> Response:
        table = self._tables.get(request.path_params["slug"])
        if table is None:
            return _MISSING
        if table.sortable:
            return self._page("dashboard/grid.html", "", table=table)
        page, pages, rows = _cut(table.rows, table.page_size, request.query_params.get("page", ""))
        return self._page("dashboard/table.html", "", table=table, rows=rows, page=page, pages=pages)

    async def send_rows(self, request: Request) -> Response:
        table = self._tables.get(request.path_params["slug"])
        if table is None:
            return _MISSING
        asked = request.query_params
        rows = sort_rows(table, asked.get("sort", ""), asked.get("order") == "descending")
        page, pages, rows = _cut(rows, table.page_size, asked.get("page", ""))
        return JSONResponse({"rows": rows, "page": page, "pages": pages})

    async def download(self, request: Request) -> Response:
        table = self._tables.get(request.path_params["slug"])
        if table is None:
            return _MISSING
        headers = {
            "content-disposition": f'attachment; filename="{table.slug}.csv"',
            "cache-control": "no-store",
        }
        return Response(write_csv(table), media_type="text/csv", headers=headers)

    async def show_records(self, request: Request) -> Response:
        names = tuple((record.name, record.slug) for record in self._book.records)
        page, pages, rows = _cut(names, self._book.page_size, request.query_params.get("page", ""))
        return self._page("dashboard/records.html", "/records", rows=rows, page=page, pages=pages)

    async def show_record(self, request: Request) -> Response:
        record = self._records.get(request.path_params["slug"])
        return self._page("dashboard/record.html", "", record=record) if record else _MISSING

    async def show_team(self, request: Request) -> Response:
        text = "Ask the owner of a table if a number looks wrong."
        return self._page("notice.html", "/team", heading="Team", text=text)

    async def show_help(self, request: Request) -> Response:
        text = "Boards show figures of a period. Tables show every row."
        return self._page("notice.html", "/help", heading="Help", text=text)


def _cut(rows: tuple[Cells, ...], size: int, asked: str) -> tuple[int, int, tuple[Cells, ...]]:
    """Give the page asked for, how many there are, and its rows."""
    pages = max(1, -(-len(rows) // size))
    wanted = int(asked) if asked.isdecimal() and len(asked) < 6 else 1
    page = min(max(1, wanted), pages)
    return page, pages, rows[(page - 1) * size : page * size]
