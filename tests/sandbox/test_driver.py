"""Browsers of a process share Playwright's; none is left without one."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import psutil  # type: ignore[import-untyped]
import pytest

from milepost.sandbox import driver
from milepost.sandbox.browser import Browser
from milepost.sandbox.driver import take_driver

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know nothing of the driver that the other tests of this process have."""
    monkeypatch.setattr(driver, "_DRIVERS", {})


def find_drivers() -> set[psutil.Process]:
    """Playwright's processes that this process has started."""
    found = set()
    for child in psutil.Process().children():
        try:
            command = " ".join(child.cmdline())
        except psutil.Error:
            continue
        if "playwright" in command and "run-driver" in command:
            found.add(child)
    return found


def test_browsers_share_a_driver_and_the_last_one_stops_it() -> None:
    before = find_drivers()

    async def launch() -> None:
        one, other = await asyncio.gather(Browser.launch(), Browser.launch())
        assert len(find_drivers() - before) == 1
        await one.close()
        await one.close()
        assert "product" in await other.connection.send("Browser.getVersion")
        assert len(find_drivers() - before) == 1
        await other.close()
        assert find_drivers() == before
        third = await Browser.launch()
        assert len(find_drivers() - before) == 1
        await third.close()

    asyncio.run(launch())
    assert find_drivers() == before


def test_browsers_of_other_loops_and_threads_share_it_too() -> None:
    before = find_drivers()

    async def look() -> set[psutil.Process]:
        browser = await Browser.launch()
        assert "product" in await browser.connection.send("Browser.getVersion")
        found = find_drivers() - before
        await browser.close()
        return found

    first = asyncio.run(take_driver())
    with ThreadPoolExecutor(2) as threads:
        seen = [future.result() for future in [threads.submit(asyncio.run, look()) for _ in range(2)]]
    assert len(seen[0]) == 1
    assert seen[0] == seen[1] == asyncio.run(look())
    asyncio.run(first.release())
    assert find_drivers() == before


def test_a_driver_that_died_is_replaced() -> None:
    before = find_drivers()

    async def launch() -> None:
        first = await Browser.launch()
        (process,) = find_drivers() - before
        process.kill()
        second = await Browser.launch()
        assert "product" in await second.connection.send("Browser.getVersion")
        await second.close()
        await first.close()

    asyncio.run(launch())
    assert find_drivers() == before


async def test_a_driver_that_is_given_up_is_given_to_nobody() -> None:
    one = await take_driver()
    await one.give_up()
    other = await take_driver()
    assert other is not one
    assert await take_driver() is other
    await other.release()
    await other.release()
