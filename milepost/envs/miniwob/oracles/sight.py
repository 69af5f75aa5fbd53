"""What the oracles see: words of the goal, elements of the tree, and the action that follows from them."""

import re
from collections.abc import Sequence

from milepost.sandbox.actions import Action, Click, Fill, Noop
from milepost.sandbox.observation import Element, Observation

MASK = "\u2022"
"""What a password field shows for every character."""

_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)")


def quoted(view: Observation) -> list[str]:
    """Give what the goal puts in quotes."""
    return re.findall(r'"([^"]*)"', view.goal)


def between(view: Observation, before: str, after: str) -> str:
    """Give what the goal says between two phrases; empty when it does not say them."""
    found = re.search(f"{re.escape(before)}(.*?){re.escape(after)}", view.goal)
    return found[1] if found else ""


def ordinals(view: Observation) -> list[int]:
    """Give the places that the goal counts, from 0: `the 3rd` is 2."""
    return [int(number) - 1 for number in _ORDINAL.findall(view.goal)]


def elements(view: Observation, role: str) -> list[Element]:
    """Give the elements with a role, in order."""
    return [element for element in view.elements if element.id and element.role == role]


def texts(view: Observation) -> list[str]:
    """Give the pieces of text between the elements."""
    return [element.name for element in view.elements if not element.id]


def click(view: Observation, role: str, name: str | None = None, *, nth: int = 0) -> Action:
    """Click the nth element with a role and name; wait when there is none."""
    found = view.find(role, name, nth=nth)
    return Click(found) if found else Noop()


def submit(view: Observation) -> Action:
    """Click the button that submits."""
    return click(view, "button", "Submit")


def fill_all(view: Observation, wanted: Sequence[tuple[Element, str]], *, button: str = "Submit") -> Action:
    """Fill the first of some fields that does not hold its text yet; click the button when all do."""
    for field, text in wanted:
        if field.value not in (text, MASK * len(text)):
            return Fill(field.id, text)
    return click(view, "button", button)


def enter(view: Observation, text: str, *, nth: int = 0) -> Action:
    """Fill the nth text field and submit; wait for a field."""
    fields = elements(view, "textbox")
    return fill_all(view, [(fields[nth], text)]) if len(fields) > nth else Noop()
