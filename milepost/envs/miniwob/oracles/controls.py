"""Pages that are solved with sliders, spinners, colour fields and by scrolling."""

import re
from collections.abc import Mapping

from milepost.envs.miniwob.oracles.sight import between, elements, enter, fill_all, ordinals, submit, texts
from milepost.sandbox.actions import Action, Click, Noop, Press
from milepost.sandbox.observation import Observation

_COLORS: Mapping[str, str] = {
    "red": "FF0000",
    "blue": "0000FF",
    "olive": "808000",
    "lime": "00FF00",
    "black": "000000",
    "white": "FFFFFF",
    "grey": "808080",
    "gray": "808080",
    "aqua": "00FFFF",
    "maroon": "800000",
    "navy": "000080",
    "silver": "C0C0C0",
    "teal": "008080",
    "gold": "FFD700",
    "purple": "800080",
    "orange": "FFA500",
    "yellow": "FFFF00",
    "cyan": "00FFFF",
    "pink": "FFC0CB",
    "magenta": "FF00FF",
    "green": "008000",
    "brown": "A52A2A",
}


def _numbers(view: Observation) -> list[int]:
    return [int(text) for text in texts(view) if re.fullmatch(r"-?\d+", text)]


def _nudge(view: Observation, wanted: list[int]) -> Action | None:
    """Press the arrow key that brings the first wrong slider nearer; None when all are right."""
    handles = [e for e in elements(view, "slider") or elements(view, "generic") if not e.name]
    for handle, shown, number in zip(handles, _numbers(view), wanted, strict=False):
        if shown != number:
            return Press(handle.id, "ArrowRight" if shown < number else "ArrowLeft")
    return None


def set_sliders(view: Observation) -> Action:
    """Set one slider or several to the numbers of the goal, and submit."""
    wanted = [int(number) for number in re.findall(r"-?\d+", view.goal)]
    return _nudge(view, wanted) or submit(view)


def set_slider_and_check(view: Observation) -> Action:
    """Set the slider, check the box that the goal counts, and submit."""
    nudge = _nudge(view, [int(between(view, "Select ", " with"))])
    boxes, place = elements(view, "checkbox"), ordinals(view)[0]
    if nudge is not None:
        return nudge
    if len(boxes) <= place:
        return Noop()
    return submit(view) if "checked" in boxes[place].states else Click(boxes[place].id)


def set_spinner(view: Observation) -> Action:
    """Enter the number into the spinner, and submit."""
    field, number = view.element("spinbutton"), between(view, "Select ", " with")
    return fill_all(view, [(field, number)]) if field else Noop()


def enter_color(view: Observation) -> Action:
    """Enter the colour's code into the field of the colour picker, and submit."""
    return enter(view, _COLORS.get(between(view, "Select ", " with"), ""))


def scroll_text(view: Observation) -> Action:
    """Move the caret to one end of the text, which scrolls there, and submit."""
    area = view.element("textbox")
    if area is None or view.last_action.startswith("press"):
        return submit(view)
    return Press(area.id, "Control+End" if "to the bottom" in view.goal else "Control+Home")
