"""Reads what the walker noted in its isolated world: trusted user events become facts."""

from collections.abc import Mapping
from typing import Any

from milepost.sandbox.events import (
    Clicked,
    Copied,
    Fact,
    Filled,
    Focused,
    Selected,
    Submitted,
    Toggled,
    Validated,
)


def read_note(tab: int, note: Mapping[str, Any]) -> Fact | None:  # noqa: PLR0911 - one case per kind
    """Read a note into a fact; None for one that no fact is made of."""
    role, name = note["role"], note["name"]
    match note["kind"]:
        case "clicked":
            return Clicked(tab=tab, role=role, name=name)
        case "focused":
            return Focused(tab=tab, role=role, name=name)
        case "filled":
            return Filled(tab=tab, role=role, name=name, value=note["value"])
        case "validated":
            return Validated(tab=tab, role=role, name=name, valid=note["valid"])
        case "toggled":
            return Toggled(tab=tab, role=role, name=name, checked=note["checked"])
        case "selected":
            return Selected(tab=tab, role=role, name=name, value=note["value"])
        case "submitted":
            return Submitted(tab=tab, name=name)
        case "copied":
            return Copied(tab=tab, text=note["text"])
        case _:
            return None
