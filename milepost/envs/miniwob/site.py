"""The site an episode's page lives on: that one page of the package, with the files it needs, and nothing else."""

import functools
import hashlib
import html
import mimetypes
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from milepost.sandbox.sites import ASGIApp, Recorder

_TURNS = (Path(__file__).parent / "turns.js").read_bytes()
_TURNS_PATH = "/milepost/turns.js"
_SHARED = ("core/", "common/")
"""Folders that every page may read; a flight page also reads the folders beside it."""

# Some pages write what was typed into themselves as HTML. None needs handlers in attributes, so an agent must not
# be able to bring one along: `<img onerror="core.endEpisode(1)">`.
_NO_HANDLERS = (b"content-security-policy", b"script-src-attr 'none'")


@functools.cache
def read_asset(file: Path) -> bytes:
    """Read a file of the package, once per process."""
    return file.read_bytes()


def digest(file: Path) -> str:
    """Give the sha256 of a file of the package."""
    return hashlib.sha256(read_asset(file)).hexdigest()


def build_site(folder: Path, path: str, seed: int, mode: str, record: Recorder) -> ASGIApp:
    """Make the site.

    Args:
        folder: the package's folder of pages.
        path: the one page, below that folder.
        seed: what the page draws its task from.
        mode: the page's own part of its data, `default` or `test`.
        record: told which page was served, by the hash of its file.
    """

    async def answer(scope: MutableMapping[str, Any], _receive: object, send: Any) -> None:
        status, kind, body = respond(scope["method"], scope["path"])
        headers = [(b"content-type", kind.encode()), (b"cache-control", b"no-store"), _NO_HANDLERS]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def respond(method: str, asked: str) -> tuple[int, str, bytes]:
        if method not in ("GET", "HEAD"):
            return 405, "text/plain", b"these pages are only read"
        if asked == f"/{path}":
            record("page.served", {"page": path, "sha256": digest(folder / path)})
            return 200, "text/html; charset=utf-8", _add_turns(read_asset(folder / path), seed, mode)
        if asked == _TURNS_PATH:
            return 200, "text/javascript; charset=utf-8", _TURNS
        file = find_asset(folder, path, asked.removeprefix("/"))
        if file is None:
            return 404, "text/plain", b"not a file of this page"
        return 200, mimetypes.guess_type(file.name)[0] or "application/octet-stream", read_asset(file)

    return answer


def find_asset(folder: Path, path: str, asked: str) -> Path | None:
    """Find a file that the page at `path` may read; None for every other, in this folder or out of it."""
    allowed = (*_SHARED, "flight/") if path.startswith("flight/") else _SHARED
    file = (folder / asked).resolve()
    if not file.is_relative_to(folder.resolve()) or not file.is_file():
        return None
    return file if file.relative_to(folder.resolve()).as_posix().startswith(allowed) else None


def _add_turns(page: bytes, seed: int, mode: str) -> bytes:
    """Put our script before every other of the page."""
    tag = f'<script src="{_TURNS_PATH}" data-seed="{seed}" data-mode="{html.escape(mode)}"></script>'
    head, mark, rest = page.partition(b"<head>")
    return head + mark + tag.encode() + rest if mark else tag.encode() + page
