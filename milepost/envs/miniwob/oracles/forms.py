"""Pages that are solved by filling in a form: a date, a time, a search for films, a digit of boxes."""

import re
from collections.abc import Mapping

from milepost.envs.miniwob.oracles.sight import elements, fill_all, quoted, submit, texts
from milepost.sandbox.actions import Action, Click, Fill, Noop, Press, Type
from milepost.sandbox.observation import Observation

_LABELS: Mapping[str, str] = {"genre": "genre", "director": "name", "year": "year", "released": "year"}
"""Which fact a label asks for, by a word of it."""

_DIGITS: Mapping[str, tuple[str, ...]] = {
    "0": (" ## ", "#  #", "#  #", "#  #", "#  #", "#  #", " ## "),
    "1": ("  # ", " ## ", "  # ", "  # ", "  # ", "  # ", "  # "),
    "2": (" ## ", "#  #", "#  #", "  # ", " #  ", "#   ", "####"),
    "3": (" ## ", "#  #", "   #", " ## ", "   #", "#  #", " ## "),
    "4": ("#   ", "# # ", "# # ", "####", "  # ", "  # ", "  # "),
    "5": ("####", "#   ", "#   ", "### ", "   #", "#  #", " ## "),
    "6": (" ## ", "#  #", "#   ", "### ", "#  #", "#  #", " ## "),
    "7": ("####", "#  #", "   #", "  # ", "  # ", " #  ", " #  "),
    "8": (" ## ", "#  #", "#  #", " ## ", "#  #", "#  #", " ## "),
    "9": (" ## ", "#  #", "#  #", " ###", "   #", "#  #", " ## "),
}
"""How the page's pictures draw the digits, row by row."""


def enter_date(view: Observation) -> Action:
    """Enter the date in the form that a date field takes."""
    field, date = view.element("textbox"), re.search(r"(\d\d)/(\d\d)/(\d{4})", view.goal)
    return fill_all(view, [(field, f"{date[3]}-{date[1]}-{date[2]}")]) if field and date else Noop()


def enter_time(view: Observation) -> Action:
    """Enter the time of day by twenty-four hours."""
    field, time = view.element("textbox"), re.search(r"(\d+):(\d\d)\s([AP])M", view.goal)
    if field is None or time is None:
        return Noop()
    hour = int(time[1]) % 12 + (12 if time[3] == "P" else 0)
    return fill_all(view, [(field, f"{hour:02}:{time[2]}")])


def _fact_of(label: str) -> str:
    return next((fact for word, fact in _LABELS.items() if word in label.lower()), "")


def search_films(view: Observation) -> Action:
    """Fill in a form whose labels stand in any order, and search."""
    asked = re.search(
        r"for (?P<genre>\w+) movies directed by (?P<name>.+) from year (?P<year>\d+)", view.goal
    )
    fields = elements(view, "textbox")
    # Rows of a table have their label as name; elsewhere it is text.
    facts = [fact for fact in (_fact_of(e.name) for e in view.elements if e.role in ("row", "text")) if fact]
    if asked is None or len(fields) != 3 or len(facts) != 3:
        return Noop()
    for field, fact in zip(fields, facts, strict=True):
        if field.value != asked[fact]:
            return Fill(field.id, asked[fact])
    return _press_search(view)


def _press_search(view: Observation) -> Action:
    """Click what sends the form: a button, or a word that looks like one."""
    sends = (*elements(view, "button"), *elements(view, "generic"))
    return Click(sends[0].id) if sends else Noop()


def draw_digit(view: Observation) -> Action:
    """Check the boxes that draw the digit, and submit."""
    wanted = "".join(_DIGITS.get(next(iter(quoted(view)), ""), ()))
    boxes = elements(view, "checkbox")
    if len(boxes) != len(wanted):
        return Noop()
    for box, mark in zip(boxes, wanted, strict=True):
        if ("checked" in box.states) != (mark == "#"):
            return Click(box.id)
    return submit(view)


def _find_file(view: Observation, listed: str) -> str:
    """Choose a file of a listing; the page looks for the ending where it first stands in the name."""
    names = listed.split()
    ending = re.search(r"extension (\.\S+)$", view.goal)
    if ending is None:
        return next((name for name in names if "." not in name), "")
    fitting = [name for name in names if name.endswith(ending[1])]
    plain = [name for name in fitting if name.find(ending[1][1:]) + len(ending[1]) - 1 == len(name)]
    return next(iter(plain or fitting), "")


def delete_file(view: Observation) -> Action:
    """List the files in the terminal, and delete one with the right ending."""
    line, shown = view.element("textbox"), texts(view)
    if line is None:
        return Noop()
    if view.last_action.startswith("type"):
        return Press(line.id, "Enter")
    if "ls" not in shown[:-1]:
        return Type(line.id, "ls")
    return Type(line.id, f"rm {_find_file(view, shown[shown.index('ls') + 1])}")
