"""Gives every turn of a batch its advantage, group by group.

Members without a score (a failure of the harness) take part neither as peers nor in the loss.
"""

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from milepost.training.advantages import Baseline, Estimator, Scale, first_turns, milestone_loo
from milepost.training.outcomes import (
    STD_EPSILON,
    deviation,
    gigpo,
    grpo,
    grpo_process,
    normalize_batch,
    normalize_then_sum,
    rloo,
    sum_parts,
)
from milepost.training.returns import reinforce, return_to_go_loo, returns_to_go
from milepost.training.trajectory import Trajectory


class RewardError(ValueError):
    """A reward is not a finite number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """Advantages of a batch and where they came from."""

    advantages: list[list[float]]
    """Per trajectory and turn, parallel to the batch; zeros for unscored trajectories."""
    baselines: Counter[Baseline]
    """How many turns of scored trajectories had which baseline."""
    flat_groups: float
    """Fraction of groups with a score in which every advantage is 0."""


def _sum_firsts(group: Sequence[Trajectory], gamma: float) -> dict[frozenset[str], tuple[float, int]]:
    """Sum and count a group's returns-to-go at the first turn of each set of milestones."""
    sums: dict[frozenset[str], tuple[float, int]] = {}
    for trajectory in group:
        returns_T = returns_to_go(trajectory.step_rewards(), gamma=gamma)
        for anchor, t in first_turns([turn.reached for turn in trajectory.turns]).items():
            total, count = sums.get(anchor, (0.0, 0))
            sums[anchor] = total + returns_T[t], count + 1
    return sums


def measure_priors(
    groups: Mapping[str, Sequence[Trajectory]], *, gamma: float = 1.0
) -> dict[str, dict[frozenset[str], float]]:
    """Give each group the mean return-to-go at every set of milestones, over the other groups of its template."""
    own = {key: _sum_firsts(group, gamma) for key, group in groups.items()}
    whole: dict[tuple[str, frozenset[str]], tuple[float, int]] = {}
    for key, sums in own.items():
        for anchor, (total, count) in sums.items():
            place = groups[key][0].task_id, anchor
            before = whole.get(place, (0.0, 0))
            whole[place] = before[0] + total, before[1] + count
    priors: dict[str, dict[frozenset[str], float]] = {}
    for key, sums in own.items():
        priors[key] = {}
        for anchor, (total, count) in sums.items():
            all_total, all_count = whole[groups[key][0].task_id, anchor]
            if all_count > count:
                priors[key][anchor] = (all_total - total) / (all_count - count)
    return priors


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """What an estimator takes besides a group."""

    gamma: float
    min_peers: int
    prior: Mapping[frozenset[str], float]
    shrinkage: float
    elsewhere: float | None
    """Mean outcome of the other groups; None when there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """What one group gets."""

    advantages_GT: list[list[float]]
    sources: list[Baseline]
    spread: list[float]
    """The values whose deviation scales the advantages."""


def assign_credit(
    trajectories: Sequence[Trajectory],
    *,
    estimator: Estimator = Estimator.MILESTONE_LOO,
    scale: Scale = Scale.NONE,
    gamma: float = 1.0,
    min_peers: int = 1,
    shrinkage: float = 0.0,
) -> Credit:
    """Compute the advantages of a batch of trajectories, group by group.

    Args:
        trajectories: the batch; groups are recognised by their key.
        estimator: which advantage; those of a critic are not computed here.
        scale: what to divide it by: the standard deviation of the outcomes, or of the returns-to-go of all turns
            where the estimator goes by turns; over the group or over the batch. Where it is 0 the advantages are 0.
        gamma: discount per turn; outcomes are not discounted.
        min_peers: see `milestone_loo`.
        shrinkage: see `milestone_loo`; the other estimators have none.

    Raises:
        ValueError: the estimator needs a critic.
        RewardError: a reward is not a finite number.
    """
    if estimator.needs_critic:
        raise ValueError(f"{estimator} takes the values of a critic, which is not known here")
    members: dict[str, list[int]] = {}
    for index, trajectory in enumerate(trajectories):
        if trajectory.scored:
            check_rewards(trajectory)
            members.setdefault(trajectory.group, []).append(index)
    groups = {key: [trajectories[index] for index in indices] for key, indices in members.items()}
    priors = measure_priors(groups, gamma=gamma) if shrinkage else {}
    elsewhere = _measure_elsewhere(groups)
    shares: dict[str, _Share] = {}
    for key, group in groups.items():
        settings = _Settings(
            gamma=gamma,
            min_peers=min_peers,
            prior=priors.get(key, {}),
            shrinkage=shrinkage,
            elsewhere=elsewhere[key],
        )
        shares[key] = _credit_group(group, estimator, settings)
    if estimator is Estimator.GDPO:
        shares = _normalize_shares(shares)
    advantages = [[0.0] * len(trajectory.turns) for trajectory in trajectories]
    whole = deviation([value for share in shares.values() for value in share.spread])
    for key, indices in members.items():
        divisor = _divisor(scale, shares[key].spread, whole)
        for index, values in zip(indices, shares[key].advantages_GT, strict=True):
            advantages[index] = [value / divisor if divisor else 0.0 for value in values]
    flat = sum(not any(map(any, share.advantages_GT)) for share in shares.values())
    return Credit(
        advantages=advantages,
        baselines=Counter(source for share in shares.values() for source in share.sources),
        flat_groups=flat / len(members) if members else 0.0,
    )


def check_rewards(trajectory: Trajectory) -> None:
    """Check that every reward is a finite number.

    Raises:
        RewardError: one is not.
    """
    for t, turn in enumerate(trajectory.turns):
        for name, value in turn.rewards.items():
            if not math.isfinite(value):
                raise RewardError(
                    f"episode {trajectory.episode_id}: the reward {name!r} of turn {t} is {value}; a number is "
                    "expected. An episode that could not be scored has the status infrastructure or timeout"
                )


def _measure_elsewhere(groups: Mapping[str, Sequence[Trajectory]]) -> dict[str, float | None]:
    """Give each group the mean outcome over all members of the others."""
    sums = {key: sum(member.ret for member in group) for key, group in groups.items()}
    total, count = sum(sums.values()), sum(map(len, groups.values()))
    return {
        key: (total - sums[key]) / (count - len(group)) if count > len(group) else None
        for key, group in groups.items()
    }


def _credit_group(group: Sequence[Trajectory], estimator: Estimator, settings: _Settings) -> _Share:
    rewards_GT = [trajectory.step_rewards() for trajectory in group]
    turns = sum(map(len, rewards_GT))
    if estimator is Estimator.MILESTONE_LOO:
        advantages_GT, sources_GT = milestone_loo(
            rewards_GT,
            [[turn.reached for turn in trajectory.turns] for trajectory in group],
            gamma=settings.gamma,
            min_peers=settings.min_peers,
            prior=settings.prior,
            shrinkage=settings.shrinkage,
        )
        sources = [source for row in sources_GT for source in row]
    else:
        advantages_GT = _credit_turns(group, rewards_GT, estimator, settings)
        sources = [_name_source(estimator, len(group), settings)] * turns
    if estimator in (Estimator.GRPO, Estimator.RLOO, Estimator.GDPO):
        spread = [sum(rewards_T) for rewards_T in rewards_GT]
    else:
        spread = [g for rewards_T in rewards_GT for g in returns_to_go(rewards_T, gamma=settings.gamma)]
    return _Share(advantages_GT=advantages_GT, sources=sources, spread=spread)


def _credit_turns(
    group: Sequence[Trajectory],
    rewards_GT: Sequence[Sequence[float]],
    estimator: Estimator,
    settings: _Settings,
) -> list[list[float]]:
    gamma = settings.gamma
    if estimator is Estimator.RETURN_TO_GO_LOO:
        return return_to_go_loo(rewards_GT, gamma=gamma)
    if estimator is Estimator.REINFORCE:
        return reinforce(rewards_GT, gamma=gamma, baseline=settings.elsewhere or 0.0)
    if estimator is Estimator.GRPO_PROCESS:
        return grpo_process(rewards_GT)
    if estimator is Estimator.GIGPO:
        return gigpo(rewards_GT, [[t.completion.prompt_ids for t in one.turns] for one in group], gamma=gamma)
    if estimator is Estimator.GIGPO_MILESTONES:
        return gigpo(rewards_GT, [[t.reached for t in one.turns] for one in group], gamma=gamma)
    returns_G = [sum(rewards_T) for rewards_T in rewards_GT]
    if estimator is Estimator.GDPO:
        outcomes_G = normalize_then_sum(sum_parts([_sum_by_name(one) for one in group]))
        outcomes_G = [0.0 if math.isnan(value) else value for value in outcomes_G]
    else:
        outcomes_G = grpo(returns_G) if estimator is Estimator.GRPO else rloo(returns_G)
    return [[value] * len(rewards_T) for value, rewards_T in zip(outcomes_G, rewards_GT, strict=True)]


def _sum_by_name(trajectory: Trajectory) -> dict[str, float]:
    sums: dict[str, float] = {}
    for turn in trajectory.turns:
        for name, value in turn.rewards.items():
            sums[name] = sums.get(name, 0.0) + value
    return sums


def _name_source(estimator: Estimator, members: int, settings: _Settings) -> Baseline:
    if estimator is Estimator.REINFORCE:
        return Baseline.NONE if settings.elsewhere is None else Baseline.BATCH
    if members < 2:
        return Baseline.NONE
    return Baseline.INDEX if estimator is Estimator.RETURN_TO_GO_LOO else Baseline.OUTCOME


def _normalize_shares(shares: Mapping[str, _Share]) -> dict[str, _Share]:
    """Standardise outcomes over the batch, one entry for each trajectory."""
    flat = [row[0] if row else math.nan for share in shares.values() for row in share.advantages_GT]
    values = iter(normalize_batch(flat))
    return {
        key: replace(share, advantages_GT=[[next(values)] * len(row) for row in share.advantages_GT])
        for key, share in shares.items()
    }


def _divisor(scale: Scale, group: Sequence[float], batch: float) -> float:
    if scale is Scale.NONE:
        return 1.0
    if scale is Scale.POPULATION:
        return statistics.pstdev(group) if group else 0.0
    return (deviation(group) if scale is Scale.GROUP else batch) + STD_EPSILON


def decompose(
    trajectories: Sequence[Trajectory], *, estimator: Estimator = Estimator.MILESTONE_LOO, gamma: float = 1.0
) -> dict[str, list[list[float]]]:
    """Give each milestone's part of the advantages, per name, trajectory and turn.

    Without scale and shrinkage, and for an estimator that is linear in the rewards, the parts add up to the whole.
    """
    names = sorted(
        {name for one in trajectories if one.scored for turn in one.turns for name in turn.rewards}
    )
    return {
        name: assign_credit(
            [_keep(one, name) for one in trajectories], estimator=estimator, gamma=gamma
        ).advantages
        for name in names
    }


def _keep(trajectory: Trajectory, name: str) -> Trajectory:
    turns = tuple(
        replace(turn, rewards={name: turn.rewards[name]} if name in turn.rewards else {})
        for turn in trajectory.turns
    )
    return replace(trajectory, turns=turns)
