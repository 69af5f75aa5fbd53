"""Pages that are solved by entering a text that the goal or the page gives."""

import operator
import re
from collections.abc import Callable, Mapping

from milepost.envs.miniwob.oracles.sight import (
    between,
    click,
    elements,
    enter,
    fill_all,
    ordinals,
    quoted,
    texts,
)
from milepost.sandbox.actions import Action, Extract, Fill, Noop, Press
from milepost.sandbox.observation import Observation

_OPERATORS: Mapping[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "x": operator.mul,
}


def enter_quoted(view: Observation) -> Action:
    """Enter what the goal quotes, in the case it asks for."""
    (text,) = quoted(view)[:1] or ("",)
    if "all upper case" in view.goal:
        text = text.upper()
    elif "all lower case" in view.goal:
        text = text.lower()
    return enter(view, text)


def enter_password(view: Observation) -> Action:
    """Enter the quoted password into both fields."""
    return fill_all(view, [(field, quoted(view)[0]) for field in elements(view, "textbox")])


def log_in(view: Observation) -> Action:
    """Enter name and password, close what pops up, and log in."""
    if view.find("button", "Cancel"):
        return click(view, "button", "Cancel")
    fields = list(zip(elements(view, "textbox"), quoted(view), strict=False))
    return fill_all(view, fields, button="Login" if view.find("button", "Login") else "OK")


def enter_counted_word(view: Observation) -> Action:
    """Enter the word of the text that the goal counts, without punctuation."""
    words = max(texts(view), key=len, default="").split()
    (place,) = ordinals(view)[:1] or (0,)
    return enter(view, re.sub(r"[^A-Za-z]", "", words[place])) if place < len(words) else Noop()


def enter_last_word(view: Observation) -> Action:
    """Enter the last word of the text area; the tree cuts long texts, so it is extracted first."""
    if not elements(view, "textbox"):
        return Noop()
    text, field, *_ = elements(view, "textbox")
    if view.last_action.startswith("extract") and view.last_text:
        return Fill(field.id, re.sub(r"[^A-Za-z0-9]", "", view.last_text.split()[-1]))
    return click(view, "button", "Submit") if field.value else Extract(text.id)


def copy_text(view: Observation) -> Action:
    """Copy the text of the area that the goal counts into the only empty field."""
    fields = elements(view, "textbox")
    # The areas stand in order; the field is the last, or the one that is empty or holds a copy.
    sources = [field for field in fields if field.value]
    if len(fields) == 2 and len(sources) == 1:
        (target,) = (field for field in fields if not field.value)
        return Fill(target.id, sources[0].value)
    if len(fields) == 2:
        return click(view, "button", "Submit")
    (place,) = ordinals(view)[:1] or (0,)
    return fill_all(view, [(fields[-1], fields[place].value)]) if len(fields) == 4 else Noop()


def enter_letters(view: Observation) -> Action:
    """Type the letters that stand one by one."""
    return enter(view, "".join(text for text in texts(view) if len(text) == 1))


def compute(view: Observation) -> Action:
    """Work out `a + b =` and enter the result."""
    for text in texts(view):
        found = re.fullmatch(r"(\d+) ([+x-]) (\d+) =", text)
        if found:
            return enter(view, str(_OPERATORS[found[2]](int(found[1]), int(found[3]))))
    return Noop()


def solve_for_x(view: Observation) -> Action:
    """Solve `x + a = b` or `a - x = b` and enter x."""
    for text in texts(view):
        found = re.fullmatch(r"(x|\d+) ([+-]) (x|\d+) = (-?\d+)", text)
        if found:
            left, sign, right, total = found.groups()
            if left == "x":
                x = int(total) - int(right) if sign == "+" else int(total) + int(right)
            else:
                x = int(total) - int(left) if sign == "+" else int(left) - int(total)
            return enter(view, str(x))
    return Noop()


def _read_cell(view: Observation, key: str) -> str:
    for row in elements(view, "row"):
        if row.name.startswith(f"{key} "):
            return row.name.removeprefix(f"{key} ")
    return ""


def enter_cell(view: Observation) -> Action:
    """Enter the value that the table gives for the goal's key."""
    return enter(view, _read_cell(view, between(view, "value of ", " into")))


def enter_cells(view: Observation) -> Action:
    """Enter the values that the table gives for the labels beside the fields."""
    labels = [text.removesuffix(":") for text in texts(view) if text.endswith(":")]
    fields = elements(view, "textbox")
    return fill_all(
        view, [(field, _read_cell(view, label)) for field, label in zip(fields, labels, strict=False)]
    )


def complete_item(view: Observation) -> Action:
    """Enter the beginning, read the suggestions, and enter the one with the right end."""
    field = view.element("textbox")
    if field is None or not quoted(view):
        return Noop()
    begin, end = (*quoted(view), "")[:2]
    if not field.value:
        return Fill(field.id, begin)
    suggested = [e.name for e in view.elements if e.name.startswith(begin) and e.name.endswith(end)]
    if field.value in suggested:
        return Press(field.id, "Escape")  # the suggestions cover the button
    if field.value != begin and not suggested:
        return click(view, "button", "Submit")
    return Fill(field.id, suggested[0]) if suggested else Noop()


def guess_number(view: Observation) -> Action:
    """Guess from the middle on, one up or down as the hint says."""
    field = view.element("spinbutton")
    if field is None:
        return Noop()
    shown = " ".join(texts(view))
    hint = re.search(r"number is (lower|higher) than\s*(\d+)", shown)
    guess = 5 if hint is None else int(hint[2]) + (1 if hint[1] == "higher" else -1)
    return fill_all(view, [(field, str(guess))])
