"""The file store: folders in folders, and the record of what was renamed, moved and converted."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qs

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from milepost.envs.apps.pages import Link, Look, render
from milepost.sandbox.sites import ASGIApp, Recorder

APP = "drive"
"""Its name in events."""

ROOT = "root"
"""Id of the folder that holds all others."""

_NAME = r"[\w-]+\.[a-z]{2,4}"
_TYPES = {"csv": "text/csv", "tsv": "text/tab-separated-values", "json": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder."""

    id: str
    name: str
    parent: str
    """Id of the folder it is in; empty for the root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file, a small table."""

    id: str
    name: str
    folder: str
    content: bytes
    code: str = ""
    """What opens it; empty for a file that anybody may open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the site looks, what its controls are called, and what is stored."""

    look: Look
    root: str
    """Heading of the root folder, and label of the link to it."""
    folders: tuple[Folder, ...]
    files: tuple[File, ...]
    rename: str
    move: str
    convert: str
    download: str
    """Captions of what can be done with a file."""
    listed_as: str
    """How folders are shown: `list` or `tiles`."""


def _read_rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode())))


def _write_tsv(content: bytes) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(_read_rows(content))
    return text.getvalue().encode()


def _write_json(content: bytes) -> bytes:
    head, *rows = _read_rows(content)
    records = [dict(zip(head, row, strict=True)) for row in rows]
    return json.dumps(records, indent=1).encode() + b"\n"


CONVERTERS: Mapping[str, Callable[[bytes], bytes]] = {"TSV": _write_tsv, "JSON": _write_json}
"""What a CSV file can be converted to, by the name that pages show."""


def convert(file: File, kind: str) -> File:
    """Give the converted copy of a CSV file."""
    suffix = kind.lower()
    name = f"{file.name.removesuffix('.csv')}.{suffix}"
    return File(
        id=f"{file.id}-{suffix}", name=name, folder=file.folder, content=CONVERTERS[kind](file.content)
    )


def build(layout: Layout, record: Recorder) -> ASGIApp:
    """Make the site."""
    site = _Site(layout, record)
    return Starlette(
        routes=[
            Route("/", site.show_root),
            Route("/help", site.show_help),
            Route("/recent", site.show_recent),
            Route("/folders/{folder}", site.show_folder),
            Route("/folders/{folder}/files/{file}", site.show_file),
            Route("/folders/{folder}/files/{file}/download", site.download),
            Route("/folders/{folder}/files/{file}/unlock", site.unlock, methods=["POST"]),
            Route("/folders/{folder}/files/{file}/{change}", site.change, methods=["POST"]),
        ]
    )


_MISSING = PlainTextResponse("There is nothing here.", status_code=404)
_DONE = {"rename": "File renamed", "move": "File moved", "convert": "File converted"}
_LOCKED = PlainTextResponse("This file is protected.", status_code=403)


class _Site:
    """One episode's files and pages."""

    def __init__(self, layout: Layout, record: Recorder) -> None:
        self._layout = layout
        self._record = record
        root = Folder(id=ROOT, name=layout.root, parent="")
        self._folders = {folder.id: folder for folder in (root, *layout.folders)}
        self._files = {file.id: file for file in layout.files}
        self._locked = {file.id for file in layout.files if file.code}
        self._links = (
            Link(label=layout.root, href="/"),
            Link(label="Recent", href="/recent"),
            Link(label="Help", href="/help"),
        )

    def _page(self, template: str, here: str, **context: object) -> Response:
        layout = self._layout
        return render(template, look=layout.look, links=self._links, here=here, layout=layout, **context)

    def _way_to(self, folder: Folder) -> list[Folder]:
        """Give the folders from the root to this one."""
        above = self._way_to(self._folders[folder.parent]) if folder.parent else []
        return [*above, folder]

    async def show_root(self, request: Request) -> Response:
        return self._show(self._folders[ROOT], "/")

    async def show_folder(self, request: Request) -> Response:
        folder = self._folders.get(request.path_params["folder"])
        return self._show(folder, "") if folder is not None else _MISSING

    def _show(self, folder: Folder, here: str) -> Response:
        inside = [f for f in self._folders.values() if f.parent == folder.id]
        files = [f for f in self._files.values() if f.folder == folder.id]
        way = self._way_to(folder)[:-1]
        return self._page("drive/folder.html", here, folder=folder, inside=inside, files=files, way=way)

    async def show_recent(self, request: Request) -> Response:
        return self._page("notice.html", "/recent", heading="Recent", text="You have opened no file today.")

    async def show_help(self, request: Request) -> Response:
        text = "Open a file to rename, move, convert or download it."
        return self._page("notice.html", "/help", heading="Help", text=text)

    def _find(self, request: Request) -> File | None:
        """Find a file that is in the folder its address says."""
        file = self._files.get(request.path_params["file"])
        return file if file is not None and file.folder == request.path_params["folder"] else None

    async def show_file(self, request: Request) -> Response:
        file = self._find(request)
        if file is None:
            return _MISSING
        if file.id in self._locked:
            return self._show_lock(file)
        return self._page(
            "drive/file.html",
            "",
            file=file,
            way=self._way_to(self._folders[file.folder]),
            rows=_read_rows(file.content)[:4] if file.name.endswith(".csv") else [],
            folders=[folder for folder in self._folders.values() if folder.id != file.folder],
            kinds=list(CONVERTERS) if file.name.endswith(".csv") else [],
            banner=_DONE.get(request.query_params.get("done", ""), ""),
        )

    def _show_lock(self, file: File, *, refused: bool = False) -> Response:
        way = self._way_to(self._folders[file.folder])
        return self._page("drive/locked.html", "", file=file, way=way, refused=refused)

    async def unlock(self, request: Request) -> Response:
        file = self._find(request)
        if file is None or file.id not in self._locked:
            return _MISSING
        sent = parse_qs((await request.body()).decode("utf-8", "replace"))
        if sent.get("code", [""])[0].strip() != file.code:
            return self._show_lock(file, refused=True)
        self._locked.discard(file.id)
        self._record("file.unlocked", {"id": file.id, "name": file.name})
        return RedirectResponse(f"/folders/{file.folder}/files/{file.id}", status_code=303)

    async def download(self, request: Request) -> Response:
        file = self._find(request)
        if file is None:
            return _MISSING
        if file.id in self._locked:
            return _LOCKED
        headers = {
            "content-disposition": f'attachment; filename="{file.name}"',
            "cache-control": "no-store",
        }
        return Response(file.content, media_type=_TYPES[file.name.rpartition(".")[2]], headers=headers)

    async def change(self, request: Request) -> Response:
        file, kind = self._find(request), request.path_params["change"]
        if file is None or kind not in _DONE:
            return _MISSING
        if file.id in self._locked:
            return _LOCKED
        try:
            sent = orjson.loads(await request.body())
        except orjson.JSONDecodeError:
            sent = {}
        value = str(sent.get("value", "")).strip() if isinstance(sent, dict) else ""
        changes = {"rename": self._rename, "move": self._move, "convert": self._convert}
        found = changes[kind](file, value)
        if isinstance(found, str):
            return JSONResponse({"error": found}, status_code=422)
        self._files[found.id] = found
        return JSONResponse({"href": f"/folders/{found.folder}/files/{found.id}?done={kind}"})

    def _taken(self, name: str, folder: str) -> bool:
        return any(file.name == name and file.folder == folder for file in self._files.values())

    def _rename(self, file: File, name: str) -> File | str:
        if not re.fullmatch(_NAME, name, re.ASCII) or name.rpartition(".")[2] != file.name.rpartition(".")[2]:
            return f"Enter a name such as plan-2.{file.name.rpartition('.')[2]}"
        if self._taken(name, file.folder):
            return f"There is already a file {name} here"
        self._record("file.renamed", {"id": file.id, "name": name, "previous": file.name})
        return replace(file, name=name)

    def _move(self, file: File, name: str) -> File | str:
        folder = next((f for f in self._folders.values() if f.name == name), None)
        if folder is None:
            return "Choose a folder"
        if self._taken(file.name, folder.id):
            return f"There is already a file {file.name} in {name}"
        self._record("file.moved", {"id": file.id, "name": file.name, "folder": folder.name})
        return replace(file, folder=folder.id)

    def _convert(self, file: File, kind: str) -> File | str:
        if kind not in CONVERTERS or not file.name.endswith(".csv"):
            return "Choose a format"
        made = convert(file, kind)
        self._record("file.converted", {"id": file.id, "name": made.name, "format": kind})
        return made
