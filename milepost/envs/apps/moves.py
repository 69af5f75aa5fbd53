"""What oracles do next: an action on an element, or None when it is not there or already as wanted."""

from milepost.sandbox.actions import Action, Click, Fill, Noop, SelectOption
from milepost.sandbox.observation import Element, Observation


def take_first(*moves: Action | None) -> Action:
    """Give the first move that can be made; waiting when there is none."""
    return next((move for move in moves if move is not None), Noop())


def press(view: Observation, role: str, *names: str) -> Click | None:
    """Click the first of these elements that is there and can be pressed."""
    for name in names:
        element = view.element(role, name)
        if element is not None and "disabled" not in element.states:
            return Click(element.id)
    return None


def follow(view: Observation, *names: str) -> Click | None:
    """Click the first of these links that is there: name the nearest to the aim first."""
    return press(view, "link", *names)


def enter(view: Observation, label: str, value: str) -> Fill | None:
    """Fill a field unless it holds the value."""
    element = find_field(view, label)
    return Fill(element.id, value) if element is not None and element.value != value else None


def find_field(view: Observation, label: str) -> Element | None:
    """Find a text or search field by its label."""
    return view.element("textbox", label) or view.element("searchbox", label)


def pick(view: Observation, label: str, option: str) -> SelectOption | None:
    """Choose an option of a list unless it is chosen."""
    element = view.element("combobox", label)
    return SelectOption(element.id, option) if element is not None and element.value != option else None


def switch(view: Observation, role: str, label: str, wanted: bool) -> Click | None:
    """Click a checkbox, radio button or switch unless it is as wanted."""
    element = view.element(role, label)
    if element is None or ("checked" in element.states) == wanted:
        return None
    return Click(element.id)


def shows_text(view: Observation, text: str) -> bool:
    """Whether a line of the page is exactly this text."""
    return any(element.name == text for element in view.elements)
