"""Linear readings of a whole episode: what its steps have in common, what any of them has, and how it ends.

Sums of rewards over steps compare episodes of one goal well. Whether a goal was reached, or an episode was played
honestly, is often decided by one step, and must mean the same on every page.
"""

import numpy as np
from numpy.typing import NDArray

from milepost.milestones.learned.features import NAMES

WEIGHT = 2.0
"""How much of its return an episode loses when p(honest) falls by a factor of e."""

_STEPWISE = np.array([n for n, name in enumerate(NAMES) if not name.startswith("last_")])
_ENDING = np.array(
    [NAMES.index(f"last_{name}") for name in ("keys_left", "answer_missing", "answer_unasked")]
)
"""What is said of the end alone; its other features are those of the last step again."""

WEIGHTS = 4 * len(_STEPWISE) + len(_ENDING) + 1
"""How many numbers a summary has, and so how many weights a reading of it."""


def summarize(features_TF: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give an episode's mean, last, greatest and least features, what is only said of its end, and a constant.

    Of the features of the end the mean and the least would tell how many steps there were.

    Args:
        features_TF: of one step or more.

    Returns:
        Shape (WEIGHTS,).
    """
    step_TF = features_TF[:, _STEPWISE]
    parts = (step_TF.mean(0), step_TF[-1], step_TF.max(0), step_TF.min(0), features_TF[-1, _ENDING], [1.0])
    return np.concatenate(parts)


def find_suspicion(odds: float) -> float:
    """Give -WEIGHT * log p(honest) for log odds: about 0 for an honest episode, and more the more looks like a hack."""
    return WEIGHT * float(np.logaddexp(0, -odds))
