"""The judge: facts in, exact reward out. A pure fold over an episode's events; no I/O, no clock, no chance."""

from milepost.milestones.milestone import Component, Effect, Forbid, Goal, Milestone, forbid, milestone
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
from milepost.milestones.predicates import Predicate, When, all_of, when
from milepost.milestones.progress import Hit, Progress, Violation, advance, fold, start_progress
from milepost.milestones.reward import (
    RewardMode,
    check_weights,
    component_reward,
    step_reward,
)
from milepost.milestones.spec import Spec
from milepost.milestones.trace import Detection, GoalStatus, RewardTrace, TraceStatus, score

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
    "at_least",
    "at_most",
    "check_weights",
    "component_reward",
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
