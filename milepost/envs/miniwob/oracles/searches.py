"""Pages that are solved by searching: a search engine, a calendar, a flight."""

import calendar
import re

from milepost.envs.miniwob.oracles.sight import click, elements, ordinals, quoted, submit, texts
from milepost.sandbox.actions import Action, Click, Fill, Noop, Press
from milepost.sandbox.observation import Element, Observation

_MONTHS = list(calendar.month_name)


def open_result(view: Observation) -> Action:
    """Search, turn to the page of the result that the goal counts, and open it."""
    field, links = view.element("textbox"), elements(view, "link")
    if field is None or field.value != quoted(view)[0]:
        return Fill(field.id, quoted(view)[0]) if field else Noop()
    names = [link.name for link in links]
    if not links:
        return click(view, "button", "Search")
    page = 1 if "<" not in names else 3 if ">" not in names else 2
    wanted, place = divmod(ordinals(view)[0], 3)
    return Click(links[place].id) if page == wanted + 1 else click(view, "link", str(wanted + 1))


def _pick_day(view: Observation, field: Element, date: str) -> Action:
    """Open a calendar, turn to the month by the keyboard, and click the day."""
    month, day, _ = (int(part) for part in date.split("/"))
    shown = next((_MONTHS.index(text) for text in texts(view) if text in _MONTHS[1:]), 0)
    if not shown:
        return Click(field.id)
    if shown != month:
        return Press(field.id, "PageUp" if shown > month else "PageDown")
    return click(view, "link", str(day))


def choose_date(view: Observation) -> Action:
    """Pick the date in the calendar, and submit."""
    field, dates = view.element("textbox"), re.findall(r"\d\d/\d\d/\d{4}", view.goal)
    if field is None or not dates:
        return Noop()
    return submit(view) if field.value == dates[0] else _pick_day(view, field, dates[0])


def _fill_place(view: Observation, field: Element, place: str) -> Action | None:
    """Choose an airport among the suggestions by the keyboard; None when the field holds it."""
    if f"({place})" in field.value or field.value.startswith(f"{place} ("):
        # The suggestions still show: Enter takes the one in the field and closes them.
        shown = {element.name for element in view.elements if element.role not in ("status", "textbox")}
        return Press(field.id, "Enter") if field.value in shown else None
    # Typing asks for suggestions; from then on the field holds one after the other.
    return Press(field.id, "ArrowDown") if field.value else Fill(field.id, place)


def _pick_flight(view: Observation) -> Action:
    buttons = [button for button in elements(view, "button") if button.name.startswith("Book flight")]
    lasting = [re.fullmatch(r"(\d+)h (\d+)m", text) for text in texts(view)]
    durations = [int(found[1]) * 60 + int(found[2]) for found in lasting if found]
    prices = [int(button.name.rpartition("$")[2]) for button in buttons]
    figures = durations if "shortest" in view.goal else prices
    if not buttons or len(figures) != len(buttons):
        return Noop()
    return Click(buttons[figures.index(min(figures))].id)


def book_flight(view: Observation) -> Action:
    """Fill in the route and the date, search, and book the cheapest or shortest flight."""
    asked = re.search(r"from: (.+) to: (.+) on (\d\d/\d\d/\d{4})", view.goal)
    fields = elements(view, "textbox")
    if asked is None or len(fields) < 3:
        return _pick_flight(view)
    for field, place in zip(fields, asked.groups()[:2], strict=False):
        step = _fill_place(view, field, place)
        if step is not None:
            return step
    if fields[2].value != asked[3]:
        return _pick_day(view, fields[2], asked[3])
    return click(view, "button", "Search")
