"""Roles and names against Chromium's own accessibility tree, on pages that cover the rules one by one.

Chromium's tree is the reference because it is what assistive technology gets; the walker exists because asking
for that tree takes far longer than a step may (`docs/decisions/0003`) and knows no stable ids.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from milepost.envs.miniwob.package import find_html
from milepost.envs.registry import get_template, templates
from milepost.sandbox.browser import Browser, BrowserOptions
from milepost.sandbox.page import Page
from tests.envs.apps.conftest import visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = Path(__file__).parent / "pages"
ENOUGH = 0.99

OUR_ROLE = {
    "Date": "textbox",
    "DateTime": "textbox",
    "InputTime": "textbox",
    "ColorWell": "textbox",
    "DisclosureTriangle": "button",
    "DisclosureTriangleGrouped": "button",
}
"""Chromium's own role names to ours, where ARIA has none: dates, times and colours are filled in as text is,
and a summary is pressed as a button is. Every other interactive role has the same name on both sides."""

INTERACTIVE = frozenset(
    {
        "button",
        "link",
        "textbox",
        "searchbox",
        "spinbutton",
        "combobox",
        "listbox",
        "checkbox",
        "radio",
        "switch",
        "slider",
        "tab",
        "menuitem",
        "menuitemcheckbox",
        "menuitemradio",
        "option",
        "treeitem",
    }
)


@dataclass(frozen=True, slots=True)
class Named:
    role: str
    name: str

    def __str__(self) -> str:
        return f"{self.role} {self.name!r}"


def squash(text: str) -> str:
    return " ".join(text.split())


class Lens:
    """A tab, seen by the walker and by Chromium's accessibility tree."""

    def __init__(self, browser: Browser, page: Page) -> None:
        self.send = browser.connection.send
        self.page = page

    async def cdp(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return await self.send(method, params or {}, self.page._session)

    async def ours(self) -> dict[int, Named]:
        """Interactive lines of the tree, by Chromium's number of the node."""
        reading = await self.page.read()
        assert reading is not None
        # Frames of other origins have walkers of their own, and letters in their ids.
        elements = [e for e in reading.elements if e.role in INTERACTIVE and e.id.isdecimal()]
        asked = ",".join(e.id for e in elements)
        expression = f"[{asked}].map(milepost.element)"
        params = {"expression": expression, "contextId": self.page._follower.world}
        array = (await self.cdp("Runtime.evaluate", params))["result"]
        properties = await self.cdp(
            "Runtime.getProperties", {"objectId": array["objectId"], "ownProperties": True}
        )
        objects = [p["value"]["objectId"] for p in properties["result"] if p["name"].isdigit()]
        nodes = await asyncio.gather(*(self.cdp("DOM.describeNode", {"objectId": o}) for o in objects))
        numbers = [node["node"]["backendNodeId"] for node in nodes]
        return {n: Named(e.role, squash(e.name)) for n, e in zip(numbers, elements, strict=True)}

    async def chromiums(self) -> dict[int, Named]:
        """Interactive nodes of Chromium's tree, without the insides of its own controls."""
        tree = (await self.cdp("Page.getFrameTree"))["frameTree"]
        document = await self.cdp("DOM.getDocument", {"depth": -1, "pierce": True})
        readable: set[str] = set()
        inside = set(_internals(document["root"], readable, False))
        found: dict[int, Named] = {}
        for frame in _frames(tree):
            if frame != tree["frame"]["id"] and frame not in readable:
                continue
            nodes = (await self.cdp("Accessibility.getFullAXTree", {"frameId": frame}))["nodes"]
            for node in nodes:
                number = node.get("backendDOMNodeId")
                if node["ignored"] or number is None or number in inside:
                    continue
                named = _read(node)
                if named.role in INTERACTIVE:
                    found[number] = named
        return found

    async def compare(self) -> tuple[int, list[str]]:
        """How many elements either side has, and what they disagree about."""
        ours, chromiums = await self.ours(), await self.chromiums()
        wrong = [
            f"ours {ours.get(number, 'nothing')}, Chromium's {chromiums.get(number, 'nothing')}"
            for number in sorted(ours.keys() | chromiums.keys())
            if ours.get(number) != chromiums.get(number)
        ]
        return len(ours.keys() | chromiums.keys()), wrong


def _read(node: Mapping[str, Any]) -> Named:
    role = str(node["role"]["value"])
    properties = {p["name"]: p["value"].get("value") for p in node.get("properties", ())}
    if role == "generic" or role == "paragraph":
        # HTML gives an editable element no role; to us what can be typed into is a textbox.
        role = "textbox" if properties.get("editable") == "richtext" and properties.get("focusable") else role
    return Named(OUR_ROLE.get(role, role), squash(str(node.get("name", {}).get("value", ""))))


def _internals(node: Mapping[str, Any], readable: set[str], within: bool) -> list[int]:
    """Nodes in the shadow roots of Chromium's own controls; notes the frames that can be read from outside."""
    found = [node["backendNodeId"]] if within else []
    if "contentDocument" in node and "frameId" in node:
        attributes = dict(zip(node["attributes"][::2], node["attributes"][1::2], strict=True))
        if "sandbox" not in attributes:
            readable.add(node["frameId"])
    for child in node.get("children", ()):
        found += _internals(child, readable, within)
    if "contentDocument" in node:
        found += _internals(node["contentDocument"], readable, within)
    for root in node.get("shadowRoots", ()):
        found += _internals(root, readable, within or root["shadowRootType"] == "user-agent")
    return found


def _frames(tree: Mapping[str, Any]) -> list[str]:
    return [tree["frame"]["id"], *(f for child in tree.get("childFrames", ()) for f in _frames(child))]


TABS = 4
"""Pages that are looked at side by side; most of the time each waits for the browser."""


@pytest.fixture
async def lenses() -> AsyncIterator[list[Lens]]:
    browser = await Browser.launch(BrowserOptions(drawn=False))
    send = browser.connection.send
    context = (await send("Target.createBrowserContext"))["browserContextId"]
    create = {"url": "about:blank", "browserContextId": context}
    targets = [(await send("Target.createTarget", create))["targetId"] for _ in range(TABS)]
    pages = [
        await Page.attach(browser, target=target, tab=0, viewport=(1024, 768), sink=lambda *_: None)
        for target in targets
    ]
    yield [Lens(browser, page) for page in pages]
    for page in pages:
        page.detach()
    await browser.close()


def app_pages(folder: Path) -> list[Path]:
    """The built-in apps' pages as their servers render them: the start and what it links to, for some seeds."""
    saved: list[Path] = []
    for number, row in enumerate(templates()):
        template = get_template(row.id)
        for seed in range(2 if number < 3 else 1):
            site = visit(template.task(seed))
            start = site.get("/").text
            paths = ["/", *dict.fromkeys(re.findall(r'href="(/[^"]+)"', start))][:2]
            for page, path in enumerate(paths):
                file = folder / f"{row.id.replace('/', '-')}-{seed}-{page}.html"
                file.write_text(site.get(path).text, encoding="utf-8")
                saved.append(file)
    return saved


VARIANTS = re.compile(r"-(nodelay|turk|transfer|large|soft|nl|noscroll|easy|medium|hard|[2-9])\b")
"""What the names of pages end with that hold what another one holds."""


def miniwob_pages() -> list[Path]:
    """Every other page of MiniWoB, where the package is installed; it is found without being imported."""
    html = find_html()
    pages = (html / "miniwob").glob("*.html") if html else ()
    return sorted(p for p in pages if not VARIANTS.search(p.stem))[::2]


START = """if (globalThis.core && globalThis.genProblem) {
  Math.seedrandom('7'); core.EPISODE_MAX_TIME = 1e9; core.startEpisodeReal(); }"""
"""Lets a page of MiniWoB draw its task; to any other it means nothing."""


async def tally(lenses: list[Lens], pages: Iterable[Path]) -> tuple[int, list[str]]:
    """Compare on each page; gives the number of elements and every disagreement with its page."""
    total, wrong, waiting = 0, list[str](), iter(pages)

    async def work(lens: Lens) -> None:
        nonlocal total, wrong
        for path in waiting:
            await lens.page.navigate(path.as_uri())
            await lens.page.read()
            await lens.cdp("Runtime.evaluate", {"expression": START})
            count, differences = await lens.compare()
            total += count
            wrong += [f"{path.stem}: {difference}" for difference in differences]

    await asyncio.gather(*map(work, lenses))
    return total, sorted(wrong)


def report(total: int, wrong: list[str]) -> str:
    return "\n".join([f"{total - len(wrong)} of {total} interactive elements agree", *wrong])


@pytest.fixture
def saved(tmp_path: Path) -> list[Path]:
    return [*PAGES.glob("*.html"), *app_pages(tmp_path), *miniwob_pages()]


@pytest.mark.timeout(600)
async def test_roles_and_names_agree_with_chromiums(lenses: list[Lens], saved: list[Path]) -> None:
    assert len(saved) >= 60
    total, wrong = await tally(lenses, saved)
    print(report(total, wrong))  # noqa: T201 - shown by `pytest -s`
    assert total > 400
    assert 1 - len(wrong) / total >= ENOUGH, report(total, wrong)
