"""Settles what happens to browser tests on a machine without a browser.

They are skipped with the reason, so that a reader of the code can run the rest; under `make test`, which
installs a browser, `MILEPOST_REQUIRE_BROWSER=1` makes them fail, so that nothing is passed by not being run.
"""

import functools
import os

import pytest

from milepost.sandbox.chromium import BrowserNotFoundError, find_chromium


@functools.cache
def _missing_browser() -> str:
    try:
        find_chromium(os.environ)
    except BrowserNotFoundError as error:
        return str(error)
    return ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("browser") is None or not _missing_browser():
        return
    if os.environ.get("MILEPOST_REQUIRE_BROWSER") == "1":
        pytest.fail(_missing_browser(), pytrace=False)
    pytest.skip(_missing_browser())
