"""Milestone advantages: each turn against the peers that stood where it stood.

Estimators are pure functions over one group (the trajectories of one task and seed) as plain lists. Baselines come
from the *other* members of the group and from what was known before the action, so they leave the policy gradient
unbiased however the policy ends its episodes.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType

from milepost.training.returns import returns_to_go


class Estimator(StrEnum):
    """Which advantage is computed."""

    MILESTONE_LOO = "milestone_loo"
    """Return-to-go against the peers that stood at the same set of milestones."""
    RETURN_TO_GO_LOO = "return_to_go_loo"
    """Return-to-go against that of the others at the same turn."""
    REINFORCE = "reinforce"
    """Return-to-go against the mean outcome of the other groups."""
    GRPO = "grpo"
    """Outcome against the group's mean, own outcome included; the same for every turn."""
    GRPO_PROCESS = "grpo_process"
    """Rewards of all turns standardised over the group, then summed forward; biased."""
    RLOO = "rloo"
    """Outcome against the mean of the other members; the same for every turn."""
    GDPO = "gdpo"
    """Each milestone standardised inside its group, then summed, then standardised over the batch."""
    GIGPO = "gigpo"
    """Outcome against the group, plus each turn against those that saw the same observation."""
    GIGPO_MILESTONES = "gigpo_milestones"
    """The same with the set of reached milestones for an observation."""
    TOKEN_GAE = "token_gae"
    """A critic's generalised advantage over tokens."""
    TURN_GAE = "turn_gae"
    """The same over turns."""
    BI_LEVEL_GAE = "bi_level_gae"
    """The same over turns, then over the tokens of each."""

    @property
    def needs_critic(self) -> bool:
        """Whether values are needed."""
        return self in (Estimator.TOKEN_GAE, Estimator.TURN_GAE, Estimator.BI_LEVEL_GAE)


class Scale(StrEnum):
    """What advantages are divided by."""

    NONE = "none"
    GROUP = "group"
    """The standard deviation inside the group (Bessel's correction), plus 1e-4."""
    POPULATION = "population"
    """The population deviation inside the group: two outcomes become exactly 1 and -1."""
    BATCH = "batch"
    """The standard deviation over the whole batch (Bessel's correction), plus 1e-4."""


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
    BATCH = "batch"
    """The other groups of the batch."""
    CRITIC = "critic"
    """A critic's value."""
    NONE = "none"
    """There is no peer; the advantage is 0."""


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
    firsts_G = [first_turns(reached_T) for reached_T in reached_GT]
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


def first_turns(reached_T: Sequence[frozenset[str]]) -> dict[frozenset[str], int]:
    """Find the first turn at which each set of milestones was reached."""
    firsts: dict[frozenset[str], int] = {}
    for t, anchor in enumerate(reached_T):
        firsts.setdefault(anchor, t)
    return firsts
