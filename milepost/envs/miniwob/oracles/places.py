"""Pages whose words and drawings have no id and always stand in the same places, which the pages' styles fix."""

import re

from milepost.envs.miniwob.oracles.sight import between, submit, texts
from milepost.sandbox.actions import Action, Click, MouseClick, Noop
from milepost.sandbox.observation import Observation


def click_coordinate(view: Observation) -> Action:
    """Click a point of a grid of 5 by 5, 30 pixels apart."""
    point = re.search(r"\((-?\d),(-?\d)\)", view.goal)
    return MouseClick(79 + 30 * int(point[1]), 129 - 30 * int(point[2])) if point else Noop()


def turn_greatest(view: Observation) -> Action:
    """Turn the card with the greatest number, and submit."""
    numbers = [int(text) for text in texts(view) if re.fullmatch(r"-?\d+", text)]
    if len(numbers) != 3:
        return Noop()
    if view.last_action.startswith("mouse_click"):
        return submit(view)
    return MouseClick(28 + 52 * numbers.index(max(numbers)), 100)


def click_contact(view: Observation) -> Action:
    """Turn the pages of a phone book to a person, and click the detail."""
    name, detail = between(view, "Find ", " in the"), between(view, "on their ", ".").split()[0:1]
    if not detail:
        return Noop()
    if view.find("heading", name) is None:
        link = view.find("link", ">")
        return Click(link) if link else Noop()
    return MouseClick(60, 99 + 15 * ["phone", "email", "address"].index(detail[0]))
