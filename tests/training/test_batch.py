from dataclasses import replace

import pytest
import torch

from milepost.training.aggregation import Aggregation
from milepost.training.batch import Row, build_rows, cut_batch
from milepost.training.trajectory import Status
from tests.training.trajectories import make_trajectory, make_turn


def make_row(prompt: list[int], completion: list[int], advantage: float = 1.0) -> Row:
    return Row(
        prompt_ids=tuple(prompt),
        completion_ids=tuple(completion),
        sampler_logps=(-0.5,) * len(completion),
        advantage=advantage,
        weight=0.1,
    )


def test_weights_count_rollouts_tokens_or_rows() -> None:
    batch = [
        make_trajectory([make_turn(completion=(4, 5)), make_turn(completion=(4, 5, 6))], member=0),
        make_trajectory([make_turn(completion=(4, 5, 6, 7, 8))], member=1),
        make_trajectory([make_turn()], member=2, status=Status.TIMEOUT),
    ]
    advantages = [[1.0, 2.0], [3.0], [9.0]]
    weights = {
        kind: [r.weight for r in build_rows(batch, advantages, aggregation=kind, constant=8)]
        for kind in Aggregation
    }
    assert weights == {
        Aggregation.ROLLOUT_SUM: [1 / 16, 1 / 16, 1 / 16],
        Aggregation.ROLLOUT_MEAN: [1 / 10, 1 / 10, 1 / 10],
        Aggregation.TOKEN: [1 / 10, 1 / 10, 1 / 10],
        Aggregation.ROW: [1 / 6, 1 / 9, 1 / 15],
        Aggregation.ROW_SUM: [1 / 3, 1 / 3, 1 / 3],
        Aggregation.CONSTANT: [1 / 24, 1 / 24, 1 / 24],
    }
    assert [r.advantage for r in build_rows(batch, advantages)] == [1.0, 2.0, 3.0]


def test_a_turn_without_an_llm_call_gives_no_row() -> None:
    batch = [make_trajectory([make_turn(completion=()), make_turn()])]
    assert len(build_rows(batch, [[1.0, 1.0]])) == 1


def test_a_plain_micro_batch_is_padded_on_the_right_and_predicts_completions_only() -> None:
    rows = [make_row([11, 12, 13], [21, 22]), make_row([14], [23])]
    (micro,) = cut_batch(rows, token_budget=100, share_prompts=False)
    assert micro.ids_ST.tolist() == [[11, 12, 13, 21], [14, 0, 0, 0]]
    assert micro.forest is None
    assert micro.tokens == 8
    assert micro.given == 5
    assert micro.source_U.tolist() == [2, 3, 4]
    assert micro.target_U.tolist() == [21, 22, 23]
    assert micro.token_N.tolist() == [0, 1, 2]


def test_rows_of_one_prompt_share_its_sequence() -> None:
    rows = [make_row([11, 12], [21, 22], 1.0), make_row([11, 12], [31, 32], -1.0)]
    (micro,) = cut_batch(rows, token_budget=100)
    assert micro.ids_ST.tolist() == [[11, 12, 21, 31]]
    assert micro.forest is not None
    assert micro.forest.position_T.tolist() == [0, 1, 2, 2]
    assert micro.given == 6
    assert micro.source_U.tolist() == [1, 1, 2, 3]
    assert micro.target_U.tolist() == [21, 31, 22, 32]
    assert micro.token_N.tolist() == [0, 2, 1, 3]
    assert micro.advantage_N.tolist() == [1.0, 1.0, -1.0, -1.0]


def test_equal_completions_of_a_prompt_are_computed_once() -> None:
    rows = [make_row([11, 12], [21, 22], 1.0), make_row([11, 12], [21, 22], 3.0)]
    (micro,) = cut_batch(rows, token_budget=100)
    assert micro.ids_ST.tolist() == [[11, 12, 21]]
    assert micro.token_N.tolist() == [0, 1, 0, 1]
    assert micro.advantage_N.tolist() == [1.0, 1.0, 3.0, 3.0]


def test_without_sharing_every_different_row_has_its_own_sequence() -> None:
    rows = [make_row([11, 12], [21, 22]), make_row([11, 12], [31, 32])]
    (micro,) = cut_batch(rows, token_budget=100, share_prompts=False)
    assert micro.ids_ST.tolist() == [[11, 12, 21], [11, 12, 31]]
    assert micro.forest is None


def test_a_turn_that_goes_on_from_the_one_before_adds_only_what_is_new() -> None:
    rows = [make_row([11, 12, 21, 22, 13], [23], 2.0), make_row([11, 12], [21, 22], 1.0)]
    (micro,) = cut_batch(rows, token_budget=100)
    assert micro.ids_ST.tolist() == [[11, 12, 21, 22, 13]]
    assert [row.advantage for row in micro.rows] == [1.0, 2.0]
    assert micro.source_U.tolist() == [1, 2, 4]
    assert micro.target_U.tolist() == [21, 22, 23]
    assert micro.advantage_N.tolist() == [1.0, 1.0, 2.0]


def test_nothing_is_padded_when_rows_are_packed() -> None:
    (micro,) = cut_batch([make_row([11, 12, 13], [21, 22]), make_row([14], [23])], token_budget=100)
    assert micro.ids_ST.tolist() == [[11, 12, 13, 21, 14]]


@pytest.mark.parametrize("share", [True, False])
def test_micro_batches_keep_to_the_token_budget_and_lose_no_token(share: bool) -> None:
    rows = [make_row([100 + i // 3] * (1 + i % 7), list(range(200, 202 + i % 5))) for i in range(40)]
    cut = list(cut_batch(rows, token_budget=24, share_prompts=share))
    assert max(micro.tokens for micro in cut) <= 24
    assert sum(len(micro.token_N) for micro in cut) == sum(len(r.completion_ids) for r in rows)
    assert sorted(id(row) for micro in cut for row in micro.rows) == sorted(map(id, rows))


def test_a_row_longer_than_the_budget_stands_alone() -> None:
    rows = [make_row([11] * 30, [21, 22]), make_row([11] * 30, [31, 32])]
    cut = list(cut_batch(rows, token_budget=16))
    assert [micro.ids_ST.shape for micro in cut] == [torch.Size([1, 31])] * 2


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a prompt and a completion, got 0 and 1 tokens"):
        list(cut_batch([make_row([], [21])], token_budget=100))


def test_tokens_know_their_row_and_may_have_advantages_of_their_own() -> None:
    rows = [make_row([11, 12, 13], [21, 22], 1.0), make_row([14], [23], 2.0)]
    rows[0] = replace(rows[0], token_advantages=(0.5, -0.5))
    (micro,) = cut_batch(rows, token_budget=100)
    assert micro.row_N.tolist() == [0, 0, 1]
    assert micro.rows == tuple(rows)
    assert micro.advantage_N.tolist() == [0.5, -0.5, 2.0]
    with pytest.raises(ValueError, match="a row of 2 tokens has 1 token advantages"):
        list(cut_batch([replace(rows[0], token_advantages=(1.0,))], token_budget=100))


def test_a_row_is_silent_without_any_advantage() -> None:
    row = make_row([11], [21, 22], 0.0)
    assert row.silent
    assert not replace(row, token_advantages=(0.0, 0.1)).silent
    assert replace(row, advantage=1.0, token_advantages=(0.0, 0.0)).silent


def test_rows_are_equal_only_if_their_pictures_are() -> None:
    rows = [replace(make_row([3, 4], [5, 6]), picture=picture) for picture in (b"a", b"b", b"a", None)]
    (micro,) = cut_batch(rows, token_budget=100, share_prompts=False)
    assert micro.pictures == (b"a", b"b", None)
    assert micro.ids_ST.tolist() == [[3, 4, 5]] * 3
    assert micro.token_N.tolist() == [0, 1, 0, 1, 2, 3, 4, 5]
    (micro,) = cut_batch([make_row([3], [4])], token_budget=100, share_prompts=False)
    assert micro.pictures == ()


def test_rows_take_the_picture_of_their_turn() -> None:
    turns = [make_turn(), make_turn()]
    seen = [replace(turns[0], completion=replace(turns[0].completion, picture=b"a")), turns[1]]
    assert [row.picture for row in build_rows([make_trajectory(seen)], [[0.0, 0.0]])] == [b"a", None]
