"""Places, warm browsers, and what is left behind."""

import asyncio
from typing import Any

import pytest

from milepost.sandbox.browser import Browser, BrowserOptions
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool
from milepost.sandbox.session import Session
from tests.sandbox.conftest import build_world

pytestmark = pytest.mark.browser


async def test_no_more_sessions_are_open_than_there_are_places() -> None:
    pool = Pool(contexts=1)
    first, _ = await pool.open(build_world())
    waiting = asyncio.create_task(pool.open(build_world()))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await first.close()
    second, view = await waiting
    assert view.title == "Home"
    await second.close()
    await pool.close()


async def test_closing_removes_every_file_and_context() -> None:
    pool = Pool(contexts=2)
    browser = await pool.warm_up()
    async with pool.session(build_world(files={"a.txt": b"x"}, tidy=False)):
        assert len(list((browser.scratch / "files").iterdir())) == 1
        contexts = await browser.connection.send("Target.getBrowserContexts")
        assert len(contexts["browserContextIds"]) == 1
    assert list((browser.scratch / "files").iterdir()) == []
    contexts = await browser.connection.send("Target.getBrowserContexts")
    assert contexts["browserContextIds"] == []
    await pool.close()
    assert not browser.scratch.exists()


async def test_a_world_that_does_not_open_gives_its_place_back() -> None:
    pool = Pool(contexts=1)
    world = build_world(files={"../x": b""})
    for _ in range(2):
        with pytest.raises(ValueError, match="not a path inside the workspace"):
            await pool.open(world)
    async with pool.session(build_world()) as (_, view):
        assert view.title == "Home"
    await pool.close()


async def test_a_closed_pool_opens_nothing() -> None:
    pool = Pool(contexts=1)
    await pool.close()
    with pytest.raises(SandboxError) as caught:
        await pool.open(build_world())
    assert caught.value.failure is Failure.INFRASTRUCTURE


def test_a_pool_needs_a_place() -> None:
    with pytest.raises(ValueError, match="at least one context, got 0"):
        Pool(contexts=0)


async def test_a_browser_that_is_not_there_is_named(tmp_path: object) -> None:
    pool = Pool(options=BrowserOptions(executable=f"{tmp_path}/chromium"))
    with pytest.raises(RuntimeError, match="chromium"):
        await pool.warm_up()
    await pool.close()


async def test_a_browser_that_has_grown_too_large_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("milepost.sandbox.pool._WEIGH_EVERY", 1)
    pool = Pool(contexts=1, max_memory=1)
    first = await pool.warm_up()
    assert await first.measure_memory() > 10 * 1024**2
    async with pool.session(build_world()):
        pass
    async with pool.session(build_world()) as (_, view):
        assert view.title == "Home"
        second = await pool.warm_up()
    assert second is not first
    assert not first.alive
    await pool.close()


async def test_a_world_that_was_being_made_when_its_browser_died_is_made_in_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool, used, real = Pool(contexts=1), list[Browser](), Session.open

    async def make(browser: Browser, *rest: Any) -> tuple[Session, Observation]:
        used.append(browser)
        if len(used) == 1:
            browser.connection.post("Browser.crash")
        return await real(browser, *rest)

    monkeypatch.setattr(Session, "open", make)
    async with pool.session(build_world()) as (_, view):
        assert view.title == "Home"
    assert len(used) == 2
    assert used[0] is not used[1]
    await pool.close()
