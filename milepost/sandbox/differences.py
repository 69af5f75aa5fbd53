"""What a page shows now and did not before: facts about it, from two readings."""

from collections.abc import Iterator

from milepost.sandbox.events import (
    DialogClosed,
    DialogOpened,
    ElementAppeared,
    ElementDisappeared,
    Fact,
    Source,
    TitleChanged,
)
from milepost.sandbox.settle import Reading


def compare_readings(tab: int, before: Reading, after: Reading) -> Iterator[tuple[Source, Fact]]:
    """Give what appeared and what is gone; an element with `role=dialog` counts as a dialog too."""
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
