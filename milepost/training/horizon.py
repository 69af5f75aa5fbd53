"""The horizon curriculum: training episodes are short at first, and longer from iteration to iteration.

A policy that does not know yet what to do fills a long episode with turns that teach nothing, and is compared over all of
them. So it first practises beginnings (ScalingInter-RL of AgentGym-RL, Xi et al. 2025, lengthens in a few large phases;
here it is one step at a time). Milestones on the way pay from the first iteration; a goal may first be out of reach.
"""

import math

from milepost.envs.registry import get_template
from milepost.training.algorithm import Flag
from milepost.training.config import Config

START = 0.5
"""Share of a template's steps that an episode of the first iteration may take, rounded up."""

PACE = 2
"""Iterations after which it may take one step more."""


def limit_steps(max_steps: int, iteration: int) -> int:
    """Give the steps that an episode of an iteration may take: min(max_steps, ceil(max_steps / 2) + (iteration - 1) // 2).

    It depends on nothing but the iteration's number, so a resumed run and one whose rollouts run ahead have the same.

    Args:
        max_steps: the template's own limit, which validations and tests always have.
        iteration: counted from 1.
    """
    return min(max_steps, math.ceil(START * max_steps) + (iteration - 1) // PACE)


def find_limits(config: Config, iteration: int) -> dict[str, int]:
    """Give the steps that an episode of each template may take in an iteration; nothing without the flag `horizon`."""
    if Flag.HORIZON not in config.algorithm.flags:
        return {}
    return {task_id: limit_steps(get_template(task_id).max_steps, iteration) for task_id in config.tasks.ids}
