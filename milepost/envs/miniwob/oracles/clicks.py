"""Pages that are solved by clicking the right thing."""

import re

from milepost.envs.miniwob.oracles.sight import between, click, elements, ordinals, quoted, submit, texts
from milepost.sandbox.actions import Action, Click, Fill, Noop, Press
from milepost.sandbox.observation import Observation


def click_any_button(view: Observation) -> Action:
    """Click the only button."""
    return click(view, "button")


def click_quoted_button(view: Observation) -> Action:
    """Click the button whose caption the goal quotes."""
    return click(view, "button", *quoted(view)[:1])


def _press_button(view: Observation, name: str) -> Action:
    """Click a button; when another lies over it, press it by the keyboard."""
    button = view.find("button", name)
    if button and "covered" in view.last_error:
        return Press(button, "Enter")
    return Click(button) if button else Noop()


def click_named_button(view: Observation) -> Action:
    """Click the button that the goal names in capitals."""
    return _press_button(view, between(view, "button ", "."))


def click_in_sequence(view: Observation) -> Action:
    """Click ONE, and TWO once ONE has the focus."""
    first = view.element("button", "ONE")
    return _press_button(view, "TWO" if first and "focused" in first.states else "ONE")


def click_in_dialog(view: Observation) -> Action:
    """Click the quoted button of a dialog; what looks like an x is named Close."""
    (caption,) = quoted(view)[:1] or ("x",)
    return click(view, "button", "Close" if caption == "x" else caption)


def open_section(view: Observation) -> Action:
    """Open the section, then submit."""
    for tab in elements(view, "tab"):
        if tab.name.startswith("Section"):
            return Click(tab.id) if "collapsed" in tab.states else submit(view)
    return Noop()


def switch_tab(view: Observation) -> Action:
    """Switch to the tab that the goal names."""
    return click(view, "tab", between(view, "Click on ", "."))


def focus_field(view: Observation) -> Action:
    """Click the field that the goal counts, the first if it counts none."""
    return click(view, "textbox", nth=next(iter(ordinals(view)), 0))


_TYPED = "two\nlines"
_KEPT = {"text": "two lines", "textarea": "two\nlines"}
"""What is left of it in a field of each kind."""


def click_widget(view: Observation) -> Action:
    """Click a widget of the kind that the goal quotes; an area keeps a second line and a field does not, so try."""
    (kind,) = quoted(view)[:1] or ("",)
    if kind not in _KEPT:
        return click(view, kind)
    for field in elements(view, "textbox"):
        if field.value not in _KEPT.values():
            return Fill(field.id, _TYPED)
        if field.value == _KEPT[kind]:
            return Click(field.id)
    return Noop()


def buy_ticket(view: Observation) -> Action:
    """Book the ticket with the least or greatest price or duration."""
    durations = [
        int(found[1]) * 60 + int(found[2])
        for found in (re.fullmatch(r"(\d+)h (\d+)m", text) for text in texts(view))
        if found
    ]
    buttons = [button for button in elements(view, "button") if button.name.startswith("Book")]
    prices = [int(button.name.rpartition("$")[2]) for button in buttons]
    figures = durations if "duration" in view.goal else prices
    if not buttons or len(figures) != len(buttons):
        return Noop()
    pick = max if "longest" in view.goal or "most expensive" in view.goal else min
    return Click(buttons[figures.index(pick(figures))].id)


def mark_parity(view: Observation) -> Action:
    """Mark number after number; the button that has the focus tells which was last."""
    buttons = elements(view, "button")
    numbers = [int(text) for text in texts(view) if re.fullmatch(r"-?\d+", text)]
    last = next((i // 2 for i, button in enumerate(buttons) if "focused" in button.states), -1)
    if last + 1 >= len(numbers):
        return submit(view)
    return Click(buttons[2 * (last + 1) + (numbers[last + 1] % 2 == 0)].id)


def generate_number(view: Observation) -> Action:
    """Generate until the number fits."""
    shown = next((text for text in texts(view) if re.fullmatch(r"-|\d+", text)), "-")
    bound = re.search(r"(less|greater) than (\d+)", view.goal)
    fits = False
    if shown != "-" and bound:
        fits = int(shown) < int(bound[2]) if bound[1] == "less" else int(shown) > int(bound[2])
    elif shown != "-":
        fits = int(shown) % 2 == ("odd" in view.goal)
    return submit(view) if fits else click(view, "button", "Generate")


def buy_stock(view: Observation) -> Action:
    """Wait until the price is below the bound, then buy."""
    prices = [float(text[1:]) for text in texts(view) if re.fullmatch(r"\$\d+\.\d+", text)]
    bound = re.search(r"less than \$([\d.]+\d)", view.goal)
    return click(view, "button", "Buy") if prices and bound and prices[0] <= float(bound[1]) else Noop()
