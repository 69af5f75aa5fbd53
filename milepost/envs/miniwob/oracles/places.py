"""Pages on which it matters where things stand: a grid, a row of cards, a phone book, a tree of folders."""

import re
import textwrap

from milepost.envs.miniwob.oracles.sight import between, click, elements, submit, texts
from milepost.sandbox.actions import Action, Click, MouseClick, MouseDragAndDrop, Noop
from milepost.sandbox.observation import Observation


def click_coordinate(view: Observation) -> Action:
    """Click a point of the grid, which the page draws of 5 by 5 points, 30 pixels apart."""
    point = re.search(r"\((-?\d),(-?\d)\)", view.goal)
    return MouseClick(79 + 30 * int(point[1]), 129 - 30 * int(point[2])) if point else Noop()


def turn_greatest(view: Observation) -> Action:
    """Turn the card with the greatest number, and submit; a card that is turned cannot be clicked any more."""
    numbers = [e for e in view.elements if re.fullmatch(r"\d+", e.name)]
    greatest = max(numbers, key=lambda e: int(e.name), default=None)
    if greatest is None:
        return Noop()
    return Click(greatest.id) if greatest.id else submit(view)


def click_contact(view: Observation) -> Action:
    """Turn the pages of a phone book to a person, and click the detail."""
    name, detail = between(view, "Find ", " in the"), re.search(r"their (phone|email|address)", view.goal)
    if detail is None or view.find("heading", name) is None:
        return click(view, "link", ">")
    return click(view, "generic", nth=["phone", "email", "address"].index(detail[1]))


def open_entry(view: Observation) -> Action:
    """Unfold one folder after the other until the entry shows, and click it.

    What stands in a folder has no id, but every line of the tree is as high as the others.
    """
    wanted, items = between(view, 'named "', '"'), elements(view, "listitem")
    top = [item for item in items if item.depth == min(item.depth for item in items)]
    lines = [word for item in top for word in item.name.split()]
    if wanted in lines:
        return MouseClick(60, 59 + 15 * lines.index(wanted))
    folds = [fold.id for fold in elements(view, "generic")]
    tried = [place for place, fold in enumerate(folds) if view.last_action == f'click("{fold}")']
    after = tried[0] + 1 if tried else 0
    return Click(folds[after]) if after < len(folds) else Noop()


def highlight_paragraph(view: Observation) -> Action:
    """Drag the mouse over the paragraph, and submit.

    A paragraph below the button ends the page. One above it must be left before the button, so its lines are counted:
    of at most 25 characters, which is rather one line too many than one too few, and the gap below is wide enough.
    """
    button = view.element("button")
    if button is None:
        return Noop()
    if view.last_action.startswith("mouse_drag"):
        return Click(button.id)
    if view.elements.index(button) == 0:
        return MouseDragAndDrop(13, 106, 155, 205)
    lines = textwrap.wrap(" ".join(texts(view)), 25)
    return MouseDragAndDrop(13, 65, 155, 57 + 11 * len(lines))
