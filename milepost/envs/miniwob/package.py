"""The installed package `miniwob`: found on disk and read, never imported (that would bring Selenium along)."""

import functools
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

from milepost.envs.miniwob.table import SUMMARIES

PREFIX = "miniwob."
"""What the ids of these tasks begin with: `miniwob.click-test-v1`."""

VERSION = "-v1"
"""What they end with, as in the package's own ids."""

MISSING = "MiniWoB++ is not installed; install it with: pip install 'milepost[miniwob]'"


def find_html() -> Path | None:
    """Find the package's folder of pages; None when it is not installed."""
    spec = importlib.util.find_spec("miniwob")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place, "html")
        if folder.is_dir():
            return folder
    return None


def page_path(page: str) -> str:
    """Give the path of a page below the folder of pages."""
    if page.startswith("flight."):
        return f"flight/{page.removeprefix('flight.')}/wrapper.html"
    return f"miniwob/{page}.html"


@functools.cache
def installed_pages() -> tuple[str, ...]:
    """List the pages that the installed package has, of those in the table; none when it is not installed."""
    html = find_html()
    return () if html is None else tuple(_pages_in(html))


def _pages_in(html: Path) -> Iterator[str]:
    # One listing instead of a stat per page: this runs on every `import milepost`.
    there = {entry.name for entry in os.scandir(html / "miniwob")}
    for page in SUMMARIES:
        path = page_path(page)
        if path.rpartition("/")[2] in there or (page.startswith("flight.") and (html / path).is_file()):
            yield page
