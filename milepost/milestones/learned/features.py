"""Numbers about a transition that mean the same on every page: how goal, action and change belong together.

No feature names a page, a site or a word of a task; that is what lets a model judge templates it has not seen.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from milepost.milestones.learned.transition import Transition
from milepost.sandbox.actions import (
    Action,
    Answer,
    Back,
    Check,
    Click,
    Fill,
    Forward,
    Goto,
    Press,
    Reload,
    SelectOption,
    Type,
    Uncheck,
)
from milepost.sandbox.dialect import parse_action
from milepost.sandbox.observation import Element, parse_tree

_VERBS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("click", (Click, Check, Uncheck)),
    ("fill", (Fill, Type)),
    ("select", (SelectOption,)),
    ("press", (Press,)),
    ("answer", (Answer,)),
    ("leave", (Back, Forward, Reload, Goto)),
)
_ROLES = ("button", "textbox", "checkbox", "radio", "link", "option", "tab", "combobox")
_CHANGES = (
    "filled",
    "selected",
    "toggled",
    "submitted",
    "dialog_opened",
    "navigation_completed",
    "file_created",
)
_FIELDS = ("textbox", "searchbox", "combobox", "spinbutton", "listbox")
_CHOSEN = frozenset({"checked", "selected", "pressed"})
_CLAIM = re.compile(r"\b(success\w*|complete[d]?|met|reward|verified|achieved|milestones?)\b", re.IGNORECASE)
_WORD = re.compile(r"\w+")
_KEY = re.compile(r'"([^"]+)"|\b([A-Z][\w-]*|\d[\d.,/:-]*\d|\d)')
_FINAL = frozenset(
    {"submit", "ok", "search", "login", "confirm", "save", "send", "export", "book", "done", "apply"}
)

NAMES: tuple[str, ...] = (
    *(f"verb_{name}" for name, _ in _VERBS),
    "unreadable",
    *(f"role_{name}" for name in _ROLES),
    "target_known",
    "target_in_goal",
    "target_share",
    "target_rival",
    "target_best",
    "target_final",
    "target_chosen",
    "text_in_goal",
    "text_share",
    "text_on_page",
    "text_quoted",
    "text_claims",
    "text_long",
    "text_changed",
    "repeated",
    "leaves_again",
    *(f"change_{name}" for name in _CHANGES),
    "appeared",
    "disappeared",
    "appeared_in_goal",
    "nothing_changed",
    "covered_before",
    "covered_after",
    "covered_gain",
    "final_covered",
    "final_uncovered",
    "chosen_in_goal",
    "chosen_beside",
    "left_in_goal",
    "keys",
)
"""The features, in order."""


def featurize(transition: Transition) -> NDArray[np.float64]:
    """Give the features of a transition, shape (features,), each in [-1, 1]."""
    view = _View(transition)
    found = {**view.describe_action(), **view.describe_target(), **view.describe_text()}
    found |= {**view.describe_changes(), **view.describe_coverage()}
    return np.array([found.get(name, 0.0) for name in NAMES])


def featurize_all(transitions: Sequence[Transition]) -> NDArray[np.float64]:
    """Give the features of an episode, shape (steps, features)."""
    return np.array([featurize(t) for t in transitions]).reshape(len(transitions), len(NAMES))


@lru_cache(maxsize=256)
def _elements(tree: str) -> tuple[Element, ...]:
    return parse_tree(tree)


@lru_cache(maxsize=256)
def _keys(goal: str) -> tuple[str, ...]:
    """Give what a goal names: quoted texts, capitalised words inside sentences, numbers."""
    found = []
    for match in _KEY.finditer(goal):
        first = goal[: match.start()].rstrip()[-1:] in ("", ".", "!", "?", ":")
        if match[1] or not (first and match[2][0].isalpha()):
            found.append((match[1] or match[2]).lower())
    return tuple(dict.fromkeys(found))


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))


def _share(text: str, goal: str) -> float:
    words = _words(text)
    return len(words & _words(goal)) / len(words) if words else 0.0


def _within(text: str, goal: str) -> bool:
    folded = text.strip().lower()
    return bool(folded) and re.search(rf"(?<!\w){re.escape(folded)}(?!\w)", goal.lower()) is not None


def _fraction(part: Iterable[bool]) -> float:
    marks = list(part)
    return sum(marks) / len(marks) if marks else 0.0


class _View:
    """A transition, taken apart once."""

    def __init__(self, transition: Transition) -> None:
        self.t = transition
        self.elements = _elements(transition.tree)
        self.action: Action | None = parse_action(transition.action) if transition.action else None
        self.target = self._find_target()
        self.text = self._find_text()

    def _find_target(self) -> Element | None:
        names = {f.name for f in fields(self.action)} if self.action is not None else set()
        element_id = getattr(self.action, "element", None) if "element" in names else None
        return next((e for e in self.elements if e.id == element_id), None) if element_id else None

    def _find_text(self) -> str:
        if isinstance(self.action, Fill | Type | Answer):
            return self.action.text
        if isinstance(self.action, SelectOption):
            option = self.action.option
            return option if isinstance(option, str) else " ".join(option)
        return ""

    def describe_action(self) -> dict[str, float]:
        found = {f"verb_{name}": float(isinstance(self.action, kinds)) for name, kinds in _VERBS}
        leaving = isinstance(self.action, Reload | Back | Goto)
        before = [text.partition("(")[0] for text in self.t.previous]
        return found | {
            "unreadable": float(self.action is None),
            "repeated": float(self.t.action in self.t.previous),
            "leaves_again": float(leaving and any(verb in ("reload", "back", "goto") for verb in before)),
        }

    def describe_target(self) -> dict[str, float]:
        target, goal = self.target, self.t.goal
        if target is None:
            return {}
        peers = [e for e in self.elements if e.id and e.role == target.role and e.id != target.id]
        own = self._fit(target)
        rival = max((self._fit(e) for e in peers), default=0.0)
        final = bool(_words(target.name) & _FINAL)
        return {
            **{f"role_{role}": float(target.role == role) for role in _ROLES},
            "target_known": 1.0,
            "target_in_goal": float(_within(target.name, goal)),
            "target_share": _share(target.name, goal),
            "target_rival": rival,
            "target_best": float(np.sign(own - rival)) if target.role not in _FIELDS else 0.0,
            "target_final": float(final),
            "target_chosen": float(bool(_CHOSEN & set(target.states))),
        }

    def _fit(self, element: Element) -> float:
        return 0.5 * _within(element.name, self.t.goal) + 0.5 * _share(element.name, self.t.goal)

    def describe_text(self) -> dict[str, float]:
        text, goal = self.text, self.t.goal
        if not text:
            return {}
        page = " ".join(f"{e.name} {e.value}" for e in self.elements).lower()
        return {
            "text_in_goal": float(_within(text, goal)),
            "text_share": _share(text, goal),
            "text_on_page": float(text.lower() in page),
            "text_quoted": float(text.lower() in _keys(goal)),
            "text_claims": float(bool(_CLAIM.search(text)) and not _within(text, goal)),
            "text_long": min(1.0, len(text) / 60),
            "text_changed": float(self.target is not None and self.target.value not in ("", text)),
        }

    def describe_changes(self) -> dict[str, float]:
        kinds = [event.kind for event in self.t.changes]
        shown = [e.fact for e in self.t.changes if e.kind == "element_appeared"]
        gone = kinds.count("element_disappeared")
        real = [kind for kind in kinds if kind not in ("focused", "clicked")]
        return {
            **{f"change_{name}": float(name in kinds) for name in _CHANGES},
            "appeared": min(1.0, np.log1p(len(shown)) / 4),
            "disappeared": min(1.0, np.log1p(gone) / 4),
            "appeared_in_goal": _fraction(_within(getattr(fact, "name", ""), self.t.goal) for fact in shown),
            "nothing_changed": float(not real),
        }

    def describe_coverage(self) -> dict[str, float]:
        """Say how much of what the goal names is entered or chosen, before the action and with it."""
        keys = _keys(self.t.goal)
        entered = [e.value for e in self.elements if e.value and e.role in _FIELDS]
        chosen = [e.name for e in self.elements if e.name and _CHOSEN & set(e.states)]
        before = " ".join((*entered, *chosen)).lower()
        added = self.text if self.text else self.target.name if self.target is not None else ""
        after = f"{before} {added}".lower()
        covered, now = (_fraction(key in text for key in keys) for text in (before, after))
        final = self.target is not None and bool(_words(self.target.name) & _FINAL)
        open_ = [e for e in self.elements if e.role in ("checkbox", "radio", "option") and e.name]
        left = [e for e in open_ if not _CHOSEN & set(e.states) and _within(e.name, self.t.goal)]
        return {
            "covered_before": covered,
            "covered_after": now,
            "covered_gain": now - covered,
            "final_covered": float(final) * covered,
            "final_uncovered": float(final) * (1 - covered) * bool(keys),
            "chosen_in_goal": _fraction(_within(name, self.t.goal) for name in chosen),
            "chosen_beside": float(any(not _within(name, self.t.goal) for name in chosen)),
            "left_in_goal": float(final and bool(left)),
            "keys": min(1.0, len(keys) / 5),
        }
