"""Settles what happens to browser tests on a machine without a browser.

They are skipped with the reason, so that a reader of the code can run the rest; under `make test`, which
installs a browser, `MILEPOST_REQUIRE_BROWSER=1` makes them fail, so that nothing is passed by not being run.
"""

import asyncio
import functools
import gc
import importlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from milepost.sandbox.browser import BrowserOptions
from milepost.sandbox.chromium import BrowserNotFoundError, find_chromium
from milepost.sandbox.driver import Driver, take_driver
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


FORKING = {f"tests/training/test_{name}.py" for name in ("ranks", "shards", "trainer")}
"""Files whose processes are forked from one that has imported torch and the trainer, which takes eight seconds."""


def find_scope(nodeid: str) -> str:
    """Say what a test is dealt to a worker together with."""
    file = nodeid.partition("::")[0]
    return "forking" if file in FORKING else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal whole files, as asked, and those that can share that process to one worker."""
    if config.getoption("dist") != "loadfile":
        return None
    scheduling = importlib.import_module("xdist.scheduler").LoadFileScheduling(config, log)
    scheduling._split_scope = find_scope
    return scheduling


def pytest_configure(config: pytest.Config) -> None:
    """Give Hypothesis fewer examples, and no deadline: a busy machine takes 300 ms now and then for what takes 0.1."""
    if config.pluginmanager.hasplugin("hypothesispytest"):
        settings = importlib.import_module("hypothesis").settings
        settings.register_profile("milepost", deadline=None, max_examples=50)
        settings.load_profile("milepost")


def pytest_collection() -> None:
    """Let nobody look for garbage while everything is imported."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays for good: torch and all test modules, half a second each time."""
    gc.freeze()
    gc.enable()


@functools.cache
def _hold_driver() -> Driver:
    """Keep Playwright running between tests, many of which start a browser: it takes twice as long to start as one."""
    return asyncio.run(take_driver())


def pytest_unconfigure() -> None:
    """Let Playwright stop."""
    if _hold_driver.cache_info().currsize:
        asyncio.run(_hold_driver().release())


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("browser") is None:
        return
    if not _missing_browser():
        _hold_driver()
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
