"""Milestones: pure rules over recorded events, each paying a stated reward once."""

from milepost.milestones.operators import (
    SpecError,
    at_least,
    at_most,
    eq,
    fields,
    matches,
    number,
    one_of,
    text,
    url,
)
from milepost.milestones.predicates import Predicate, all_of, when
from milepost.milestones.progress import Hit, Progress, advance, fold, start_progress
from milepost.milestones.reward import (
    RewardMode,
    RewardTrace,
    TraceStatus,
    check_weights,
    score,
    step_reward,
)
from milepost.milestones.spec import Forbid, Goal, Milestone, Spec, forbid, milestone

__all__ = [
    "Forbid",
    "Goal",
    "Hit",
    "Milestone",
    "Predicate",
    "Progress",
    "RewardMode",
    "RewardTrace",
    "Spec",
    "SpecError",
    "TraceStatus",
    "advance",
    "all_of",
    "at_least",
    "at_most",
    "check_weights",
    "eq",
    "fields",
    "fold",
    "forbid",
    "matches",
    "milestone",
    "number",
    "one_of",
    "score",
    "start_progress",
    "step_reward",
    "text",
    "url",
    "when",
]
