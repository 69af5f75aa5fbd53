"""From a settlement to the rewards of a trajectory."""

from dataclasses import replace

from milepost.milestones import RewardMode
from milepost.milestones.reward import Pay
from milepost.milestones.router import Tier
from milepost.milestones.settlement import Settlement
from milepost.training.records import sum_parts
from milepost.training.trajectory import Status, Trajectory

UNSCORED = "unscored"
"""What stands for a tier where there was none."""


def add_settlement(trajectory: Trajectory, settlement: Settlement, mode: RewardMode) -> Trajectory:
    """Pay what was settled after the last turn, which is the turn that it judges.

    A unit without a reward is NaN, so that no sum can take it for 0, and the whole trajectory is `unscored`: it is
    masked, for a return that lacks a part is not a return. With the rules off their rewards are taken out.

    Args:
        trajectory: an episode that came to its end, with at least one turn.
        settlement: of this episode.
        mode: how rewards are paid.
    """
    paid = settlement.pay(Pay(mode=mode))
    ruled = Tier.RULE in settlement.routing.tiers
    turns = [turn if ruled else replace(turn, rewards={}) for turn in trajectory.turns]
    rewards = dict(turns[-1].rewards)
    for name, value in paid.items():
        if value is None:
            rewards[name] = float("nan")
        elif value:
            rewards[name] = rewards.get(name, 0.0) + float(value)
    turns[-1] = replace(turns[-1], rewards=rewards)
    reasons = settlement.unscored
    return replace(
        trajectory,
        turns=tuple(turns),
        status=Status.UNSCORED if reasons else trajectory.status,
        success=settlement.success,
        reward_parts=sum_parts(turns),
        failure="; ".join(reasons),
        routes={
            name: UNSCORED if decision.tier is None else decision.tier.value
            for name, decision in settlement.open.items()
        },
    )
