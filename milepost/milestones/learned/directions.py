"""Which way a goal wants something moved, and which way an action goes."""

import re
from enum import StrEnum
from functools import lru_cache

from milepost.sandbox.actions import Action, KeyboardPress, MouseDragAndDrop, Press, Scroll


class Way(StrEnum):
    """A direction on the page."""

    UP = "up"
    DOWN = "down"
    LEFT = "left"
    RIGHT = "right"


_WORDS = {
    Way.UP: re.compile(r"\b(up|upwards?|top)\b", re.IGNORECASE),
    Way.DOWN: re.compile(r"\b(down|downwards?|bottom)\b", re.IGNORECASE),
    Way.LEFT: re.compile(r"\bleft(wards?)?\b", re.IGNORECASE),
    Way.RIGHT: re.compile(r"\bright(wards?)?\b", re.IGNORECASE),
}
_MOVES = re.compile(r"\b(drag|move|scroll|swipe|shift|push|slide)\b", re.IGNORECASE)
"""A goal that moves nothing names places, as in `the text below`, and not ways."""
_KEYS = {
    "ArrowUp": Way.UP,
    "PageUp": Way.UP,
    "Home": Way.UP,
    "ArrowDown": Way.DOWN,
    "PageDown": Way.DOWN,
    "End": Way.DOWN,
    "ArrowLeft": Way.LEFT,
    "ArrowRight": Way.RIGHT,
}


@lru_cache(maxsize=1024)
def find_way(goal: str) -> Way | None:
    """Give the one direction in which a goal wants something moved; None when it names none or several."""
    found = [way for way, words in _WORDS.items() if words.search(goal)] if _MOVES.search(goal) else []
    return found[0] if len(found) == 1 else None


def read_way(action: Action | None) -> Way | None:
    """Give the direction of a drag, of scrolling or of a key, by its longer axis; None of anything else."""
    match action:
        case MouseDragAndDrop():
            return _point(action.to_x - action.from_x, action.to_y - action.from_y)
        case Scroll():
            return _point(action.dx, action.dy)
        case Press(keys=keys) | KeyboardPress(keys=keys):
            return _KEYS.get(keys.rpartition("+")[2])
        case _:
            return None


def _point(right: int, down: int) -> Way | None:
    if abs(right) == abs(down):
        return None
    if abs(right) > abs(down):
        return Way.RIGHT if right > 0 else Way.LEFT
    return Way.DOWN if down > 0 else Way.UP
