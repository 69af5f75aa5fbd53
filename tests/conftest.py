"""Settles what happens to browser tests on a machine without a browser.

They are skipped with the reason, so that a reader of the code can run the rest; under `make test`, which
installs a browser, `MILEPOST_REQUIRE_BROWSER=1` makes them fail, so that nothing is passed by not being run.
"""

import functools
import gc
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from milepost.sandbox.browser import BrowserOptions
from milepost.sandbox.chromium import BrowserNotFoundError, find_chromium
from milepost.sandbox.pool import Pool


@functools.cache
def _missing_browser() -> str:
    try:
        find_chromium(os.environ)
    except BrowserNotFoundError as error:
        return str(error)
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first and those with a browser before the rest, so that no worker ends with a long one alone."""
    marks = (("slow", 2), ("browser", 1))
    weights: dict[Path, int] = {}
    for item in items:
        weight = max((w for mark, w in marks if item.get_closest_marker(mark)), default=0)
        weights[item.path] = max(weight, weights.get(item.path, 0))
    items.sort(key=lambda item: -weights[item.path])


def pytest_collection() -> None:
    """Let nobody look for garbage while everything is imported."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays for good: torch and all test modules, half a second each time."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("browser") is None or not _missing_browser():
        return
    if os.environ.get("MILEPOST_REQUIRE_BROWSER") == "1":
        pytest.fail(_missing_browser(), pytrace=False)
    pytest.skip(_missing_browser())


@pytest.fixture(scope="session")
async def pool() -> AsyncIterator[Pool]:
    """The browser that a worker's tests share; every session is a context of its own."""
    pool = Pool(contexts=4)
    yield pool
    await pool.close()


@pytest.fixture(scope="session")
async def undrawn() -> AsyncIterator[Pool]:
    """One that draws nothing, for pages that need no frames."""
    pool = Pool(contexts=4, options=BrowserOptions(drawn=False))
    yield pool
    await pool.close()
