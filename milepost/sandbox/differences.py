"""What a page shows now and did not before: facts about it, from two readings."""

from collections.abc import Iterator

from milepost.sandbox.events import (
    DialogClosed,
    DialogOpened,
    ElementAppeared,
    ElementChanged,
    ElementDisappeared,
    Fact,
    Source,
    TitleChanged,
)
from milepost.sandbox.observation import Element
from milepost.sandbox.settle import Reading

_PASSING = ("focused", "offscreen")
"""States that are about where somebody looks: focus has a kind of event of its own."""


def compare_readings(tab: int, before: Reading, after: Reading) -> Iterator[tuple[Source, Fact]]:
    """Give what is gone, what appeared and what changed; an element with `role=dialog` counts as a dialog too."""
    if after.title != before.title:
        yield Source.BROWSER, TitleChanged(tab=tab, title=after.title)
    was = {(e.role, e.name): None for e in before.elements if e.id}
    now = {(e.role, e.name): None for e in after.elements if e.id}
    for role, name in was:
        if (role, name) not in now:
            yield Source.PAGE, ElementDisappeared(tab=tab, role=role, name=name)
            if role in ("dialog", "alertdialog"):
                yield Source.PAGE, DialogClosed(tab=tab, type="dialog", message=name, accepted=False)
    for role, name in now:
        if (role, name) not in was:
            yield Source.PAGE, ElementAppeared(tab=tab, role=role, name=name)
            if role in ("dialog", "alertdialog"):
                yield Source.PAGE, DialogOpened(tab=tab, type="dialog", message=name)
    known = {e.id: e for e in before.elements if e.id}
    for element in after.elements:
        was_so = known.get(element.id)
        if was_so is not None and _is_changed(was_so, element):
            yield (
                Source.PAGE,
                ElementChanged(
                    tab=tab,
                    role=element.role,
                    name=element.name,
                    value=element.value,
                    states=" ".join(_lasting(element)),
                ),
            )


def _is_changed(before: Element, after: Element) -> bool:
    """Whether an element that is still called the same has another value or other states."""
    if (before.value, before.states) == (after.value, after.states):
        return False
    same = (before.role, before.name) == (after.role, after.name)
    return same and (before.value, _lasting(before)) != (after.value, _lasting(after))


def _lasting(element: Element) -> tuple[str, ...]:
    return tuple(state for state in element.states if state not in _PASSING)
