"""Advantages: how much better each turn went than its peers did, per trajectory and turn.

Estimators are pure functions over one group (the trajectories of one task and seed) as plain lists; only
`assign_credit` knows trajectories. Baselines come from the *other* members of the group and from what was known
before the action, so they leave the policy gradient unbiased however the policy ends its episodes. Members
without a score (a failure of the harness) take part neither as peers nor in the loss.
"""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from milepost.training.trajectory import Trajectory

STD_EPSILON = 1e-4
"""Added to a standard deviation before dividing by it, as TRL does."""


class Estimator(StrEnum):
    """Which advantage is computed."""

    MILESTONE_LOO = "milestone_loo"
    """Return-to-go against the peers that stood at the same set of milestones."""
    GRPO = "grpo"
    """Outcome against the group's mean, own outcome included; the same for every turn."""
    RLOO = "rloo"
    """Outcome against the mean of the other members; the same for every turn."""


class Scale(StrEnum):
    """What advantages are divided by."""

    NONE = "none"
    GROUP = "group"
    """The standard deviation inside the group."""
    BATCH = "batch"
    """The standard deviation over the whole batch."""


class Baseline(StrEnum):
    """Where the baseline of a turn came from."""

    ANCHOR = "anchor"
    """Peers with the same set of reached milestones."""
    TEMPLATE = "template"
    """Only members of other groups of the same template stood at that set."""
    INDEX = "index"
    """All peers, at the same turn index; a peer that had finished counts 0."""
    OUTCOME = "outcome"
    """The outcome of the group's members."""
    NONE = "none"
    """There is no peer; the advantage is 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """Advantages of a batch and where they came from."""

    advantages: list[list[float]]
    """Per trajectory and turn, parallel to the batch; zeros for unscored trajectories."""
    baselines: Counter[Baseline]
    """How many turns of scored trajectories had which baseline."""
    flat_groups: float
    """Fraction of groups with a score in which every advantage is 0."""


def returns_to_go(rewards_T: Sequence[float], *, gamma: float = 1.0) -> list[float]:
    """Compute G_t = sum over k >= t of gamma^(k-t) r_k, shape (T,)."""
    returns_T, running = [0.0] * len(rewards_T), 0.0
    for t in range(len(rewards_T) - 1, -1, -1):
        running = rewards_T[t] + gamma * running
        returns_T[t] = running
    return returns_T


def milestone_loo(
    rewards_GT: Sequence[Sequence[float]],
    reached_GT: Sequence[Sequence[frozenset[str]]],
    *,
    gamma: float = 1.0,
    min_peers: int = 1,
    prior: Mapping[frozenset[str], float] = MappingProxyType({}),
    shrinkage: float = 0.0,
) -> tuple[list[list[float]], list[list[Baseline]]]:
    """Compute leave-one-trajectory-out return-to-go advantages, anchored on milestone sets.

    The baseline of turn t of member i is the mean return-to-go of its peers j != i, each taken at its first
    turn with the same set of reached milestones. With fewer than `min_peers` of them it is the mean over all
    peers at turn index t, a peer that had finished counting 0. Without peers the advantage is 0.

    Args:
        rewards_GT: reward of each member's turns; members may differ in length.
        reached_GT: milestones reached before each turn's action.
        gamma: discount per turn.
        min_peers: fewest peers at the same milestones.
        prior: mean return-to-go at a set of milestones in *other* groups, so still independent of this one.
        shrinkage: how many peers the prior counts for. With k of them the baseline is
            (sum of n peers + k prior) / (n + k), the mean of a few shrunk towards that of many (James & Stein 1961):
            less variance, no bias, and groups that all fared alike teach too.

    Returns:
        Advantages and where each baseline came from, both (G, T) and ragged like the input.
    """
    returns_GT = [returns_to_go(rewards_T, gamma=gamma) for rewards_T in rewards_GT]
    firsts_G = [_first_turns(reached_T) for reached_T in reached_GT]
    advantages_GT: list[list[float]] = []
    sources_GT: list[list[Baseline]] = []
    for i, returns_T in enumerate(returns_GT):
        others = [j for j in range(len(returns_GT)) if j != i]
        advantages_T, sources_T = [], []
        for t, value in enumerate(returns_T):
            anchor = reached_GT[i][t]
            peers = [returns_GT[j][firsts_G[j][anchor]] for j in others if anchor in firsts_G[j]]
            weight = shrinkage if anchor in prior else 0.0
            source = Baseline.ANCHOR
            if len(peers) < min_peers:
                source = Baseline.TEMPLATE if weight else Baseline.INDEX
            if source is Baseline.INDEX:
                peers = [returns_GT[j][t] if t < len(returns_GT[j]) else 0.0 for j in others]
            count = len(peers) + weight
            total = sum(peers) + weight * prior.get(anchor, 0.0)
            advantages_T.append(value - total / count if count else 0.0)
            sources_T.append(source if count else Baseline.NONE)
        advantages_GT.append(advantages_T)
        sources_GT.append(sources_T)
    return advantages_GT, sources_GT


def _sum_firsts(group: Sequence[Trajectory], gamma: float) -> dict[frozenset[str], tuple[float, int]]:
    """Sum and count a group's returns-to-go at the first turn of each set of milestones."""
    sums: dict[frozenset[str], tuple[float, int]] = {}
    for trajectory in group:
        returns_T = returns_to_go(trajectory.step_rewards(), gamma=gamma)
        for anchor, t in _first_turns([turn.reached for turn in trajectory.turns]).items():
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


def _first_turns(reached_T: Sequence[frozenset[str]]) -> dict[frozenset[str], int]:
    firsts: dict[frozenset[str], int] = {}
    for t, anchor in enumerate(reached_T):
        firsts.setdefault(anchor, t)
    return firsts


def grpo(returns_G: Sequence[float]) -> list[float]:
    """Compute outcome advantages r_i - mean(r), 0 for a lone member (GRPO without its division, as Dr. GRPO)."""
    if len(returns_G) < 2:
        return [0.0] * len(returns_G)
    mean = statistics.fmean(returns_G)
    return [value - mean for value in returns_G]


def rloo(returns_G: Sequence[float]) -> list[float]:
    """Compute outcome advantages r_i - mean of the others, 0 for a lone member (RLOO)."""
    if len(returns_G) < 2:
        return [0.0] * len(returns_G)
    total = sum(returns_G)
    return [value - (total - value) / (len(returns_G) - 1) for value in returns_G]


def deviation(values: Sequence[float]) -> float:
    """Compute the standard deviation with Bessel's correction, 0 for fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


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
        estimator: which advantage.
        scale: what to divide it by, plus `STD_EPSILON`: the standard deviation of the outcomes (`grpo`, `rloo`)
            or of the returns-to-go of all turns (`milestone_loo`), over the group or over the batch.
        gamma: discount per turn; outcomes are not discounted.
        min_peers: see `milestone_loo`.
        shrinkage: see `milestone_loo`; the other estimators have none.
    """
    members: dict[str, list[int]] = {}
    for index, trajectory in enumerate(trajectories):
        if trajectory.scored:
            members.setdefault(trajectory.group, []).append(index)
    advantages = [[0.0] * len(trajectory.turns) for trajectory in trajectories]
    baselines: Counter[Baseline] = Counter()
    spreads: dict[str, list[float]] = {}
    groups = {key: [trajectories[index] for index in indices] for key, indices in members.items()}
    priors = measure_priors(groups, gamma=gamma) if shrinkage else {}
    for key, indices in members.items():
        settings = _Settings(gamma=gamma, min_peers=min_peers, prior=priors.get(key, {}), shrinkage=shrinkage)
        found, sources, spreads[key] = _credit_group(groups[key], estimator, settings)
        baselines.update(sources)
        for index, values in zip(indices, found, strict=True):
            advantages[index] = values
    flat = sum(not any(any(advantages[i]) for i in indices) for indices in members.values())
    whole = deviation([value for values in spreads.values() for value in values])
    for key, indices in members.items():
        divisor = _divisor(scale, deviation(spreads[key]), whole)
        for index in indices:
            advantages[index] = [value / divisor for value in advantages[index]]
    return Credit(
        advantages=advantages,
        baselines=baselines,
        flat_groups=flat / len(members) if members else 0.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """What `milestone_loo` takes besides a group."""

    gamma: float
    min_peers: int
    prior: Mapping[frozenset[str], float]
    shrinkage: float


def _credit_group(
    group: Sequence[Trajectory], estimator: Estimator, settings: _Settings
) -> tuple[list[list[float]], list[Baseline], list[float]]:
    """Give a group's advantages, the source of each baseline, and the values whose spread scales it."""
    rewards_GT = [trajectory.step_rewards() for trajectory in group]
    if estimator is Estimator.MILESTONE_LOO:
        reached_GT = [[turn.reached for turn in trajectory.turns] for trajectory in group]
        advantages, sources = milestone_loo(
            rewards_GT,
            reached_GT,
            gamma=settings.gamma,
            min_peers=settings.min_peers,
            prior=settings.prior,
            shrinkage=settings.shrinkage,
        )
        spread = [
            value for rewards_T in rewards_GT for value in returns_to_go(rewards_T, gamma=settings.gamma)
        ]
        return advantages, [source for row in sources for source in row], spread
    returns_G = [sum(rewards_T) for rewards_T in rewards_GT]
    outcomes_G = grpo(returns_G) if estimator is Estimator.GRPO else rloo(returns_G)
    source = Baseline.OUTCOME if len(group) > 1 else Baseline.NONE
    return (
        [[value] * len(rewards_T) for value, rewards_T in zip(outcomes_G, rewards_GT, strict=True)],
        [source for rewards_T in rewards_GT for _ in rewards_T],
        returns_G,
    )


def _divisor(scale: Scale, group: float, batch: float) -> float:
    if scale is Scale.NONE:
        return 1.0
    return (group if scale is Scale.GROUP else batch) + STD_EPSILON
