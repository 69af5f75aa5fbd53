"""From trajectories to tensors: rows, their weights, and micro-batches that compute nothing twice.

A row is one turn: a prompt and a completion. Weights are fixed for the whole batch first, so the loss does not
depend on how the rows are cut afterwards. What rows begin with in common is computed once, see `packing`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from milepost.training.aggregation import Aggregation, weigh_tokens
from milepost.training.packing import (
    Forest,
    Ids,
    build_forest,
    cut_sequences,
    measure_shared,
    sort_sequences,
)
from milepost.training.trajectory import Trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One turn as the loss sees it."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    sampler_logps: tuple[float, ...]
    """The sampler's log-probability of each completion token."""
    picture: bytes | None = field(default=None, repr=False)
    """The encoded image that stands in the prompt."""
    advantage: float = 0.0
    weight: float = 0.0
    """Weight of each of its tokens in the loss."""
    token_advantages: tuple[float, ...] = ()
    """An advantage for each token, where a critic gave one; otherwise all have that of the row."""

    @property
    def silent(self) -> bool:
        """Whether it has no advantage at all."""
        return not any(self.token_advantages or (self.advantage,))


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroBatch:
    """Token sequences holding U different completion tokens, which N tokens of rows refer to."""

    ids_ST: Tensor
    """Token ids: one sequence that holds a forest, or S sequences padded on the right."""
    forest: Forest | None
    """Who sees whom in the one sequence; None means plain causal attention in each."""
    given: int
    """Tokens the rows have, before anything is shared or padded."""
    source_U: Tensor
    """Index into the flattened S x T positions whose output predicts the token."""
    target_U: Tensor
    """The token to predict."""
    token_N: Tensor
    """Index into U for every completion token of every row."""
    row_N: Tensor
    """Index into `rows` for every completion token."""
    rows: tuple[Row, ...]
    """The rows themselves, in the order of their tokens."""
    sampler_logp_N: Tensor
    advantage_N: Tensor
    weight_N: Tensor
    pictures: tuple[bytes | None, ...] = field(default=(), repr=False)
    """Of each of the S sequences the picture in its prompt; empty where there is none at all."""

    @property
    def tokens(self) -> int:
        """Tokens computed, padding included."""
        return self.ids_ST.numel()

    def to(self, device: torch.device) -> "MicroBatch":
        """Copy to a device."""
        return replace(
            self,
            ids_ST=self.ids_ST.to(device),
            forest=None if self.forest is None else self.forest.to(device),
            source_U=self.source_U.to(device),
            target_U=self.target_U.to(device),
            token_N=self.token_N.to(device),
            row_N=self.row_N.to(device),
            sampler_logp_N=self.sampler_logp_N.to(device),
            advantage_N=self.advantage_N.to(device),
            weight_N=self.weight_N.to(device),
        )


def build_rows(
    trajectories: Sequence[Trajectory],
    advantages: Sequence[Sequence[float]],
    *,
    aggregation: Aggregation = Aggregation.ROLLOUT_SUM,
    constant: int = 48,
) -> list[Row]:
    """Turn the scored trajectories of a batch into rows; turns without an LLM call give none.

    Args:
        trajectories: the batch.
        advantages: per trajectory and turn.
        aggregation: how tokens weigh.
        constant: the C of `rollout_sum`, such as the longest completion in tokens.
    """
    scored = [(t, a) for t, a in zip(trajectories, advantages, strict=True) if t.scored]
    lengths = [[len(turn.completion.completion_ids) for turn in t.turns] for t, _ in scored]
    weights = weigh_tokens(lengths, aggregation, constant=constant)
    found: list[Row] = []
    for (trajectory, values), own in zip(scored, weights, strict=True):
        for turn, value, weight in zip(trajectory.turns, values, own, strict=True):
            if not turn.completion.completion_ids:
                continue
            found.append(
                Row(
                    prompt_ids=turn.completion.prompt_ids,
                    completion_ids=turn.completion.completion_ids,
                    sampler_logps=turn.completion.logps,
                    picture=turn.completion.picture,
                    advantage=value,
                    weight=weight,
                )
            )
    return found


def deal_rows(rows: Sequence[Row], parts: int, rng: np.random.Generator) -> list[list[Row]]:
    """Deal rows to the optimiser steps of a pass; rows of one prompt stay together."""
    if parts == 1:
        return [list(rows)]
    prompts = list(dict.fromkeys(row.prompt_ids for row in rows))
    drawn = np.array_split(rng.permutation(len(prompts)), min(parts, len(prompts)))
    home = {prompts[i]: part for part, indices in enumerate(drawn) for i in indices.tolist()}
    dealt: list[list[Row]] = [[] for _ in drawn]
    for row in rows:
        dealt[home[row.prompt_ids]].append(row)
    return dealt


def cut_batch(rows: Sequence[Row], *, token_budget: int, share_prompts: bool = True) -> Iterator[MicroBatch]:
    """Cut rows into micro-batches of at most `token_budget` tokens.

    Args:
        rows: rows with at least one prompt and one completion token each.
        token_budget: most tokens at once, padding included; a longer row makes a micro-batch of its own.
        share_prompts: compute beginnings once and pad nothing; needs a model that `share_beginnings` took.

    Raises:
        ValueError: a row is empty, or has a picture and its beginning is to be shared.
    """
    for row in rows:
        if not row.prompt_ids or not row.completion_ids:
            raise ValueError(
                f"a row needs a prompt and a completion, got {len(row.prompt_ids)} and "
                f"{len(row.completion_ids)} tokens"
            )
        if share_prompts and row.picture is not None:
            raise ValueError(
                "rows with pictures share no beginnings: where a token stands after a picture is the model's own "
                "affair; cut them with share_prompts=False"
            )
    yield from (_cut_forests if share_prompts else _cut_padded)(rows, token_budget)


def _cut_forests(rows: Sequence[Row], token_budget: int) -> Iterator[MicroBatch]:
    inputs = [_join_inputs(row) for row in rows]
    order = sort_sequences(inputs)
    rows, inputs = [rows[i] for i in order], [inputs[i] for i in order]
    shared = measure_shared(inputs)
    for part in cut_sequences([len(ids) for ids in inputs], shared, token_budget):
        stretch = slice(part.start, part.stop)
        forest, places = build_forest(inputs[stretch], shared[stretch])
        yield _build_tensors(rows[stretch], places, forest.ids_T[None], forest, forest.given)


def _cut_padded(rows: Sequence[Row], token_budget: int) -> Iterator[MicroBatch]:
    """Pad rows of about one length, longest first; equal rows are computed once."""
    members: dict[tuple[tuple[int, ...], tuple[int, ...], bytes | None], list[Row]] = {}
    for row in rows:
        members.setdefault((row.prompt_ids, row.completion_ids, row.picture), []).append(row)
    different = sorted(members.values(), key=lambda equal: -len(_join_inputs(equal[0])))
    start = 0
    while start < len(different):
        width = len(_join_inputs(different[start][0]))
        part = different[start : start + max(1, token_budget // width)]
        start += len(part)
        ids_ST = torch.zeros(len(part), width, dtype=torch.long)
        laid: list[Row] = []
        places: list[Ids] = []
        for s, equal in enumerate(part):
            ids = _join_inputs(equal[0])
            ids_ST[s, : len(ids)] = torch.from_numpy(ids)
            laid += equal
            places += [np.arange(s * width, s * width + len(ids))] * len(equal)
        micro = _build_tensors(laid, places, ids_ST, None, sum(map(len, places)))
        pictures = tuple(equal[0].picture for equal in part)
        yield replace(micro, pictures=pictures) if any(pictures) else micro


def _join_inputs(row: Row) -> Ids:
    """Give what the policy reads of a row: all but the last token, which predicts nothing that is learnt."""
    return np.array(row.prompt_ids + row.completion_ids[:-1], dtype=np.int64)


def _build_tensors(
    rows: Sequence[Row], places: Sequence[Ids], ids_ST: Tensor, forest: Forest | None, given: int
) -> MicroBatch:
    source_N = np.concatenate([own[len(row.prompt_ids) - 1 :] for row, own in zip(rows, places, strict=True)])
    target_N = np.concatenate([np.array(row.completion_ids, dtype=np.int64) for row in rows])
    # Rows may draw the same token in the same state, which is computed once.
    pairs_2U, token_N = np.unique(np.stack([source_N, target_N]), axis=1, return_inverse=True)
    return MicroBatch(
        ids_ST=ids_ST,
        forest=forest,
        given=given,
        source_U=torch.from_numpy(pairs_2U[0].copy()),
        target_U=torch.from_numpy(pairs_2U[1].copy()),
        token_N=torch.from_numpy(token_N.reshape(-1)),
        sampler_logp_N=torch.tensor([logp for row in rows for logp in row.sampler_logps]),
        row_N=torch.arange(len(rows)).repeat_interleave(_lengths(rows)),
        rows=tuple(rows),
        advantage_N=_advantages(rows),
        weight_N=_spread(rows, [row.weight for row in rows]),
    )


def _lengths(rows: Sequence[Row]) -> Tensor:
    return torch.tensor([len(row.completion_ids) for row in rows], dtype=torch.long)


def _spread(rows: Sequence[Row], values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).repeat_interleave(_lengths(rows))


def _advantages(rows: Sequence[Row]) -> Tensor:
    for row in rows:
        if row.token_advantages and len(row.token_advantages) != len(row.completion_ids):
            raise ValueError(
                f"a row of {len(row.completion_ids)} tokens has {len(row.token_advantages)} token advantages"
            )
    return torch.tensor(
        [a for row in rows for a in row.token_advantages or (row.advantage,) * len(row.completion_ids)],
        dtype=torch.float32,
    )
