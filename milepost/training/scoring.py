"""Scores rows with a model that stays as it is."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from milepost.training.batch import MicroBatch, Row, cut_batch


@torch.no_grad()
def score_rows(
    score: Callable[[MicroBatch], Tensor],
    rows: Sequence[Row],
    *,
    token_budget: int,
    share_prompts: bool,
    device: torch.device,
) -> list[list[float]]:
    """Give a number for each token of each row, in the order of the rows.

    Args:
        score: gives the U different tokens of a micro-batch their numbers.
        rows: the rows; none may stand in the list twice.
        token_budget: most tokens at once.
        share_prompts: see `cut_batch`.
        device: where the model is.
    """
    place = {id(row): index for index, row in enumerate(rows)}
    found: list[list[float]] = [[] for _ in rows]
    for micro in cut_batch(rows, token_budget=token_budget, share_prompts=share_prompts):
        batch = micro.to(device)
        scores_N = score(batch)[batch.token_N].tolist()
        at = 0
        for row in batch.rows:
            found[place[id(row)]] = scores_N[at : at + len(row.completion_ids)]
            at += len(row.completion_ids)
    return found
