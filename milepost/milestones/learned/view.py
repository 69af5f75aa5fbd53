"""A transition, taken apart once: action, target, text, what stands beside them, and what the goal names."""

import re
from collections.abc import Iterable
from dataclasses import replace

from milepost.milestones.learned.goal_reading import (
    FINAL,
    find_keys,
    find_kinds,
    fit_goal,
    spell_times,
    split_words,
    stands_in,
)
from milepost.milestones.learned.orderings import Quantity, read_amounts
from milepost.milestones.learned.transition import FIELDS, Transition, find_text, read_elements
from milepost.sandbox.actions import Action
from milepost.sandbox.dialect import parse_action
from milepost.sandbox.observation import Element

_WORD = re.compile(r"\bword\b", re.IGNORECASE)


def find_fraction(part: Iterable[bool]) -> float:
    """Give the part that is true, 0 of nothing."""
    marks = list(part)
    return sum(marks) / len(marks) if marks else 0.0


def is_label(element: Element) -> bool:
    """Whether a text names what follows it."""
    return not element.id and element.name.rstrip().endswith(":")


def call_by_kind(elements: tuple[Element, ...], goal: str) -> tuple[Element, ...]:
    """Call elements by their kind where the goal does, unless something on the page has that name already.

    Of `a "radio" widget` the name says nothing: what it is called on the page has no part in the goal.
    """
    meant = {
        kind: roles
        for kind, roles in find_kinds(goal).items()
        if not any(e.id and stands_in(kind, e.name) for e in elements)
    }
    kind_of = {role: kind for kind, roles in meant.items() for role in roles}
    if not kind_of:
        return elements
    return tuple(replace(e, name=kind_of[e.role]) if e.id and e.role in kind_of else e for e in elements)


class View:
    """What the features are made from."""

    def __init__(self, transition: Transition) -> None:
        """Parse the tree and the action; days and times are written in one way everywhere."""
        transition = replace(
            transition,
            goal=spell_times(transition.goal),
            tree=spell_times(transition.tree),
            action=spell_times(transition.action),
            previous=tuple(map(spell_times, transition.previous)),
            touched=tuple(map(spell_times, transition.touched)),
        )
        self.t = transition
        self.goal = transition.goal
        self.elements = call_by_kind(read_elements(transition.tree), self.goal)
        self.action: Action | None = parse_action(transition.action) if transition.action else None
        meant = getattr(self.action, "element", None)
        self.target = next((e for e in self.elements if meant and e.id == meant), None)
        self.text = find_text(self.action)
        self.keys = find_keys(self.goal)
        self.final = self.target is not None and bool(split_words(self.target.name) & FINAL)
        self.peers = self._find_peers()

    def _find_peers(self) -> list[Element]:
        target = self.target
        return [e for e in self.elements if e.id and e.role == target.role] if target else []

    def fit(self, text: str) -> float:
        """Say how well a name fits the goal, in [0, 1]."""
        return fit_goal(text, self.goal)

    def fit_row(self, row: str) -> float:
        """Give the part of the goal's keys that stand in a row."""
        return find_fraction(stands_in(key, row) for key in self.keys)

    def is_meant(self, element: Element, block: str) -> bool:
        """Whether the action is about this element, or its text was read there."""
        if self.target is not None:
            return element is self.target
        return bool(self.text) and stands_in(self.text, block)

    def list_rows(self) -> list[tuple[Element, str]]:
        """Give each element with what stands in its row, folded: the row's own name, or the texts that follow it."""
        found = []
        row: Element | None = None
        for n, element in enumerate(self.elements):
            if row is not None and element.depth <= row.depth:
                row = None
            if element.role == "row":
                row = element
            if not element.id:
                continue
            beside = [element.name, row.name if row is not None else ""]
            for other in self.elements[n + 1 :]:
                if other.id or other.depth != element.depth or is_label(other):
                    break
                beside.append(other.name)
            found.append((element, " ".join(beside).lower()))
        return found

    def list_blocks(self) -> list[tuple[Element, str]]:
        """Give each peer of the target (for an answer: each row) with the texts that stand before it and in its row."""
        role = self.target.role if self.target is not None else "row"
        found: list[tuple[Element, str]] = []
        before: list[str] = []
        row = ""
        for element in self.elements:
            row = element.name if element.role == "row" else row
            if element.role == role and element.id:
                found.append((element, " ".join((*before, element.name, row))))
                before = []
            elif not element.id:
                before.append(element.name)
        return found

    def list_labels(self) -> dict[str, str]:
        """Give for each peer of the target the label right before it, by id: a text that ends in a colon."""
        peers = {element.id for element in self.peers}
        pairs = zip(self.elements, self.elements[1:], strict=False)
        return {e.id: before.name for before, e in pairs if e.id in peers and is_label(before)}

    def list_numbers(self) -> list[float]:
        """Give the numbers that the page shows as text or holds in fields."""
        texts = [e.value or e.name for e in self.elements if not e.id or e.value]
        return [n for text in texts for n in read_amounts(text.replace("$", ""), Quantity.NUMBER)]

    def list_texts(self) -> list[str]:
        """Give the texts that the page only shows."""
        return [e.name for e in self.elements if not e.id and e.name]

    def find_header(self) -> str:
        """Give the first row of a table when it has no numbers, else nothing."""
        rows = [e.name for e in self.elements if e.role == "row"]
        return rows[0] if rows and not read_amounts(rows[0], Quantity.NUMBER) else ""

    def list_places(self) -> list[list[str]]:
        """Give what can be counted off for a text: the values of fields, and the words of the longest text."""
        values = [e.value.lower() for e in self.elements if e.role in FIELDS and e.value]
        longest = max((e.name for e in self.elements if not e.id), key=len, default="")
        words = re.findall(r"[\w'-]+", longest.lower())
        asked = (words,) if _WORD.search(self.goal) else (values, words)
        return [items for items in asked if len(items) > 1]

    def list_options(self) -> list[Element]:
        """Give the options below the target in the tree."""
        start = next(n for n, e in enumerate(self.elements) if e is self.target)
        below = []
        for element in self.elements[start + 1 :]:
            if element.depth <= self.elements[start].depth:
                break
            below.append(element)
        return below
