"""Gymnasium spaces for what a computer shows and takes."""

import string
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

MAX_CHARS = 4_000_000
MAX_CAPTURE_CHARS = 100_000_000
_ALPHABET = string.ascii_letters + string.digits + " \"'(),._-"


class Unicode(spaces.Text):
    """Any string up to a length; samples are short and printable."""

    def __init__(self, max_length: int = MAX_CHARS, seed: int | np.random.Generator | None = None) -> None:
        """Build a space of all strings of at most `max_length` characters."""
        super().__init__(max_length=max_length, min_length=0, charset=_ALPHABET, seed=seed)

    def contains(self, x: Any) -> bool:
        """Whether `x` is a string that is not too long."""
        return isinstance(x, str) and len(x) <= self.max_length

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Draw a short printable string."""
        length = int(self.np_random.integers(0, 24))
        return "".join(_ALPHABET[int(i)] for i in self.np_random.integers(0, len(_ALPHABET), size=length))

    def __repr__(self) -> str:
        return f"Unicode({self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unicode) and other.max_length == self.max_length


class Anything(spaces.Space[Any]):
    """Any JSON-like value: what has no narrower space in other libraries' conventions either."""

    def contains(self, x: Any) -> bool:
        """Whether `x` is what JSON can hold."""
        if isinstance(x, dict):
            return all(isinstance(key, str) and self.contains(value) for key, value in x.items())
        if isinstance(x, list | tuple):
            return all(self.contains(value) for value in x)
        return x is None or isinstance(x, str | bool | int | float)

    def sample(self, mask: Any = None, probability: Any = None) -> Any:
        """Give nothing; whoever needs samples wants a narrower space."""

    def __repr__(self) -> str:
        return "Anything()"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Anything)


EXTRAS = ("screenshot", "marks", "axtree", "dom")
"""What an environment shows on top when asked: the picture, the picture with numbered marks, Chromium's own
accessibility tree and DOM snapshot as JSON."""


def observation_space(extras: Sequence[str] = (), *, viewport: tuple[int, int] = (1024, 768)) -> spaces.Dict:
    """The space of `Observation.as_dict()`, and of what is shown on top.

    Args:
        extras: some of `EXTRAS`.
        viewport: width and height of the pictures, in pixels.
    """
    text = ("goal", "url", "title", "tree", "dialog", "last_action", "last_effect", "last_error", "last_text")
    several = ("tabs", "changes", "files")
    parts: dict[str, spaces.Space[Any]] = {key: Unicode() for key in text}
    width, height = viewport
    picture = spaces.Box(0, 255, (height, width, 3), np.uint8)
    shown = {key: picture if key in ("screenshot", "marks") else Unicode(MAX_CAPTURE_CHARS) for key in extras}
    return spaces.Dict(parts | {key: spaces.Sequence(Unicode()) for key in several} | shown)
