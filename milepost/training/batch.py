"""From trajectories to tensors: rows, their weights, and micro-batches that compute nothing twice.

A row is one turn: a prompt and a completion. Weights are fixed for the whole batch first, so the loss does not
depend on how the rows are cut afterwards. Rows of one prompt share a sequence `[prompt | c1 | c2 | ...]` in
which each completion sees the prompt and itself; equal completions of a prompt are computed once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from milepost.training.aggregation import Aggregation, weigh_tokens
from milepost.training.trajectory import Trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One turn as the loss sees it."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    sampler_logps: tuple[float, ...]
    """The sampler's log-probability of each completion token."""
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
    """S padded sequences holding U different completion tokens, which N tokens of rows refer to."""

    ids_ST: Tensor
    """Token ids, padded on the right."""
    position_ST: Tensor | None
    """Positions, restarting after the prompt for each completion; None means 0, 1, 2, ..."""
    allowed_STT: Tensor | None
    """Whether a query (first T) may see a key (second T); None means plain causal attention."""
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

    @property
    def tokens(self) -> int:
        """Tokens computed, padding included."""
        return self.ids_ST.numel()

    def to(self, device: torch.device) -> "MicroBatch":
        """Copy to a device."""
        return MicroBatch(
            ids_ST=self.ids_ST.to(device),
            position_ST=None if self.position_ST is None else self.position_ST.to(device),
            allowed_STT=None if self.allowed_STT is None else self.allowed_STT.to(device),
            source_U=self.source_U.to(device),
            target_U=self.target_U.to(device),
            token_N=self.token_N.to(device),
            row_N=self.row_N.to(device),
            rows=self.rows,
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
                    advantage=value,
                    weight=weight,
                )
            )
    return found


@dataclass(slots=True)
class _Sequence:
    """A prompt, its different completions, and the rows of each."""

    prompt_ids: tuple[int, ...]
    completions: dict[tuple[int, ...], list[Row]]

    @property
    def length(self) -> int:
        return len(self.prompt_ids) + sum(len(ids) - 1 for ids in self.completions)


def cut_batch(rows: Sequence[Row], *, token_budget: int, share_prompts: bool = True) -> Iterator[MicroBatch]:
    """Cut rows into micro-batches of at most `token_budget` tokens, padding included, longest first.

    Args:
        rows: rows with at least one prompt and one completion token each.
        token_budget: most tokens at once; a single longer row still makes a micro-batch of its own.
        share_prompts: compute a prompt once for all its completions; needs a model that takes a dense mask.
    """
    sequences = sorted(_merge(rows, token_budget, share_prompts), key=lambda s: -s.length)
    start = 0
    while start < len(sequences):
        fitting = max(1, token_budget // sequences[start].length)
        yield _build_tensors(sequences[start : start + fitting])
        start += fitting


def _merge(rows: Sequence[Row], token_budget: int, share_prompts: bool) -> Iterator[_Sequence]:
    grouped: dict[tuple[int, ...], dict[tuple[int, ...], list[Row]]] = {}
    for row in rows:
        if not row.prompt_ids or not row.completion_ids:
            raise ValueError(
                f"a row needs a prompt and a completion, got {len(row.prompt_ids)} and "
                f"{len(row.completion_ids)} tokens"
            )
        grouped.setdefault(row.prompt_ids, {}).setdefault(row.completion_ids, []).append(row)
    for prompt_ids, completions in grouped.items():
        current = _Sequence(prompt_ids, {})
        for ids, members in completions.items():
            full = current.length + len(ids) - 1 > token_budget or not share_prompts
            if current.completions and full:
                yield current
                current = _Sequence(prompt_ids, {})
            current.completions[ids] = members
        yield current


def _build_tensors(sequences: Sequence[_Sequence]) -> MicroBatch:
    width = max(s.length for s in sequences)
    ids_ST = torch.zeros(len(sequences), width, dtype=torch.long)
    position_ST = torch.zeros(len(sequences), width, dtype=torch.long)
    segment_ST = torch.full((len(sequences), width), -1, dtype=torch.long)
    sources: list[int] = []
    targets: list[int] = []
    tokens: list[int] = []
    rows: list[Row] = []
    for s, sequence in enumerate(sequences):
        prompt = len(sequence.prompt_ids)
        ids_ST[s, :prompt] = torch.tensor(sequence.prompt_ids)
        position_ST[s, :prompt] = torch.arange(prompt)
        segment_ST[s, :prompt] = 0
        at = prompt
        for index, (ids, members) in enumerate(sequence.completions.items(), start=1):
            inputs = len(ids) - 1  # the last token predicts nothing that is learnt
            ids_ST[s, at : at + inputs] = torch.tensor(ids[:-1], dtype=torch.long)
            position_ST[s, at : at + inputs] = torch.arange(prompt, prompt + inputs)
            segment_ST[s, at : at + inputs] = index
            here = range(len(targets), len(targets) + len(ids))
            sources += [s * width + prompt - 1, *range(s * width + at, s * width + at + inputs)]
            targets += ids
            for member in members:
                tokens += here
                rows.append(member)
            at += inputs
    branching = any(len(s.completions) > 1 for s in sequences)
    return MicroBatch(
        ids_ST=ids_ST,
        position_ST=position_ST if branching else None,
        allowed_STT=_allow(segment_ST) if branching else None,
        source_U=torch.tensor(sources),
        target_U=torch.tensor(targets),
        token_N=torch.tensor(tokens),
        sampler_logp_N=torch.tensor([logp for row in rows for logp in row.sampler_logps]),
        row_N=torch.arange(len(rows)).repeat_interleave(_lengths(rows)),
        rows=tuple(rows),
        advantage_N=_advantages(rows),
        weight_N=_spread(rows, [row.weight for row in rows]),
    )


def _allow(segment_ST: Tensor) -> Tensor:
    """Let each token see the prompt and its own completion, up to itself; padding is seen by padding only."""
    width = segment_ST.shape[1]
    causal_TT = torch.ones(width, width, dtype=torch.bool).tril()
    same_STT = segment_ST[:, :, None] == segment_ST[:, None, :]
    return causal_TT & (same_STT | (segment_ST == 0)[:, None, :])


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
