"""Pages that are solved by opening a menu and choosing from it."""

from milepost.envs.miniwob.oracles.sight import click, elements, quoted, texts
from milepost.sandbox.actions import Action, Click, Hover, MouseClick, Noop
from milepost.sandbox.observation import Observation


def choose_from_menu(view: Observation) -> Action:
    """Hover over the entries of the path, each of which opens the next menu, and click the last."""
    *parents, last = view.goal.removeprefix("Select ").split(">")
    found = view.find("menuitem", last)
    if found:
        return Click(found)
    opener = next((e for name in reversed(parents) if (e := view.find("menuitem", name))), None)
    return Hover(opener) if opener else Noop()


_PLUS = MouseClick(68, 130)
"""Beside the middle, where the closed slices lie upon each other."""

_SELECTED = MouseClick(80, 180)
"""The slice that is selected from the beginning is always the lowest, and has no id."""


def choose_from_pie(view: Observation) -> Action:
    """Open the round menu by its plus, and click the slice with the quoted label."""
    label = (*quoted(view), "")[0]
    if view.find("generic", "+") and elements(view, "generic")[-1].name == "+":
        return _PLUS
    return _SELECTED if label in texts(view) else click(view, "generic", label)
