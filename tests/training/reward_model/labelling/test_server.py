import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, async_playwright

from milepost.sandbox.chromium import find_chromium
from milepost.training.reward_model.labelling.desk import Desk
from milepost.training.reward_model.labelling.server import LabelServer
from milepost.training.reward_model.labels import Choice, read_verdicts
from tests.training.reward_model.test_pairs import record


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    for play, rewards in (
        ("oracle", [0.5, 0.5]),
        ("random", [0.25]),
        ("claim", [0.0]),
        ("churn", [0.0, 0.0]),
    ):
        record(tmp_path, play, rewards, goal="Press <script>document.title = 'ran'</script>")
    return Desk(tmp_path, tmp_path / "labels.jsonl", seed=0)


@pytest.fixture
def server(desk: Desk) -> Iterator[LabelServer]:
    with LabelServer(desk) as server:
        yield server


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=str(find_chromium(os.environ).path),
            chromium_sandbox=os.geteuid() != 0 and os.environ.get("MILEPOST_NO_SANDBOX") != "1",
        )
        yield await browser.new_page(viewport={"width": 1280, "height": 800})
        await browser.close()


@pytest.mark.browser
async def test_two_people_compare_with_the_keyboard(
    desk: Desk, server: LabelServer, page: Page, tmp_path: Path
) -> None:
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    await page.goto(server.url)
    await page.get_by_label("Your name").fill("Ada")
    await page.keyboard.press("Enter")
    await page.get_by_text("Ada · 1 of 6").wait_for()
    for key, progress in (
        ("1", "2 of 6"),
        ("2", "3 of 6"),
        ("t", "4 of 6"),
        ("u", "3 of 6"),
        ("s", "4 of 6"),
    ):
        await page.keyboard.press(key)
        await page.get_by_text(f"Ada · {progress}").wait_for()
    assert await page.locator("section.side").count() == 2
    assert await page.title() == "Which episode did better? · milepost"
    assert refused == []
    await page.goto(f"{server.url}?annotator=Ben")
    await page.get_by_text("Ben · 1 of 6").wait_for()
    await page.get_by_role("button", name="Tie").click()
    await page.get_by_text("Ben · 2 of 6").wait_for()

    found = [(v.annotator, v.choice, v.comparison) for v in read_verdicts(tmp_path / "labels.jsonl")]
    left, right = (desk.draw_left(about, "Ada") for about in desk.comparisons[:2])
    other = Choice.SECOND if right is Choice.FIRST else Choice.FIRST
    assert found == [
        ("Ada", left, desk.comparisons[0]),
        ("Ada", other, desk.comparisons[1]),
        ("Ada", Choice.SKIP, desk.comparisons[2]),
        ("Ben", Choice.TIE, desk.comparisons[0]),
    ]


def test_without_the_token_or_from_elsewhere_nothing_is_shown_or_taken(
    desk: Desk, server: LabelServer, tmp_path: Path
) -> None:
    root = server.url.rsplit("/", 2)[0]
    form = {"annotator": "eve", "comparison": desk.comparisons[0].id, "key": "1"}
    assert httpx.get(server.url).status_code == 200
    assert httpx.get(root + "/").status_code == 403
    assert httpx.get(root + "/wrong/").status_code == 403
    assert httpx.get(server.url, headers={"host": "evil.example"}).status_code == 403
    assert httpx.post(server.url, data=form).status_code == 403
    assert httpx.post(server.url, data=form, headers={"origin": "http://evil.example"}).status_code == 403
    assert not (tmp_path / "labels.jsonl").exists()
    assert httpx.post(server.url, data=form, headers={"origin": root}).status_code == 303
    assert len(read_verdicts(tmp_path / "labels.jsonl")) == 1


def test_an_answer_that_cannot_be_taken_is_shown(server: LabelServer) -> None:
    root = server.url.rsplit("/", 2)[0]
    form = {"annotator": "eve", "comparison": "", "key": "1"}
    reply = httpx.post(server.url, data=form, headers={"origin": root}, follow_redirects=True)
    assert "that comparison is not the one that was asked" in reply.text
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
