"""A spec's rules prepared for the fold: a bit for every distinct leaf, a monitor for every predicate."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from milepost.milestones.milestone import Forbid, Goal, Milestone
from milepost.milestones.monitor import Monitor, make_monitor
from milepost.milestones.operators import Test
from milepost.milestones.predicates import When, parts_of, positives, walk
from milepost.sandbox.events import FACT_TYPES


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A milestone prepared for running."""

    declared: Milestone
    monitor: Monitor
    after: frozenset[str]
    parts: int
    """Into how many shares its reward is split; 0 when it pays all at once."""
    watched: bool
    """Whether the goal asks if it still holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A spec prepared for running: every distinct leaf has a bit and stands under its kind of fact."""

    leaves: Mapping[type, tuple[tuple[int, tuple[tuple[str, Test], ...]], ...]]
    """By class of fact: the bit and the tests of each leaf."""
    rules: tuple[Rule, ...]
    violations: tuple[tuple[Forbid, Monitor], ...]
    goal: Monitor
    kept: tuple[int, ...]
    """Indexes of the milestones that must still hold for the goal."""
    last: tuple[int, ...]
    """Indexes of the milestones that are judged when the episode ends."""
    asks_who: bool
    """Whether a milestone asks that the agent itself did something."""
    frame: int
    """The bits of the leaves that allow a change."""
    bits: Mapping[When, int]


def make_plan(
    milestones: Sequence[Milestone],
    forbidden: Sequence[Forbid],
    goal: Goal,
    blind: Collection[str] = (),
) -> Plan:
    """Prepare a spec's rules for running; `blind` are kinds of events that its world cannot witness."""
    unseen = frozenset(blind)
    bits: dict[When, int] = {}
    watched = [m.when for m in milestones] + [f.when for f in forbidden]
    for predicate in (*watched, goal.when, *goal.frame):
        for part in walk(predicate):
            if isinstance(part, When) and part not in bits:
                bits[part] = 1 << len(bits)
    leaves: dict[type, list[tuple[int, tuple[tuple[str, Test], ...]]]] = defaultdict(list)
    for leaf, bit in bits.items():
        leaves[FACT_TYPES[leaf.kind]].append((bit, leaf.tests))
    frame = 0
    for allowed in goal.frame:
        for leaf in positives(allowed):
            frame |= bits[leaf]
    return Plan(
        leaves={cls: tuple(found) for cls, found in leaves.items()},
        rules=tuple(
            Rule(
                declared=m,
                monitor=make_monitor(m.when, bits, unseen),
                after=frozenset(m.after),
                parts=len(parts_of(m.when)) if m.graded else 0,
                watched=m.name in goal.holds,
            )
            for m in milestones
        ),
        violations=tuple((f, make_monitor(f.when, bits, unseen)) for f in forbidden),
        goal=make_monitor(goal.when, bits, unseen),
        kept=tuple(index for index, m in enumerate(milestones) if m.name in goal.holds),
        last=tuple(index for index, m in enumerate(milestones) if m.holds),
        asks_who=any(m.by_agent for m in milestones),
        frame=frame,
        bits=bits,
    )
