"""Returns: what is still to come after each turn."""

from collections.abc import Sequence


def returns_to_go(rewards_T: Sequence[float], *, gamma: float = 1.0) -> list[float]:
    """Compute G_t = sum over k >= t of gamma^(k-t) r_k, shape (T,)."""
    returns_T, running = [0.0] * len(rewards_T), 0.0
    for t in range(len(rewards_T) - 1, -1, -1):
        running = rewards_T[t] + gamma * running
        returns_T[t] = running
    return returns_T


def reinforce(
    rewards_GT: Sequence[Sequence[float]], *, gamma: float = 1.0, baseline: float = 0.0
) -> list[list[float]]:
    """Compute G_t - b, ragged (G, T) (Williams 1992); unbiased for a baseline that knows nothing of the group."""
    return [[value - baseline for value in returns_to_go(r, gamma=gamma)] for r in rewards_GT]


def return_to_go_loo(rewards_GT: Sequence[Sequence[float]], *, gamma: float = 1.0) -> list[list[float]]:
    """Compute G_t against the mean return-to-go of the others at the same turn, ragged (G, T); unbiased.

    A member that had finished counts 0, for that is what it still got. A lone member has advantage 0.
    """
    returns_GT = [returns_to_go(rewards_T, gamma=gamma) for rewards_T in rewards_GT]
    if len(returns_GT) < 2:
        return [[0.0] * len(returns_T) for returns_T in returns_GT]
    longest = max(len(returns_T) for returns_T in returns_GT)
    sums_T = [sum(r[t] for r in returns_GT if t < len(r)) for t in range(longest)]
    others = len(returns_GT) - 1
    return [
        [value - (sums_T[t] - value) / others for t, value in enumerate(returns_T)]
        for returns_T in returns_GT
    ]
