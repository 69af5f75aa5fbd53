import numpy as np
import pytest
import torch

from milepost.training.packing import (
    Block,
    Forest,
    build_forest,
    cut_sequences,
    measure_shared,
    sort_sequences,
)

SHORT_TO_LONG = [[1, 2, 3], [1, 2, 3, 4, 5], [1, 2, 9], [7]]


def lay(sequences: list[list[int]]) -> tuple[Forest, list[list[int]], list[int]]:
    order = sort_sequences([np.array(ids) for ids in sequences])
    laid = [np.array(sequences[i]) for i in order]
    forest, places = build_forest(laid, measure_shared(laid))
    return forest, [own.tolist() for own in places], order


def draw_sequences(rng: np.random.Generator) -> list[list[int]]:
    """Histories that grow, groups that share a page, and strangers: every sequence goes on from some earlier one."""
    found: list[list[int]] = [[]]
    for _ in range(int(rng.integers(2, 25))):
        base = found[int(rng.integers(len(found)))]
        kept = base[: int(rng.integers(len(base) + 1))]
        found.append(kept + rng.integers(2, 6, size=int(rng.integers(1, 40))).tolist())
    return found[1:]


def test_a_forest_holds_every_beginning_once() -> None:
    forest, places, order = lay(SHORT_TO_LONG)
    assert order == [0, 1, 2, 3]
    assert forest.ids_T.tolist() == [1, 2, 3, 4, 5, 9, 7]
    assert forest.position_T.tolist() == [0, 1, 2, 3, 4, 2, 0]
    assert forest.last_T.tolist() == [5, 5, 4, 4, 4, 5, 6]
    assert places == [[0, 1, 2], [0, 1, 2, 3, 4], [0, 1, 5], [6]]
    assert forest.given == 12


def test_a_beginning_that_is_a_small_part_is_not_shared() -> None:
    laid = [np.array([1, *range(10, 30)]), np.array([1, *range(40, 60)])]
    assert measure_shared(laid) == [0, 0]
    assert measure_shared([laid[0], np.array([1, 10, 11, *range(40, 60)])]) == [0, 3]


def test_whole_sequences_are_causal_and_their_branches_are_small_masks() -> None:
    page = list(range(1000))
    forest, _, _ = lay([[*page, 2001, 2002], [*page, 2003], [*range(3000, 3800)]])
    assert forest.blocks == (
        Block(0, 1002, ((0, 1002),), causal=True),
        Block(1002, 1003, ((0, 1000), (1002, 1003)), causal=False),
        Block(1003, 1803, ((1003, 1803),), causal=True),
    )
    assert [None if mask is None else tuple(mask.shape) for mask in forest.masks] == [None, (1, 1001), None]
    assert sum(block.pairs for block in forest.blocks) == 1002**2 + 1001 + 800**2


def test_a_long_branch_is_cut_so_that_it_computes_little_in_vain() -> None:
    page = list(range(600))
    forest, _, _ = lay([[*page, *range(1000, 1600)], [*page, *range(2000, 2600)]])
    branch = [block for block in forest.blocks if not block.causal]
    assert [(block.start, block.end) for block in branch] == [(1200, 1456), (1456, 1712), (1712, 1800)]
    assert [block.seen for block in branch] == [((0, 600), (1200, end)) for end in (1456, 1712, 1800)]


def test_small_neighbours_are_computed_together() -> None:
    forest, _, _ = lay([[1, 2, 3, k] for k in range(4, 12)])
    assert len(forest.blocks) == 1
    assert forest.masks[0] is not None
    assert forest.masks[0].shape == (11, 11)


@pytest.mark.parametrize("seed", range(30))
def test_every_token_sees_its_own_sequence_up_to_itself_and_nothing_else(seed: int) -> None:
    sequences = draw_sequences(np.random.default_rng(seed))
    forest, places, order = lay(sequences)
    length = len(forest.ids_T)
    seen_TT = torch.zeros(length, length, dtype=torch.bool)
    for own, index in zip(places, order, strict=True):
        assert forest.ids_T[own].tolist() == sequences[index]
        assert forest.position_T[own].tolist() == list(range(len(own)))
        for depth, place in enumerate(own):
            seen_TT[place, own[: depth + 1]] = True
    found_TT = torch.zeros(length, length, dtype=torch.bool)
    for block, mask in zip(forest.blocks, forest.masks, strict=True):
        keys = [k for start, end in block.seen for k in range(start, end)]
        size = block.end - block.start
        allowed = torch.ones(size, size, dtype=torch.bool).tril() if mask is None else mask
        found_TT[torch.arange(block.start, block.end)[:, None], torch.tensor(keys)] = allowed
    assert torch.equal(found_TT, seen_TT)
    assert [block.start for block in forest.blocks] == [0, *(block.end for block in forest.blocks[:-1])]


def test_a_cut_falls_where_least_is_shared() -> None:
    lengths, shared = [10, 10, 10, 10, 10], [0, 8, 2, 8, 8]
    assert list(cut_sequences(lengths, shared, 22)) == [range(0, 2), range(2, 5)]
    assert list(cut_sequences(lengths, shared, 5)) == [range(i, i + 1) for i in range(5)]


def test_ids_are_ordered_as_numbers() -> None:
    assert sort_sequences([np.array(ids) for ids in ([256], [1], [1, 0], [2**31])]) == [1, 2, 0, 3]
