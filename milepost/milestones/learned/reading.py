"""Linear readings of a whole episode: what its steps have in common, what any of them has, and how it ends.

Sums of rewards over steps compare episodes of one goal well. Whether a goal was reached, or an episode was played
honestly, is often decided by one step, and must mean the same on every page.
"""

import numpy as np
from numpy.typing import NDArray

WEIGHT = 2.0
"""How much of its return an episode loses when p(honest) falls by a factor of e."""


def summarize(features_TF: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give an episode's mean, last, greatest and least features and a constant, shape (4 * features + 1,).

    Args:
        features_TF: of one step or more; how many there are is not told.
    """
    return np.concatenate(
        [features_TF.mean(0), features_TF[-1], features_TF.max(0), features_TF.min(0), [1.0]]
    )


def count_weights(features: int) -> int:
    """Give how many numbers a summary has, and so how many weights a reading of it."""
    return 4 * features + 1


def find_suspicion(odds: float) -> float:
    """Give -WEIGHT * log p(honest) for log odds: about 0 for an honest episode, and more the more looks like a hack."""
    return WEIGHT * float(np.logaddexp(0, -odds))
