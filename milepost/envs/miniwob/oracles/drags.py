"""Pages that are solved by dragging with the mouse.

What is dragged there has no id. Where it is, is known from how the pages are laid out, which is always the same; what
stands where is read from the tree, whose lines keep that order. Shapes lie anywhere: they are felt for.
"""

from collections.abc import Mapping

from milepost.envs.miniwob.oracles.sight import between, ordinals, submit, texts
from milepost.sandbox.actions import Action, MouseDragAndDrop, Noop
from milepost.sandbox.dialect import render_action
from milepost.sandbox.observation import Observation

_STEPS: Mapping[str, tuple[int, int]] = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}
"""Right and down, by the word for the direction."""

_COLUMNS = 3
_PLACES = ("top left", "top center", "top right", "center left", "center", "center right")
_FIELDS = (*_PLACES, "bottom left", "bottom center", "bottom right")


def _drag_entry(start: int, end: int) -> Action:
    """Drag an entry of a list to a place; a little beyond, for the others give way at their middles."""
    beyond = 8 if end > start else -8
    return MouseDragAndDrop(75, round(70 + 28.6 * start), 75, round(70 + 28.6 * end) + beyond)


def drag_in_list(view: Observation) -> Action:
    """Drag the named entry to the place that the goal counts, names or is one step away."""
    names, entry = texts(view), between(view, "Drag ", " ")
    if entry not in names:
        return Noop()
    start = names.index(entry)
    ends = {"to the top": 0, "to the bottom": len(names) - 1, "up by": start - 1, "down by": start + 1}
    end = next((place for words, place in ends.items() if words in view.goal), None)
    return _drag_entry(start, ordinals(view)[0] if end is None else end)


def drag_in_grid(view: Observation) -> Action:
    """Drag the named field of three by three to the place that the goal names or is one step away."""
    names, entry = texts(view), between(view, "Drag ", " ")
    if entry not in names:
        return Noop()
    start, asked = names.index(entry), between(view, f"Drag {entry} ", ".")
    direction = asked.removesuffix(" by one")
    across, down = _STEPS.get(direction, (0, 0))
    end = start + across + _COLUMNS * down if direction in _STEPS else _FIELDS.index(asked[len("to the ") :])
    return _drag_field(start, end)


def _drag_field(start: int, end: int) -> Action:
    """Drag a field of the grid to a place: beyond its middle, where the page takes it as reached."""
    (row, column), (to_row, to_column) = divmod(start, _COLUMNS), divmod(end, _COLUMNS)
    right, down = 8 * _sign(to_column - column), 8 * _sign(to_row - row)
    if right > 0 > down:
        # What comes from the left is put behind what it is dropped on, though it goes back in the list.
        to_column -= 1
    return MouseDragAndDrop(
        27 + 46 * column, 77 + 46 * row, 27 + 46 * to_column + right, 77 + 46 * to_row + down
    )


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def sort_by_dragging(view: Observation) -> Action:
    """Drag the least number that is out of place to where it belongs; submit when there is none."""
    shown = [int(text) for text in texts(view) if text.removeprefix("-").isdigit()]
    for place, number in enumerate(sorted(shown)):
        if shown[place] != number:
            return _drag_entry(shown.index(number, place), place)
    return submit(view)


_SPOTS = [(x + by, y + by) for by in (0, 9) for y in range(88, 143, 18) for x in range(40, 131, 18)]
"""A lattice of points, and one between them: close enough that the smallest shape covers one, wherever it lies."""


def drag_shape(view: Observation) -> Action:
    """Try to drag what may lie at one point after the other, until the page changes; then submit."""
    direction = next((word for word in view.goal.split() if word in _STEPS), None)
    if direction is None:
        return Noop()
    across, down = (30 * step for step in _STEPS[direction])
    tries = [MouseDragAndDrop(x, y, x + across, y + down) for x, y in _SPOTS]
    done = [place for place, action in enumerate(tries) if render_action(action) == view.last_action]
    if done and (view.last_effect == "dom" or tries[done[0]] == tries[-1]):
        return submit(view)
    return tries[done[0] + 1 if done else 0]
