"""Numbers about a transition that mean the same on every page: how goal, action and change belong together.

No feature names a page, a site or a word of a task; that is what lets a model judge templates it has not seen.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from milepost.milestones.learned.goal_reading import (
    find_keys,
    find_ordinal,
    find_slot,
    fit_goal,
    share_words,
    split_words,
    stands_in,
)
from milepost.milestones.learned.transition import Transition, find_target, find_text, read_elements
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
from milepost.sandbox.observation import Element

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
_ASKS = re.compile(
    r"\b(answers?|give|tell|report|what|which|how many|read out|state|say)\b(?! me how)", re.IGNORECASE
)
_BESIDE = 0.3
"""Below this fit a text has little to do with the goal."""

_FINAL = frozenset(
    {"submit", "ok", "search", "login", "confirm", "save", "send", "export", "book", "done", "apply"}
)

_AT_END = (
    "keys_done",
    "keys_left",
    "named_left",
    "named_done",
    "beside_done",
    "target_final",
    "target_best",
    "nothing_changed",
    "covered_after",
    "text_in_goal",
    "slot_miss",
    "place_match",
    "place_miss",
    "row_best",
    "answer_row",
    "answer",
    "answer_missing",
    "answer_unasked",
    "navigation",
    "",
)
"""What counts for more where the episode ends."""

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
    "place_match",
    "place_miss",
    "slot_match",
    "slot_miss",
    "choice_best",
    "text_copies_goal",
    "text_beyond_key",
    "text_again",
    "touched_best",
    "keys_done",
    "keys_gain",
    "named_done",
    "named_left",
    "beside_done",
    "row_fit",
    "row_best",
    "answer_row",
    "asks_answer",
    *(f"last_{name}" for name in _AT_END),
)
"""The features, in order."""


def featurize(transition: Transition) -> NDArray[np.float64]:
    """Give the features of a transition, shape (features,), each in [-1, 1]."""
    view = _View(transition)
    found = {**view.describe_action(), **view.describe_target(), **view.describe_text()}
    found |= {**view.describe_changes(), **view.describe_coverage(), **view.describe_relation()}
    found |= {**view.describe_history(), **view.describe_rows()}
    if transition.last:
        found |= {
            **{f"last_{name}": found.get(name, 0.0) for name in _AT_END},
            "last_keys_left": (1 - found["keys_done"]) * (found["keys"] > 0),
            "last_answer": found["verb_answer"],
            "last_answer_missing": found["asks_answer"] * (1 - found["verb_answer"]),
            "last_answer_unasked": (1 - found["asks_answer"]) * found["verb_answer"],
            "last_navigation": found["change_navigation_completed"],
            "last_": 1.0,
        }
    return np.array([found.get(name, 0.0) for name in NAMES])


def featurize_all(transitions: Sequence[Transition]) -> NDArray[np.float64]:
    """Give the features of an episode, shape (steps, features)."""
    return np.array([featurize(t) for t in transitions]).reshape(len(transitions), len(NAMES))


def _fraction(part: Iterable[bool]) -> float:
    marks = list(part)
    return sum(marks) / len(marks) if marks else 0.0


class _View:
    """A transition, taken apart once."""

    def __init__(self, transition: Transition) -> None:
        self.t = transition
        self.goal = transition.goal
        self.elements = read_elements(transition.tree)
        self.action: Action | None = parse_action(transition.action) if transition.action else None
        self.target = find_target(transition.tree, self.action)
        self.text = find_text(self.action)
        self.keys = find_keys(self.goal)
        self.final = self.target is not None and bool(split_words(self.target.name) & _FINAL)
        self.peers = self._find_peers()

    def _find_peers(self) -> list[Element]:
        target = self.target
        return [e for e in self.elements if e.id and e.role == target.role] if target else []

    def _fit(self, text: str) -> float:
        return fit_goal(text, self.goal)

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
        target = self.target
        if target is None:
            return {}
        own = self._fit(target.name)
        rival = max((self._fit(e.name) for e in self.peers if e.id != target.id), default=0.0)
        return {
            **{f"role_{role}": float(target.role == role) for role in _ROLES},
            "target_known": 1.0,
            "target_in_goal": float(stands_in(target.name, self.goal)),
            "target_share": share_words(target.name, self.goal),
            "target_rival": rival,
            "target_best": float(np.sign(own - rival)) if target.role not in _FIELDS else 0.0,
            "target_final": float(self.final),
            "target_chosen": float(bool(_CHOSEN & set(target.states))),
        }

    def describe_text(self) -> dict[str, float]:
        text = self.text
        if not text:
            return {}
        page = " ".join(f"{e.name} {e.value}" for e in self.elements).lower()
        named, asked = split_words(text), split_words(self.goal)
        inside = stands_in(text, self.goal)
        return {
            "text_in_goal": float(inside),
            "text_share": share_words(text, self.goal),
            "text_on_page": float(text.lower() in page),
            "text_quoted": float(text.lower() in self.keys),
            "text_claims": float(bool(_CLAIM.search(text)) and not inside),
            "text_long": min(1.0, len(text) / 60),
            "text_changed": float(self.target is not None and self.target.value not in ("", text)),
            "text_copies_goal": len(named & asked) / max(1, len(asked)),
            "text_beyond_key": float(inside and len(named) > 1 and text.lower() not in self.keys),
            "text_again": float(text in self.t.touched),
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
            "appeared_in_goal": _fraction(stands_in(getattr(fact, "name", ""), self.goal) for fact in shown),
            "nothing_changed": float(not real),
        }

    def describe_coverage(self) -> dict[str, float]:
        """Say how much of what the goal names is entered or chosen, before the action and with it."""
        entered = [e.value for e in self.elements if e.value and e.role in _FIELDS]
        chosen = [e.name for e in self.elements if e.name and _CHOSEN & set(e.states)]
        before = " ".join((*entered, *chosen)).lower()
        added = self.text if self.text else self.target.name if self.target is not None else ""
        after = f"{before} {added}".lower()
        covered, now = (_fraction(key in text for key in self.keys) for text in (before, after))
        open_ = [e for e in self.elements if e.role in ("checkbox", "radio", "option") and e.name]
        left = [e for e in open_ if not _CHOSEN & set(e.states) and stands_in(e.name, self.goal)]
        return {
            "covered_before": covered,
            "covered_after": now,
            "covered_gain": now - covered,
            "final_covered": float(self.final) * covered,
            "final_uncovered": float(self.final) * (1 - covered) * bool(self.keys),
            "chosen_in_goal": _fraction(stands_in(name, self.goal) for name in chosen),
            "chosen_beside": float(any(not stands_in(name, self.goal) for name in chosen)),
            "left_in_goal": float(self.final and bool(left)),
            "keys": min(1.0, len(self.keys) / 5),
        }

    def describe_relation(self) -> dict[str, float]:
        """Say whether place, slot and choice are those that the goal asks for."""
        found = {}
        place = find_ordinal(self.goal)
        if place and self.target is not None and not self.final:
            meant = self.peers[place - 1 if place > 0 else -1] if place <= len(self.peers) else None
            hit = meant is not None and meant.id == self.target.id
            found["place_match" if hit else "place_miss"] = 1.0
        elif place and self.text:
            fields = [e.value or e.name for e in self.elements if e.role in _FIELDS and e.value]
            meant_text = fields[place - 1 if place > 0 else -1] if fields and place <= len(fields) else ""
            found["place_match" if meant_text == self.text else "place_miss"] = float(bool(meant_text))
        if self.target is not None and self.text:
            slot = find_slot(self.goal, self.target.name)
            if slot:
                found["slot_match" if slot == self.text.lower() else "slot_miss"] = 1.0
        if isinstance(self.action, SelectOption) and self.target is not None:
            rivals = [e.name for e in self._list_options() if e.name != self.text]
            best = max((self._fit(name) for name in rivals), default=0.0)
            found["choice_best"] = float(np.sign(self._fit(self.text) - best))
        return found

    def _list_options(self) -> list[Element]:
        """Give the options below the target in the tree."""
        start = next(n for n, e in enumerate(self.elements) if e is self.target)
        below = []
        for element in self.elements[start + 1 :]:
            if element.depth <= self.elements[start].depth:
                break
            below.append(element)
        return below

    def describe_rows(self) -> dict[str, float]:
        """Say whether the target, or the row that has the text, is the one most of the goal's keys belong to."""
        found = {"asks_answer": float(bool(_ASKS.search(self.goal)))}
        if self.target is not None and len(self.peers) > 1 and self.target.role not in _FIELDS:
            fits = {e.id: self._fit_row(row) for e, row in self._list_rows() if e.role == self.target.role}
            own = fits.pop(self.target.id, 0.0)
            found |= {"row_fit": own, "row_best": float(np.sign(own - max(fits.values(), default=0.0)))}
        elif self.text and not stands_in(self.text, self.goal):
            rows = [row for _, row in self._list_rows()]
            own = max((self._fit_row(row) for row in rows if stands_in(self.text, row)), default=-1.0)
            rival = max((self._fit_row(row) for row in rows if not stands_in(self.text, row)), default=0.0)
            found["answer_row"] = float(np.sign(own - rival))
        return found

    def _fit_row(self, row: str) -> float:
        return _fraction(key in row for key in self.keys)

    def _list_rows(self) -> list[tuple[Element, str]]:
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
                if other.id or other.depth != element.depth:
                    break
                beside.append(other.name)
            found.append((element, " ".join(beside).lower()))
        return found

    def describe_history(self) -> dict[str, float]:
        """Say how much of what the goal names has been touched by now, and how much else has."""
        own = tuple(text for text in (self.target.name if self.target else "", self.text) if text)
        touched = (*self.t.touched, *own)
        before, now = (" \n ".join(texts).lower() for texts in (self.t.touched, touched))
        done, past = (_fraction(key in text for key in self.keys) for text in (now, before))
        free = [text for text in touched if not split_words(text) & _FINAL]
        names = {e.name.lower() for e in self.elements if e.id and e.name and stands_in(e.name, self.goal)}
        reached = {text.lower() for text in touched}
        return {
            "keys_done": done,
            "keys_gain": done - past,
            "named_done": _fraction(name in reached for name in names),
            "named_left": _fraction(name not in reached for name in names),
            "beside_done": _fraction(fit_goal(text, self.goal) < _BESIDE for text in free),
            "touched_best": max((fit_goal(text, self.goal) for text in touched), default=0.0),
        }
