"""Penalties on length, as ordinary named rewards, so that they show up beside the milestones."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from milepost.training.algorithm import Flag
from milepost.training.outcomes import length_penalty, soft_overlong
from milepost.training.trajectory import Status, Trajectory, Turn

OVERLONG = "overlong"
"""Name of the soft overlong punishment."""
LENGTH = "length"
"""Name of the length penalty."""
LENGTH_COEF = 0.1
"""What the longest completion loses by the length penalty."""
CACHE_SHARE = 5
"""One in so many tokens of the longest completion is in the zone of the soft overlong punishment."""


def pay(trajectories: Sequence[Trajectory], name: str, price: Callable[[Turn], float]) -> list[Trajectory]:
    """Add a named reward to every turn for which it is not 0."""
    return [
        replace(one, turns=tuple(_pay_turn(turn, name, price(turn)) for turn in one.turns))
        for one in trajectories
    ]


def _pay_turn(turn: Turn, name: str, value: float) -> Turn:
    return replace(turn, rewards={**turn.rewards, name: value}) if value else turn


def add_penalties(
    trajectories: Sequence[Trajectory], flags: Sequence[Flag], *, longest: int
) -> list[Trajectory]:
    """Add what the flags charge for length.

    Args:
        trajectories: the batch.
        flags: `soft_overlong` and `length_penalty` act here.
        longest: most tokens of a completion.
    """
    charged = list(trajectories)
    if Flag.SOFT_OVERLONG in flags:
        cache = max(1, longest // CACHE_SHARE)
        charged = pay(
            charged,
            OVERLONG,
            lambda turn: soft_overlong(len(turn.completion.completion_ids), longest=longest, cache=cache),
        )
    if Flag.LENGTH_PENALTY in flags:
        charged = pay(
            charged,
            LENGTH,
            lambda turn: length_penalty(
                len(turn.completion.completion_ids), longest=longest, coef=LENGTH_COEF
            ),
        )
    return charged


def is_cut_off(trajectory: Trajectory) -> bool:
    """Say whether an episode ended because it was too long: its steps, or its last completion."""
    last = trajectory.turns[-1].completion.stop if trajectory.turns else ""
    return trajectory.status is Status.TRUNCATED or last == "length"
