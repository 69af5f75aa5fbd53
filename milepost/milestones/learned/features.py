"""Numbers about a transition that mean the same on every page: how goal, action and change belong together.

No feature names a page, a site or a word of a task; that is what lets a model judge templates it has not seen.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from milepost.milestones.learned.consequences import CHANGES, describe_changes
from milepost.milestones.learned.goal_reading import FINAL, fit_goal, share_words, split_words, stands_in
from milepost.milestones.learned.relations import describe_relation
from milepost.milestones.learned.transition import FIELDS, Transition
from milepost.milestones.learned.view import View, find_fraction
from milepost.sandbox.actions import (
    Answer,
    Back,
    Check,
    Click,
    DragAndDrop,
    Fill,
    Forward,
    Goto,
    MouseClick,
    MouseDblclick,
    MouseDragAndDrop,
    Press,
    Reload,
    SelectOption,
    Type,
    Uncheck,
)

_VERBS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("click", (Click, Check, Uncheck)),
    ("fill", (Fill, Type)),
    ("select", (SelectOption,)),
    ("press", (Press,)),
    ("answer", (Answer,)),
    ("leave", (Back, Forward, Reload, Goto)),
    ("drag", (DragAndDrop, MouseDragAndDrop)),
    ("point", (MouseClick, MouseDblclick)),
)
_ROLES = ("button", "textbox", "checkbox", "radio", "link", "option", "tab", "combobox")
_VALUED = (*FIELDS, "slider", "switch", "meter")
_READING = re.compile(r"[$€£]?-?\d[\d.,:]*")
"""A bare number beside a control is what the control is set to."""
_CHOSEN = frozenset({"checked", "selected", "pressed"})
_CLAIM = re.compile(r"\b(success\w*|complete[d]?|met|reward|verified|achieved|milestones?)\b", re.IGNORECASE)
_ASKS = re.compile(
    r"\b(answers?|give|tell|report|what|which|how many|read out|state|say)\b(?! me how)", re.IGNORECASE
)
_BESIDE = 0.3
"""Below this fit a text has little to do with the goal."""


_AT_END = (
    "keys_done",
    "keys_left",
    "keys_unseen",
    "named_left",
    "named_done",
    "beside_done",
    "target_final",
    "target_best",
    "nothing_changed",
    "covered_after",
    "text_in_goal",
    "relation_match",
    "relation_miss",
    "row_best",
    "answer_row",
    "answer",
    "says_done",
    "says_wrong",
    "heading_in_goal",
    "heading_beside",
    "file_in_goal",
    "file_missing",
    "submitted",
    "dialog_opened",
    "repeated",
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
    *(f"change_{name}" for name in CHANGES),
    "appeared",
    "disappeared",
    "appeared_in_goal",
    "nothing_changed",
    "says_done",
    "says_wrong",
    "heading_in_goal",
    "heading_beside",
    "file_in_goal",
    "file_missing",
    "file_unasked",
    "covered_before",
    "covered_after",
    "covered_gain",
    "final_covered",
    "final_uncovered",
    "chosen_in_goal",
    "chosen_beside",
    "left_in_goal",
    "keys",
    "keys_unseen",
    "relation_match",
    "relation_miss",
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
    view = View(transition)
    found = {name: value for describe in _DESCRIPTIONS for name, value in describe(view).items()}
    if transition.last:
        found |= {
            **{f"last_{name}": found.get(name, 0.0) for name in _AT_END},
            "last_keys_left": (1 - found["keys_done"]) * (found["keys"] > 0),
            "last_answer": found["verb_answer"],
            "last_answer_missing": found["asks_answer"] * (1 - found["verb_answer"]),
            "last_answer_unasked": (1 - found["asks_answer"]) * found["verb_answer"],
            "last_dialog_opened": found["change_dialog_opened"],
            "last_submitted": found["change_submitted"],
            "last_navigation": found["change_navigation_completed"],
            "last_": 1.0,
        }
    return np.array([found.get(name, 0.0) for name in NAMES])


def featurize_all(transitions: Sequence[Transition]) -> NDArray[np.float64]:
    """Give the features of an episode, shape (steps, features)."""
    return np.array([featurize(t) for t in transitions]).reshape(len(transitions), len(NAMES))


def _describe_action(view: View) -> dict[str, float]:
    found = {f"verb_{name}": float(isinstance(view.action, kinds)) for name, kinds in _VERBS}
    leaving = isinstance(view.action, Reload | Back | Goto)
    before = [text.partition("(")[0] for text in view.t.previous]
    return found | {
        "unreadable": float(view.action is None),
        "repeated": float(view.t.action in view.t.previous),
        "leaves_again": float(leaving and any(verb in ("reload", "back", "goto") for verb in before)),
    }


def _describe_target(view: View) -> dict[str, float]:
    target = view.target
    if target is None:
        return {}
    own = view.fit(target.name)
    rival = max((view.fit(e.name) for e in view.peers if e.id != target.id), default=0.0)
    return {
        **{f"role_{role}": float(target.role == role) for role in _ROLES},
        "target_known": 1.0,
        "target_in_goal": float(stands_in(target.name, view.goal)),
        "target_share": share_words(target.name, view.goal),
        "target_rival": rival,
        "target_best": float(np.sign(own - rival)) if target.role not in FIELDS else 0.0,
        "target_final": float(view.final),
        "target_chosen": float(bool(_CHOSEN & set(target.states))),
    }


def _describe_text(view: View) -> dict[str, float]:
    text = view.text
    if not text:
        return {}
    page = " ".join(f"{e.name} {e.value}" for e in view.elements).lower()
    named, asked = split_words(text), split_words(view.goal)
    inside = stands_in(text, view.goal)
    several = view.action.option if isinstance(view.action, SelectOption) else text
    parts = (several,) if isinstance(several, str) else several
    return {
        "text_in_goal": find_fraction(stands_in(part, view.goal) for part in parts),
        "text_share": share_words(text, view.goal),
        "text_on_page": float(text.lower() in page),
        "text_quoted": float(text.lower() in view.keys),
        "text_claims": float(bool(_CLAIM.search(text)) and not inside),
        "text_long": min(1.0, len(text) / 60),
        "text_changed": float(view.target is not None and view.target.value not in ("", text)),
        "text_copies_goal": len(named & asked) / max(1, len(asked)),
        "text_beyond_key": float(inside and len(named) > 1 and text.lower() not in view.keys),
        "text_again": float(text in view.t.touched),
    }


def _describe_coverage(view: View) -> dict[str, float]:
    """Say how much of what the goal names is entered or chosen, before the action and with it."""
    entered = [e.value for e in view.elements if e.value and e.role in _VALUED]
    entered += [e.name for e in view.elements if not e.id and _READING.fullmatch(e.name.strip())]
    chosen = [e.name for e in view.elements if e.name and _CHOSEN & set(e.states)]
    before = " ".join((*entered, *chosen)).lower()
    added = view.text if view.text else view.target.name if view.target is not None else ""
    after = f"{before} {added}".lower()
    covered, now = (find_fraction(stands_in(key, text) for key in view.keys) for text in (before, after))
    page = " \n ".join(text for e in view.elements for text in (e.name, e.value))
    open_ = [e for e in view.elements if e.role in ("checkbox", "radio", "option") and e.name]
    left = [e for e in open_ if not _CHOSEN & set(e.states) and stands_in(e.name, view.goal)]
    return {
        "covered_before": covered,
        "covered_after": now,
        "covered_gain": now - covered,
        "final_covered": float(view.final) * covered,
        "final_uncovered": float(view.final) * (1 - covered) * bool(view.keys),
        "chosen_in_goal": find_fraction(stands_in(name, view.goal) for name in chosen),
        "chosen_beside": float(any(not stands_in(name, view.goal) for name in chosen)),
        "left_in_goal": float(view.final and bool(left)),
        "keys": min(1.0, len(view.keys) / 5),
        "keys_unseen": find_fraction(not stands_in(key, page) for key in view.keys),
    }


def _describe_rows(view: View) -> dict[str, float]:
    """Say whether the target, or the row that has the text, is the one most of the goal's keys belong to."""
    found = {"asks_answer": float(bool(_ASKS.search(view.goal)))}
    if view.target is not None and len(view.peers) > 1 and view.target.role not in FIELDS:
        fits = {e.id: view.fit_row(row) for e, row in view.list_rows() if e.role == view.target.role}
        own = fits.pop(view.target.id, 0.0)
        found |= {"row_fit": own, "row_best": float(np.sign(own - max(fits.values(), default=0.0)))}
    elif view.text and not stands_in(view.text, view.goal):
        rows = [row for _, row in view.list_rows()]
        own = max((view.fit_row(row) for row in rows if stands_in(view.text, row)), default=-1.0)
        rival = max((view.fit_row(row) for row in rows if not stands_in(view.text, row)), default=0.0)
        found["answer_row"] = float(np.sign(own - rival))
    return found


def _describe_history(view: View) -> dict[str, float]:
    """Say how much of what the goal names has been touched by now, and how much else has."""
    own = tuple(text for text in (view.target.name if view.target else "", view.text) if text)
    touched = (*view.t.touched, *own)
    before, now = (" \n ".join(texts).lower() for texts in (view.t.touched, touched))
    done, past = (find_fraction(stands_in(key, text) for key in view.keys) for text in (now, before))
    free = [text for text in touched if not split_words(text) & FINAL]
    names = {e.name.lower() for e in view.elements if e.id and e.name and stands_in(e.name, view.goal)}
    reached = {text.lower() for text in touched}
    return {
        "keys_done": done,
        "keys_gain": done - past,
        "named_done": find_fraction(name in reached for name in names),
        "named_left": find_fraction(name not in reached for name in names),
        "beside_done": find_fraction(fit_goal(text, view.goal) < _BESIDE for text in free),
        "touched_best": max((fit_goal(text, view.goal) for text in touched), default=0.0),
    }


_DESCRIPTIONS = (
    _describe_action,
    _describe_target,
    _describe_text,
    describe_changes,
    _describe_coverage,
    describe_relation,
    _describe_history,
    _describe_rows,
)
