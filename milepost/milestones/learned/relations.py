"""Whether what a goal asks for by place, slot, choice, order, bounds or direction was taken: yes, no, or not asked."""

import re

from milepost.milestones.learned.directions import find_way, read_way
from milepost.milestones.learned.goal_reading import asks_before, find_ordinal, find_slot, stands_in
from milepost.milestones.learned.orderings import (
    find_bounds,
    find_direction,
    find_remainder,
    find_result,
    is_extreme,
)
from milepost.milestones.learned.transition import FIELDS
from milepost.milestones.learned.view import View
from milepost.sandbox.actions import Extract, SelectOption
from milepost.sandbox.observation import Element

_TURNS = re.compile(r"next|previous|more|back|[<>\u00ab\u00bb]+", re.IGNORECASE)

_COPIED = 2
"""Characters that a text has at least that is copied."""


def describe_relation(view: View) -> dict[str, float]:
    """Say whether what the goal asks for by place, slot, choice, order, bounds, direction or label is what was taken.

    One pair of features for all: each kind of relation is rare, and a weight of its own would hardly be learned.
    """
    tests = (
        _match_place,
        _match_slot,
        _match_choice,
        _match_order,
        _match_bounds,
        _match_remainder,
        _match_way,
        _match_label,
        _match_copy,
        _match_result,
        _match_field,
        _match_turn,
    )
    found = [test(view) for test in tests]
    return {"relation_match": float(True in found), "relation_miss": float(False in found)}


def _turns_page(element: Element) -> bool:
    """Whether an element leads to another page of the same list: it is not what is chosen there."""
    name = element.name.strip()
    return bool(_TURNS.fullmatch(name)) or (element.role == "link" and name.isdigit())


def _match_place(view: View) -> bool | None:
    place = find_ordinal(view.goal)
    if not place or view.final or isinstance(view.action, Extract):
        return None
    start = place - 1 if place > 0 else -1
    if view.text:
        nth = [items[start] for items in view.list_places() if place <= len(items)]
        return view.text.lower() in nth if nth else None
    if view.target is None or _turns_page(view.target):
        return None
    return place <= len(view.peers) and view.peers[start] is view.target


def _match_slot(view: View) -> bool | None:
    slot = find_slot(view.goal, view.target.name) if view.target is not None and view.text else ()
    if not slot:
        return None
    # A text may go on where the name ends: `Toledo, OH`.
    return any(stands_in(name, view.text) for name in slot) and stands_in(view.text, view.goal)


def _match_choice(view: View) -> bool | None:
    if not isinstance(view.action, SelectOption) or view.target is None:
        return None
    chosen = (view.action.option,) if isinstance(view.action.option, str) else view.action.option
    rivals = [view.fit(e.name) for e in view.list_options() if e.name not in chosen]
    own = min((view.fit(text) for text in chosen), default=0.0)
    best = max(rivals, default=0.0)
    return None if own == best else own > best


def _match_order(view: View) -> bool | None:
    blocks = view.list_blocks() if find_direction(view.goal) else []
    own = next((block for element, block in blocks if view.is_meant(element, block)), None)
    others = [block for _, block in blocks if block is not own]
    if own is None or not others or (view.target is not None and _turns_page(view.target)):
        return None
    return is_extreme(own, others, view.goal, view.find_header())


def _match_bounds(view: View) -> bool | None:
    bounds = find_bounds(view.goal)
    if bounds is None or not view.final:
        return None
    seen = view.list_numbers()
    return any(bounds[0] < n < bounds[1] for n in seen) if seen else None


def _match_remainder(view: View) -> bool | None:
    remainder = find_remainder(view.goal)
    if remainder is None or not view.final:
        return None
    seen = view.list_numbers()
    return any(n % 2 == remainder for n in seen) if seen else None


def _match_way(view: View) -> bool | None:
    wanted, taken = find_way(view.goal), read_way(view.action)
    return taken == wanted if wanted and taken else None


def _match_label(view: View) -> bool | None:
    """Whether what stands as a label before the target fits the goal better than the labels of its peers."""
    if view.target is None or view.target.role in FIELDS:
        return None
    labels = view.list_labels()
    own = labels.pop(view.target.id, "")
    rivals = [view.fit(label) for label in labels.values() if label != own]
    if not own or not rivals or view.fit(own) == max(rivals):
        return None
    return view.fit(own) > max(rivals)


def _match_copy(view: View) -> bool | None:
    """Whether all that the page only shows was entered; what is not a copy may be meant otherwise."""
    shown, text = ("".join("".join(texts).split()) for texts in (view.list_texts(), view.text))
    return True if view.target is not None and len(shown) >= _COPIED and text == shown else None


def _match_result(view: View) -> bool | None:
    """Whether the result of the one calculation that the page shows was entered."""
    results = [n for text in view.list_texts() if (n := find_result(text)) is not None]
    if view.target is None or not view.text or len(results) != 1:
        return None
    return view.text.strip() == f"{results[0]:g}"


def _match_field(view: View) -> bool | None:
    """Whether a text is entered that is no button's name; what else it is, is not told."""
    names = {e.name.strip().lower() for e in view.elements if e.id and e.role == "button" and e.name}
    return False if view.target is not None and view.text.strip().lower() in names else None


def _match_turn(view: View) -> bool | None:
    """Whether something was done before the button that the goal names last; that it was enough is not told."""
    if view.target is None or not view.final or view.text or view.t.previous:
        return None
    return False if asks_before(view.goal, view.target.name) else None
