"""Gymnasium spaces for what a computer shows and takes."""

import string
from typing import Any

import numpy as np
from gymnasium import spaces

MAX_CHARS = 4_000_000
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


def observation_space() -> spaces.Dict:
    """The space of `Observation.as_dict()`."""
    text = ("goal", "url", "title", "tree", "dialog", "last_action", "last_effect", "last_error", "last_text")
    several = ("tabs", "changes", "files")
    parts: dict[str, spaces.Space[Any]] = {key: Unicode() for key in text}
    return spaces.Dict(parts | {key: spaces.Sequence(Unicode()) for key in several})
