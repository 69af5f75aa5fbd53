"""How tokens weigh against each other in the loss of a batch.

Weights are counted over the whole batch before it is cut into micro-batches, so nothing that is done to it later
changes the loss: not its order, not how it is packed, not on how many machines it is computed.
"""

from collections.abc import Sequence
from enum import StrEnum


class Aggregation(StrEnum):
    """How tokens weigh in the loss of a batch with R scored rollouts."""

    ROLLOUT_SUM = "rollout_sum"
    """1 / (C R) with a constant C: Dr. GRPO over whole episodes; unbiased."""
    ROLLOUT_MEAN = "rollout_mean"
    """1 / (tokens of its rollout x R): every rollout weighs the same; favours short successes."""
    TOKEN = "token"
    """1 / (tokens of the batch), as DAPO."""
    ROW = "row"
    """1 / (tokens of its row x rows of the batch), as GRPO with a turn for a response."""
    ROW_SUM = "row_sum"
    """1 / (rows of the batch), as LUSPO."""
    CONSTANT = "constant"
    """1 / (C x rows of the batch), as Dr. GRPO with a turn for a response."""


def weigh_tokens(
    lengths_BK: Sequence[Sequence[int]], aggregation: Aggregation, *, constant: int
) -> list[list[float]]:
    """Give the weight that each token of a turn has, ragged (B, K) for B rollouts of K turns.

    Args:
        lengths_BK: tokens of each turn's completion; a turn with none has weight 0.
        aggregation: how tokens weigh.
        constant: the C of `rollout_sum` and `constant`, such as the longest completion in tokens.
    """
    rollouts = len(lengths_BK)
    rows = sum(length > 0 for lengths_K in lengths_BK for length in lengths_K)
    tokens = sum(length for lengths_K in lengths_BK for length in lengths_K)

    def weigh(length: int, own: int) -> float:
        match aggregation:
            case Aggregation.ROLLOUT_SUM:
                return 1.0 / (constant * rollouts)
            case Aggregation.ROLLOUT_MEAN:
                return 1.0 / (own * rollouts)
            case Aggregation.TOKEN:
                return 1.0 / tokens
            case Aggregation.ROW:
                return 1.0 / (length * rows)
            case Aggregation.ROW_SUM:
                return 1.0 / rows
            case Aggregation.CONSTANT:
                return 1.0 / (constant * rows)

    return [
        [weigh(length, sum(lengths_K)) if length else 0.0 for length in lengths_K] for lengths_K in lengths_BK
    ]
