"""The site of a page, called without a browser."""

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from milepost.envs.miniwob.package import find_html
from milepost.envs.miniwob.site import build_site, digest, find_asset
from milepost.sandbox.sites import Site
from tests.envs.apps.conftest import Visit

PAGE = "miniwob/click-test.html"


@pytest.fixture
def folder() -> Path:
    html = find_html()
    assert html is not None
    return html


def visit(folder: Path, path: str = PAGE, seed: int = 7, mode: str = "default") -> Visit:
    records: list[tuple[str, Mapping[str, Any]]] = []
    site = Site(app="miniwob", build=functools.partial(build_site, folder, path, seed, mode))
    return Visit(app=site.build(lambda change, data: records.append((change, data))), records=records)


def test_the_page_is_the_packages_own_with_our_script_before_every_other(folder: Path) -> None:
    answer = visit(folder).get(f"/{PAGE}")
    tag = '<script src="/milepost/turns.js" data-seed="7" data-mode="default"></script>'
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text.replace(tag, "") == (folder / PAGE).read_text()
    assert answer.text.index(tag) < answer.text.index("core.js")


def test_no_handler_can_be_typed_into_a_page(folder: Path) -> None:
    answer = visit(folder, "miniwob/terminal.html").get("/miniwob/terminal.html")
    assert answer.headers["content-security-policy"] == "script-src-attr 'none'"


def test_serving_the_page_is_recorded_with_the_hash_of_its_file(folder: Path) -> None:
    site = visit(folder)
    site.get(f"/{PAGE}")
    sha256 = hashlib.sha256((folder / PAGE).read_bytes()).hexdigest()
    assert site.records == [("page.served", {"page": PAGE, "sha256": sha256})]
    assert digest(folder / PAGE) == sha256


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("/core/core.js", "text/javascript"),
        ("/core/core.css", "text/css"),
        ("/common/ui_utils.js", "text/javascript"),
        ("/milepost/turns.js", "text/javascript; charset=utf-8"),
    ],
)
def test_what_the_page_needs_is_served(folder: Path, target: str, kind: str) -> None:
    answer = visit(folder).get(target)
    assert (answer.status, answer.headers["content-type"]) == (200, kind)
    assert answer.body


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/miniwob/click-test-2.html",
        "/miniwob/",
        "/core",
        "/flight/AA/wrapper.html",
        "/core/../miniwob/click-test-2.html",
        "/core/../../__init__.py",
        "/../__init__.py",
        "//etc/passwd",
        "/etc/passwd",
        "/core/no-such-file.js",
    ],
)
def test_nothing_else_is_served(folder: Path, target: str) -> None:
    site = visit(folder)
    asked = target.removeprefix("/")
    assert find_asset(folder, PAGE, asked) is None
    assert site.get(target).status == 404
    assert site.records == []


def test_a_flight_page_reads_the_folders_beside_it(folder: Path) -> None:
    assert visit(folder, "flight/AA/wrapper.html").get("/flight/flight-common/wrapper.js").status == 200
    assert visit(folder).get("/flight/flight-common/wrapper.js").status == 404


def test_nothing_can_be_posted(folder: Path) -> None:
    site = visit(folder)
    assert site.post(f"/{PAGE}", b"score=1").status == 405
    assert site.records == []
