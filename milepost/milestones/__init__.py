"""The judge: facts in, exact reward out. A pure fold over an episode's events; no I/O, no clock, no chance."""

from milepost.milestones.milestone import Component, Effect, Forbid, Goal, Milestone, forbid, milestone
from milepost.milestones.operators import (
    at_least,
    at_most,
    between,
    eq,
    fields,
    items,
    matches,
    number,
    one_of,
    text,
    url,
)
from milepost.milestones.predicates import Predicate, When
from milepost.milestones.progress import Hit, Progress, Violation, advance, fold, start_progress
from milepost.milestones.reward import (
    RewardMode,
    check_weights,
    potential,
    read_discount,
    read_weights,
    step_reward,
)
from milepost.milestones.spec import Spec
from milepost.milestones.spec_error import SpecError
from milepost.milestones.trace import Detection, GoalStatus, RewardTrace, TraceStatus, score
from milepost.milestones.typed import date, file_path, money, phone
from milepost.milestones.vocabulary import all_of, any_of, judged, when

__all__ = [
    "Component",
    "Detection",
    "Effect",
    "Forbid",
    "Goal",
    "GoalStatus",
    "Hit",
    "Milestone",
    "Predicate",
    "Progress",
    "RewardMode",
    "RewardTrace",
    "Spec",
    "SpecError",
    "TraceStatus",
    "Violation",
    "When",
    "advance",
    "all_of",
    "any_of",
    "at_least",
    "at_most",
    "between",
    "check_weights",
    "date",
    "eq",
    "fields",
    "file_path",
    "fold",
    "forbid",
    "items",
    "judged",
    "matches",
    "milestone",
    "money",
    "number",
    "one_of",
    "phone",
    "potential",
    "read_discount",
    "read_weights",
    "score",
    "start_progress",
    "step_reward",
    "text",
    "url",
    "when",
]
