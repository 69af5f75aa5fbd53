"""Other ways to do a task, made from its oracle: a user may well go them, so they have to pay as much."""

from milepost.envs.task import Oracle
from milepost.sandbox.actions import Action, Click, Extract, Fill, Goto, Press, Type
from milepost.sandbox.observation import Observation

_BY_SPACE = ("checkbox", "radio", "switch")
"""What the space bar turns and Enter does not."""


def by_keyboard(oracle: Oracle) -> Oracle:
    """Press keys where the oracle clicks, and type where it fills an empty field in."""

    def act(view: Observation) -> Action:
        action = oracle(view)
        match action:
            case Click(element=wanted):
                element = next(e for e in view.elements if e.id == wanted)
                return Press(wanted, "Space" if element.role in _BY_SPACE else "Enter")
            case Fill(element=wanted, text=text):
                element = next(e for e in view.elements if e.id == wanted)
                return action if element.value else Type(wanted, text)
            case _:
                return action

    return act


def by_enter(oracle: Oracle, button: str, field: str) -> Oracle:
    """Press Enter in a field where the oracle presses the form's button."""

    def act(view: Observation) -> Action:
        action = oracle(view)
        pressed = view.find("button", button)
        inside = view.find("searchbox", field) or view.find("textbox", field)
        return Press(inside, "Enter") if inside and pressed and action == Click(pressed) else action

    return act


def straight_to(oracle: Oracle, address: str) -> Oracle:
    """Open a page by its address first, as with a bookmark."""

    def act(view: Observation) -> Action:
        return oracle(view) if view.url.startswith(address) else Goto(address)

    return act


def reading_all(oracle: Oracle, role: str, name: str) -> Oracle:
    """Read a whole part of a page out where the oracle reads a line of it."""

    def act(view: Observation) -> Action:
        action = oracle(view)
        whole = view.find(role, name)
        return Extract(whole) if isinstance(action, Extract) and whole else action

    return act
