"""Numbered marks on a screenshot: a box and an id for every element an action can name.

They are drawn on the picture, never on the page.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

_COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#e377c2", "#8c564b", "#17becf")
_FONT_SIZE = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where an element is on the screen, in pixels."""

    id: str
    x: float
    y: float
    width: float
    height: float


def draw_marks(image: Image.Image, boxes: Iterable[Box]) -> Image.Image:
    """Give a copy of the picture with a box and an id for each element; neighbours differ in colour."""
    marked = image.convert("RGB")
    pen = ImageDraw.Draw(marked)
    font = ImageFont.load_default(size=_FONT_SIZE)
    for number, box in enumerate(boxes):
        colour = _COLOURS[number % len(_COLOURS)]
        left, top = round(box.x), round(box.y)
        right, bottom = left + max(1, round(box.width)), top + max(1, round(box.height))
        pen.rectangle((left, top, right, bottom), outline=colour)
        x0, y0, x1, y1 = pen.textbbox((0, 0), box.id, font=font)
        width, height = x1 - x0 + 4, y1 - y0 + 4
        # Above the box where there is room, so that it hides nothing of the element; and always in the picture.
        label_x = max(0, min(left, marked.width - round(width)))
        label_y = top - round(height) if top >= height else top
        pen.rectangle((label_x, label_y, label_x + width, label_y + height), fill=colour)
        pen.text((label_x + 2 - x0, label_y + 2 - y0), box.id, fill="white", font=font)
    return marked


def encode_image(image: Image.Image, encoding: str) -> bytes:
    """Encode a picture as `png`, `jpeg` or `webp`."""
    buffer = io.BytesIO()
    image.save(buffer, format=encoding.upper())
    return buffer.getvalue()
