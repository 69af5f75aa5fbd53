"""The look the built-in apps share: one frame, one small style sheet, everything inline.

A page is one response: no images, fonts or scripts to fetch, no timers and no animation, so that loading it
costs the browser little and it is settled as soon as it is parsed.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup
from starlette.responses import HTMLResponse

from milepost.envs.task import choose

_HERE = Path(__file__).parent
_HUES = (152, 205, 222, 258, 286, 334, 14, 176)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An entry of the navigation."""

    label: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What an app looks like in one episode."""

    brand: str
    """The site's name, in the header and the title."""
    hue: int
    """Hue of the accent colour, in degrees."""
    nav: str
    """Where the navigation stands: `top` or `side`."""


def draw_look(rng: np.random.Generator, brands: Sequence[str]) -> Look:
    """Draw an app's name, colour and layout."""
    return Look(brand=choose(rng, brands), hue=choose(rng, _HUES), nav=choose(rng, ("top", "side")))


def render(template: str, *, look: Look, links: Sequence[Link], here: str, **context: object) -> HTMLResponse:
    """Render a page in the shared frame.

    Args:
        template: path of the template below this folder, e.g. `expenses/form.html`.
        look: the app's look.
        links: the navigation.
        here: the href of the navigation entry to mark as current.
        context: what the template itself needs.
    """
    html = (
        _templates()
        .get_template(template)
        .render(look=look, links=links, here=here, style=_style(), **context)
    )
    return HTMLResponse(html, headers={"cache-control": "no-store"})


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


@functools.cache
def _style() -> Markup:
    # Markup: our own style sheet, read from our own file, is the one thing that must not be escaped.
    return Markup((_HERE / "style.css").read_text(encoding="utf-8"))
