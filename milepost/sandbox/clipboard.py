"""An episode's own clipboard. The browser has one for all of its contexts, and nothing of that reaches a page.

What is copied, by the agent or on a page by keys, is a fact; the newest of them is what a paste brings. The walker stops
every native paste and puts the episode's own text in its place.
"""

from milepost.sandbox.events import Copied, Fact, Source
from milepost.sandbox.keyboard import Key
from milepost.sandbox.sites import FactSink

_CONTROL, _SHIFT = 2, 8


class Clipboard:
    """Holds the text that was copied last."""

    def __init__(self, sink: FactSink) -> None:
        """Begin empty.

        Args:
            sink: takes the facts, those that concern no clipboard too.
        """
        self._sink = sink
        self.text = ""

    def note(self, source: Source, fact: Fact) -> None:
        """Take a fact and pass it on."""
        if isinstance(fact, Copied):
            self.text = fact.text
        self._sink(source, fact)


def is_paste(keys: tuple[Key, ...]) -> bool:
    """Whether a combination pastes: Control+V, with Shift or without, or Shift+Insert."""
    held = sum(key.modifier for key in keys[:-1])
    if keys[-1].code == "Insert":
        return held == _SHIFT
    return keys[-1].code == "KeyV" and held & ~_SHIFT == _CONTROL
