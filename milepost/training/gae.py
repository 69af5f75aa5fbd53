"""Generalised advantage estimation with a critic, over tokens, over turns, and over both.

Pure functions over one trajectory of K turns as plain lists; `values_KT[k][t]` is the critic's value of the state in
which token t of turn k is drawn. Only what the policy wrote is here, so tokens of observations are skipped and not
discounted. A trajectory that was cut off may pass the value of its last state; one that ended has none.
"""

import math
from collections.abc import Sequence


def gae(
    rewards_T: Sequence[float],
    values_T: Sequence[float],
    *,
    gamma: float = 1.0,
    lam: float = 0.95,
    last_value: float = 0.0,
) -> list[float]:
    """Compute A_t = delta_t + gamma lam A_(t+1), delta_t = r_t + gamma V_(t+1) - V_t, shape (T,).

    Schulman et al. 2016, equation 16. `values_T + advantages` is the lambda-return; with `lam` 1 and a `last_value`
    of 0 it is the discounted sum of rewards.

    Raises:
        ValueError: rewards and values differ in length.
    """
    if len(rewards_T) != len(values_T):
        raise ValueError(
            f"every step needs a reward and a value, got {len(rewards_T)} rewards and {len(values_T)} values"
        )
    advantages_T, running, following = [0.0] * len(rewards_T), 0.0, last_value
    for t in range(len(rewards_T) - 1, -1, -1):
        delta = rewards_T[t] + gamma * following - values_T[t]
        running = delta + gamma * lam * running
        advantages_T[t], following = running, values_T[t]
    return advantages_T


def token_gae(
    rewards_K: Sequence[float],
    values_KT: Sequence[Sequence[float]],
    *,
    gamma: float = 1.0,
    lam: float = 0.95,
    last_value: float = 0.0,
) -> list[list[float]]:
    """Compute advantages over all tokens of a trajectory, ragged (K, T); a turn is paid at its last token.

    The discount is per token, so that below 1 it makes long completions dear.
    """
    _check_turns(rewards_K, values_KT)
    rewards_T: list[float] = []
    for reward, values_T in zip(rewards_K, values_KT, strict=True):
        rewards_T += [0.0] * (len(values_T) - 1) + [reward]
    flat_T = [value for values_T in values_KT for value in values_T]
    return _fold(gae(rewards_T, flat_T, gamma=gamma, lam=lam, last_value=last_value), values_KT)


def turn_gae(
    rewards_K: Sequence[float],
    values_KT: Sequence[Sequence[float]],
    *,
    gamma: float = 1.0,
    lam: float = 0.95,
    last_value: float = 0.0,
) -> list[list[float]]:
    """Compute advantages over turns, the same for every token of a turn, ragged (K, T).

    The value of a turn is that of its first token: the state in which the turn begins.
    """
    _check_turns(rewards_K, values_KT)
    firsts_K = [values_T[0] for values_T in values_KT]
    advantages_K = gae(rewards_K, firsts_K, gamma=gamma, lam=lam, last_value=last_value)
    return [[a] * len(values_T) for a, values_T in zip(advantages_K, values_KT, strict=True)]


def bi_level_gae(
    rewards_K: Sequence[float],
    values_KT: Sequence[Sequence[float]],
    *,
    gamma: float = 1.0,
    lam: float = 0.95,
    token_gamma: float = 1.0,
    token_lam: float = 0.95,
    last_value: float = 0.0,
) -> list[list[float]]:
    """Compute advantages over turns first, then over the tokens of each, ragged (K, T) (RAGEN 2025).

    The lambda-return of a turn, from the values of its last token, is the reward of that token inside the turn. Turns
    are given, not guessed from rewards that are not 0, so a turn may well pay nothing.
    """
    _check_turns(rewards_K, values_KT)
    lasts_K = [values_T[-1] for values_T in values_KT]
    advantages_K = gae(rewards_K, lasts_K, gamma=gamma, lam=lam, last_value=last_value)
    found: list[list[float]] = []
    for advantage, last, values_T in zip(advantages_K, lasts_K, values_KT, strict=True):
        rewards_T = [0.0] * (len(values_T) - 1) + [advantage + last]
        found.append(gae(rewards_T, values_T, gamma=token_gamma, lam=token_lam))
    return found


def whiten(values: Sequence[float], *, epsilon: float = 1e-8) -> list[float]:
    """Shift and scale to mean 0 and variance 1, with Bessel's correction; fewer than two values give zeros."""
    if len(values) < 2:
        return [0.0] * len(values)
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return [(value - mean) / math.sqrt(variance + epsilon) for value in values]


def _check_turns(rewards_K: Sequence[float], values_KT: Sequence[Sequence[float]]) -> None:
    if len(rewards_K) != len(values_KT):
        raise ValueError(
            f"every turn needs a reward and values, got {len(rewards_K)} rewards for {len(values_KT)} turns"
        )
    empty = [k for k, values_T in enumerate(values_KT) if not values_T]
    if empty:
        raise ValueError(f"turn {empty[0]} has no tokens; leave turns without a completion out")


def _fold(flat_T: Sequence[float], like_KT: Sequence[Sequence[float]]) -> list[list[float]]:
    folded: list[list[float]] = []
    at = 0
    for values_T in like_KT:
        folded.append(list(flat_T[at : at + len(values_T)]))
        at += len(values_T)
    return folded
