"""What a step was seen to cause: events, what appeared, what the page says of it, and files."""

import re

import numpy as np

from milepost.milestones.learned.goal_reading import fit_goal, share_words, spell_times, stands_in
from milepost.milestones.learned.view import View, find_fraction

CHANGES = (
    "filled",
    "selected",
    "toggled",
    "submitted",
    "dialog_opened",
    "navigation_completed",
    "file_created",
)
_DONE = re.compile(
    r"\b(saved|sent|done|created|added|updated|booked|confirmed|moved|renamed|received|exported|thank\w*|success\w*)\b",
    re.IGNORECASE,
)
_WRONG = re.compile(
    r"\b(errors?|invalid|required|must|failed|missing|incorrect|wrong|cannot|not found)\b", re.IGNORECASE
)
_FILED = re.compile(r"\b(download|export|file|csv|json|pdf|convert)\b", re.IGNORECASE)
_BESIDE = 0.3
"""Below this fit a heading has little to do with the goal."""


def describe_changes(view: View) -> dict[str, float]:
    """Describe the changes of a step."""
    kinds = [event.kind for event in view.t.changes]
    shown = [e.fact for e in view.t.changes if e.kind == "element_appeared"]
    gone = kinds.count("element_disappeared")
    real = [kind for kind in kinds if kind not in ("focused", "clicked")]
    said = " ".join(
        _name(fact) for fact in shown if getattr(fact, "role", "") in ("status", "alert", "dialog")
    )
    fits = [fit_goal(_name(fact), view.goal) for fact in shown if getattr(fact, "role", "") == "heading"]
    files = [getattr(e.fact, "path", "") for e in view.t.changes if e.kind in ("file_created", "file_moved")]
    return {
        **{f"change_{name}": float(name in kinds) for name in CHANGES},
        "appeared": min(1.0, np.log1p(len(shown)) / 4),
        "disappeared": min(1.0, np.log1p(gone) / 4),
        "appeared_in_goal": find_fraction(stands_in(_name(fact), view.goal) for fact in shown),
        "nothing_changed": float(not real),
        # What the page itself says is weak evidence: it counts among many, and rules never rest on it.
        "says_done": float(bool(_DONE.search(said))),
        "says_wrong": float(bool(_WRONG.search(said))),
        "heading_in_goal": max(fits, default=0.0),
        "heading_beside": float(bool(fits) and max(fits) < _BESIDE),
        "file_in_goal": max((share_words(path, view.goal) for path in files), default=0.0),
        "file_missing": float(bool(_FILED.search(view.goal)) and not files),
        "file_unasked": float(not _FILED.search(view.goal) and bool(files)),
    }


def _name(fact: object) -> str:
    return spell_times(str(getattr(fact, "name", "")))
