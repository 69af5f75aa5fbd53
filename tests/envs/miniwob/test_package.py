import subprocess
import sys
from pathlib import Path

import pytest

from milepost.envs.miniwob import package
from milepost.envs.miniwob.package import find_html, installed_pages, page_path
from milepost.envs.miniwob.table import SUMMARIES


def test_every_page_of_the_table_is_in_the_installed_package() -> None:
    assert installed_pages() == tuple(SUMMARIES)


def test_a_page_that_the_package_lacks_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / "miniwob").mkdir()
    (tmp_path / "miniwob/click-test.html").touch()
    (tmp_path / "miniwob/brand-new.html").touch()
    (tmp_path / "flight/AA").mkdir(parents=True)
    (tmp_path / "flight/AA/wrapper.html").touch()
    assert list(package._pages_in(tmp_path)) == ["click-test", "flight.AA"]


def test_pages_have_their_place() -> None:
    html = find_html()
    assert html is not None
    assert page_path("click-test") == "miniwob/click-test.html"
    assert page_path("flight.AA") == "flight/AA/wrapper.html"


def test_without_the_package_there_are_no_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert find_html() is None


def test_finding_the_pages_imports_nothing_of_the_package() -> None:
    code = (
        "import sys; from milepost.envs.miniwob.package import installed_pages; installed_pages(); "
        "print(sorted(name for name in sys.modules if name.partition('.')[0] in ('miniwob', 'selenium')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
