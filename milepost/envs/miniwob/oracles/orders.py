"""A page on which dishes are ordered from a menu."""

import re
import textwrap
from dataclasses import dataclass

from milepost.envs.miniwob.oracles.sight import click
from milepost.sandbox.actions import Action, MouseClick, Noop, ScrollTo
from milepost.sandbox.observation import Element, Observation

_MIDDLE, _LINE, _PLUS = 129, 14, 136
"""Where a picture is after scrolling to it, how high a line of a dish's name is, and where its plus stands."""
_LETTERS = 16
"""Letters that fit in a line of a name."""
_SHORT = 24
"""How far the menu stops short of bringing its last dish to the middle."""


@dataclass(frozen=True, slots=True)
class _Dish:
    name: str
    kinds: tuple[Element, ...]
    """The pictures below the name."""
    ordered: int


def _read_menu(view: Observation) -> list[_Dish]:
    """Read the dishes: a name, pictures, a minus, how many are ordered (if any), and a plus."""
    dishes, name, kinds, ordered = [], "", list[Element](), 0
    for element in view.elements:
        if element.role == "img":
            kinds.append(element)
        elif not element.id and element.name == "+":
            dishes.append(_Dish(name, tuple(kinds), ordered))
            name, kinds, ordered = "", [], 0
        elif not element.id and element.name.isdigit():
            ordered = int(element.name)
        elif not element.id and element.name != "-":
            name = element.name
    return dishes


def _add_dish(view: Observation, dish: _Dish, *, last: bool) -> Action:
    """Scroll to the dish and click its plus, which has no id."""
    scroll = ScrollTo(dish.kinds[0].id)
    if view.last_action != f'scroll_to("{scroll.element}")':
        return scroll
    above = _LINE * len(textwrap.wrap(dish.name, _LETTERS)) - 1
    return MouseClick(_PLUS, _MIDDLE - above + _SHORT * last)


def order_dishes(view: Observation) -> Action:
    """Order one of each named dish, or so many of the first dish of a kind, and send the order."""
    menu, asked = _read_menu(view), re.search(r"Order (\d+) items that are (\S+)", view.goal)
    named = view.goal.partition("each item: ")[2].split(", ")
    for dish in menu:
        fits = any(kind.name == asked[2] for kind in dish.kinds) if asked else dish.name in named
        wanted = int(asked[1]) if asked else 1
        if fits and dish.ordered < wanted:
            return _add_dish(view, dish, last=dish is menu[-1])
        if fits and asked:
            break
    return click(view, "button", "Order!") if menu else Noop()
