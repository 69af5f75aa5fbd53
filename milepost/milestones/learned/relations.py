"""Whether what a goal asks for by place, slot, choice, order or bounds is what was taken: yes, no, or not asked."""

from milepost.milestones.learned.goal_reading import find_ordinal, find_slot
from milepost.milestones.learned.orderings import (
    Quantity,
    find_bounds,
    find_direction,
    is_extreme,
    read_amounts,
)
from milepost.milestones.learned.view import View
from milepost.sandbox.actions import SelectOption


def describe_relation(view: View) -> dict[str, float]:
    """Say whether what the goal asks for by place, slot, choice, order or bounds is what was taken.

    One pair of features for all: each kind of relation is rare, and a weight of its own would hardly be learned.
    """
    tests = (
        _match_place,
        _match_slot,
        _match_choice,
        _match_order,
        _match_bounds,
    )
    found = [test(view) for test in tests]
    return {"relation_match": float(True in found), "relation_miss": float(False in found)}


def _match_place(view: View) -> bool | None:
    place = find_ordinal(view.goal)
    if not place or view.final:
        return None
    start = place - 1 if place > 0 else -1
    if view.text:
        nth = [items[start] for items in view.list_places() if place <= len(items)]
        return view.text.lower() in nth if nth else None
    if view.target is None:
        return None
    return place <= len(view.peers) and view.peers[start] is view.target


def _match_slot(view: View) -> bool | None:
    slot = find_slot(view.goal, view.target.name) if view.target is not None and view.text else ""
    return slot == view.text.lower() if slot else None


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
    if own is None:
        return None
    others = [block for _, block in blocks if block is not own]
    return is_extreme(own, others, view.goal, view.find_header())


def _match_bounds(view: View) -> bool | None:
    bounds = find_bounds(view.goal)
    if bounds is None or view.target is None:
        return None
    texts = [e.value or e.name for e in view.elements if not e.id or e.value]
    seen = [n for text in texts for n in read_amounts(text.replace("$", ""), Quantity.NUMBER)]
    return any(bounds[0] < n < bounds[1] for n in seen) if seen else None
