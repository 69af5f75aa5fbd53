"""Pictures of a tab, and Chromium's own views of it: only when asked, for each takes longer than a step."""

import asyncio
import base64
import io
from collections.abc import Mapping
from typing import Any

import orjson
from PIL import Image

from milepost.sandbox.cdp import CDPError
from milepost.sandbox.marks import Box, draw_marks, encode_image
from milepost.sandbox.page import Page

_NO_PICTURE = "Unable to capture screenshot"
"""What the browser says between the end of its graphics process and the start of the next one."""
_TRIES, _PAUSE_S = 20, 0.1

_VIEWS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "axtree": ("Accessibility.getFullAXTree", {}),
    "dom": (
        "DOMSnapshot.captureSnapshot",
        {"computedStyles": [], "includeDOMRects": True, "includePaintOrder": True},
    ),
}


async def take_screenshot(page: Page, encoding: str = "png", *, marks: bool = False) -> bytes:
    """Capture the viewport as an encoded image (`png`, `jpeg` or `webp`), with numbered marks if wanted.

    Raises:
        CDPError: the browser refused.
    """
    shot = {"format": "png" if marks else encoding, "optimizeForSpeed": True}
    encoded = base64.b64decode((await _capture(page, shot))["data"])
    if not marks:
        return encoded
    return encode_image(draw_marks(Image.open(io.BytesIO(encoded)), await find_boxes(page)), encoding)


async def _capture(page: Page, shot: Mapping[str, Any]) -> Mapping[str, Any]:
    for _ in range(_TRIES):
        try:
            return await page.command("Page.captureScreenshot", shot)
        except CDPError as error:
            if _NO_PICTURE not in str(error):
                raise
            await asyncio.sleep(_PAUSE_S)
    return await page.command("Page.captureScreenshot", shot)


async def find_boxes(page: Page) -> tuple[Box, ...]:
    """Give where the elements are that an action can name and the viewport shows."""
    answer = await page.call("boxes")
    return tuple(
        Box(id=page.prefix + number, x=x, y=y, width=width, height=height)
        for number, x, y, width, height in answer.get("boxes", ())
    )


async def capture_view(page: Page, kind: str) -> str:
    """Capture Chromium's own view of the page as JSON: `axtree` (accessibility tree) or `dom` (DOM snapshot).

    Raises:
        CDPError: the browser refused.
    """
    method, params = _VIEWS[kind]
    return orjson.dumps(await page.command(method, params)).decode()
