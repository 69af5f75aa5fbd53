"""Pages that are solved by opening a menu and choosing from it."""

from milepost.sandbox.actions import Action, Click, Hover, Noop
from milepost.sandbox.observation import Observation


def choose_from_menu(view: Observation) -> Action:
    """Hover over the entries of the path, each of which opens the next menu, and click the last."""
    *parents, last = view.goal.removeprefix("Select ").split(">")
    found = view.find("menuitem", last)
    if found:
        return Click(found)
    opener = next((e for name in reversed(parents) if (e := view.find("menuitem", name))), None)
    return Hover(opener) if opener else Noop()
