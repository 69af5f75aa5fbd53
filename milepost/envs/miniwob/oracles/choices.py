"""Pages that are solved by choosing: boxes, lists, and forms made of both."""

import itertools

from milepost.envs.miniwob.oracles.sight import (
    between,
    click,
    elements,
    fill_all,
    ordinals,
    quoted,
    submit,
)
from milepost.sandbox.actions import Action, Click, Noop, Press, SelectOption
from milepost.sandbox.observation import Observation


def check_boxes(view: Observation) -> Action:
    """Check the named boxes, uncheck every other, and submit."""
    wanted = between(view, "Select ", " and click Submit").split(", ")
    for box in elements(view, "checkbox"):
        if ("checked" in box.states) != (box.name in wanted):
            return Click(box.id)
    return submit(view)


def choose_radio(view: Observation) -> Action:
    """Choose the named radio button and submit."""
    radio = view.element("radio", between(view, "Select ", " and click Submit"))
    if radio is None:
        return Noop()
    return submit(view) if "checked" in radio.states else Click(radio.id)


def choose_entry(view: Observation) -> Action:
    """Choose the named entry of a list and submit."""
    wanted, box = between(view, "Select ", " from the list"), view.element("combobox")
    if box is None:
        return Noop()
    return submit(view) if box.value == wanted else SelectOption(box.id, wanted)


def select_entries(view: Observation) -> Action:
    """Select the named entries of a list that takes several, and submit."""
    wanted, box = between(view, "Select ", " from the scroll list"), view.element("listbox")
    options = elements(view, "option")
    # An entry may have a comma in its own name, so ask which entries together read as the goal.
    sets = itertools.chain(([option] for option in options), itertools.permutations(options, 2))
    named = next((found for found in sets if ", ".join(o.name for o in found) == wanted), ())
    if box is None or not named:
        return Noop()
    if all("selected" in option.states for option in named):
        return submit(view)
    return SelectOption(box.id, tuple(option.name for option in named))


def choose_and_enter(view: Observation) -> Action:
    """Choose a radio button and fill a field, both counted by the goal, and submit."""
    radio, field = ordinals(view)[:2]
    radios, fields = elements(view, "radio"), elements(view, "textbox")
    if len(radios) <= radio or len(fields) <= field:
        return Noop()
    if "checked" not in radios[radio].states:
        return Click(radios[radio].id)
    return fill_all(view, [(fields[field], quoted(view)[0])])


def choose_and_click(view: Observation) -> Action:
    """Choose from the list, then click the quoted button."""
    wanted, box = between(view, "Choose ", " from the dropdown"), view.element("combobox")
    if box is None:
        return Noop()
    if box.value != wanted:
        return SelectOption(box.id, wanted)
    typing = view.element("textbox")
    # Choosing opens the page's own list, which covers the buttons; its blank entry is an item by itself.
    if typing and view.find("listitem"):
        return Press(typing.id, "Escape")
    return click(view, "button", *quoted(view))
