"""Token sequences as a forest: what several of them begin with stands there once.

Sorted sequences that begin alike are neighbours, so the forest is laid out by walking them in order and adding only
what the sequence before did not already bring. A token sees its ancestors: a history that grows, the members of a
group that saw the same page, and answers that begin alike all share their beginnings. Nothing is padded.

Attention is computed in blocks, runs of tokens with the ranges they see, so the work is that of the forest and not
of a square over all tokens: a whole sequence is plain causal attention, and its side branches are small masks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Ids = npt.NDArray[np.int64]
Ranges = tuple[tuple[int, int], ...]
"""Half-open ranges of places, ascending and apart from one another."""

_LEAST_SHARE = 0.125
"""A beginning shorter than this part of a sequence is computed again: causal attention has the faster kernels."""

_BLOCK = 256
"""Most queries of a block that needs a mask."""

_CALL = 4096
"""Query-key pairs that cost as much as one more call of the attention kernel."""


@dataclass(frozen=True, slots=True)
class Block:
    """A run of tokens whose attention is computed together."""

    start: int
    end: int
    seen: Ranges
    """What at least one of them may see, themselves included."""
    causal: bool
    """Whether it is one unbroken run from a root on, which sees nothing but itself."""

    @property
    def pairs(self) -> int:
        """Query-key pairs that are computed."""
        return (self.end - self.start) * sum(end - start for start, end in self.seen)


@dataclass(frozen=True, kw_only=True)
class Forest:
    """T tokens in depth-first order, with what attention needs to know about them."""

    ids_T: Tensor
    position_T: Tensor
    """Depth of each token: its position in its own sequence."""
    last_T: Tensor
    """Place of the last token below each: token k is an ancestor of token q, or q itself, iff k <= q <= last[k]."""
    blocks: tuple[Block, ...]
    """They cover all tokens in order."""
    given: int
    """Tokens of all sequences before anything was shared."""

    def to(self, device: torch.device) -> "Forest":
        """Copy to a device."""
        return replace(
            self,
            ids_T=self.ids_T.to(device),
            position_T=self.position_T.to(device),
            last_T=self.last_T.to(device),
        )

    @cached_property
    def key_lengths(self) -> list[int]:
        """Lengths of the pieces into which keys are cut, such that every range is made of whole pieces."""
        edges = sorted({edge for block in self.blocks for a_range in block.seen for edge in a_range})
        return [end - start for start, end in pairwise(edges)]

    @cached_property
    def key_pieces(self) -> list[list[int]]:
        """For every block the pieces it sees."""
        starts = np.cumsum([0, *self.key_lengths])
        return [
            [i for a, b in block.seen for i in range(*np.searchsorted(starts, (a, b)).tolist())]
            for block in self.blocks
        ]

    @cached_property
    def masks(self) -> list[Tensor | None]:
        """For every block who sees whom, shape (queries, keys); None is plain causal attention."""
        return [None if block.causal else self._mask(block) for block in self.blocks]

    def _mask(self, block: Block) -> Tensor:
        device = self.ids_T.device
        query_Q1 = torch.arange(block.start, block.end, device=device)[:, None]
        key_K = torch.cat([torch.arange(start, end, device=device) for start, end in block.seen])
        return (key_K <= query_Q1) & (query_Q1 <= self.last_T[key_K])


@dataclass(slots=True)
class _Run:
    """Tokens that one sequence adds: they follow `path`, the places of its beginning."""

    start: int
    length: int
    path: Ranges


def sort_sequences(sequences: Sequence[Ids]) -> list[int]:
    """Give the order in which sequences that begin alike are neighbours, and a beginning precedes what goes on."""
    # Compared as bytes of big-endian numbers, which is the order of the numbers.
    keys = [ids.astype(">u4").tobytes() for ids in sequences]
    return sorted(range(len(keys)), key=lambda i: (keys[i], i))


def measure_shared(sorted_ids: Sequence[Ids]) -> list[int]:
    """Count for each sequence the tokens it shares with the one before, or 0 where too few to be worth it."""
    shared = [0] * len(sorted_ids)
    for i in range(1, len(sorted_ids)):
        before, own = sorted_ids[i - 1], sorted_ids[i]
        length = min(len(before), len(own))
        different = np.flatnonzero(before[:length] != own[:length])
        common = int(different[0]) if len(different) else length
        shared[i] = common if common >= _LEAST_SHARE * len(own) else 0
    return shared


def cut_sequences(lengths: Sequence[int], shared: Sequence[int], budget: int) -> Iterator[range]:
    """Cut sorted sequences into stretches of at most `budget` tokens, where the least is shared.

    A longer sequence is a stretch of its own.
    """
    start, count = 0, len(lengths)
    while start < count:
        tokens, end = lengths[start], start + 1
        fill = [tokens]
        while end < count and tokens + lengths[end] - shared[end] <= budget:
            tokens += lengths[end] - shared[end]
            fill.append(tokens)
            end += 1
        if end < count:
            fit = [i for i in range(start + 1, end + 1) if 2 * fill[i - start - 1] >= tokens]
            end = min(reversed(fit), key=lambda i: shared[i])
        yield range(start, end)
        start = end


def build_forest(sorted_ids: Sequence[Ids], shared: Sequence[int]) -> tuple[Forest, list[Ids]]:
    """Lay sequences out as a forest.

    Args:
        sorted_ids: in the order of `sort_sequences`.
        shared: tokens each shares with the one before; that of the first is taken as 0.

    Returns:
        The forest, and for each sequence the places of its tokens.
    """
    runs: list[_Run] = []
    parts: list[Ids] = []
    positions: list[Ids] = []
    places: list[Ids] = []
    path = np.zeros(0, dtype=np.int64)
    total = sum(map(len, sorted_ids)) - sum(shared[1:])
    last = np.full(total, total - 1, dtype=np.int64)
    at = 0
    for index, ids in enumerate(sorted_ids):
        common = shared[index] if index else 0
        last[path[common:]] = at - 1
        kept, length = path[:common], len(ids) - common
        if length:
            runs.append(_Run(at, length, _find_ranges(kept)))
            parts.append(ids[common:])
            positions.append(np.arange(common, len(ids)))
        path = np.concatenate([kept, np.arange(at, at + length)])
        places.append(path)
        at += length
    forest = Forest(
        ids_T=torch.from_numpy(np.concatenate(parts)),
        position_T=torch.from_numpy(np.concatenate(positions)),
        last_T=torch.from_numpy(last),
        blocks=tuple(_build_blocks(runs)),
        given=sum(map(len, sorted_ids)),
    )
    return forest, places


def _find_ranges(places: Ids) -> Ranges:
    """Give ascending places as ranges."""
    if not len(places):
        return ()
    breaks = np.flatnonzero(np.diff(places) != 1)
    starts = places[np.concatenate([[0], breaks + 1])]
    ends = places[np.concatenate([breaks, [len(places) - 1]])] + 1
    return tuple(zip(starts.tolist(), ends.tolist(), strict=True))


def _build_blocks(runs: Sequence[_Run]) -> Iterator[Block]:
    """Join small neighbours wherever one larger mask costs less than one more call."""
    current: Block | None = None
    for run in runs:
        for block in _cut_run(run):
            if current is None:
                current = block
                continue
            joined = Block(current.start, block.end, _join(current.seen, block.seen), causal=False)
            small = joined.end - joined.start <= _BLOCK
            if small and joined.pairs <= current.pairs + block.pairs + _CALL:
                current = joined
            else:
                yield current
                current = block
    if current is not None:
        yield current


def _cut_run(run: _Run) -> Iterator[Block]:
    """A root stays whole; a branch is cut, so that its masks stay small and it computes little in vain."""
    end = run.start + run.length
    step = _BLOCK if run.path else run.length
    for start in range(run.start, end, step):
        stop = min(end, start + step)
        yield Block(start, stop, _join(run.path, ((run.start, stop),)), causal=not run.path)


def _join(first: Ranges, second: Ranges) -> Ranges:
    joined: list[tuple[int, int]] = []
    for start, end in sorted((*first, *second)):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return tuple(joined)
