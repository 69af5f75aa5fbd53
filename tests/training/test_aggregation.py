import pytest

from milepost.training.aggregation import Aggregation, weigh_tokens

LENGTHS = [[2, 3], [5, 0]]


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        (Aggregation.ROLLOUT_SUM, [[1 / 16, 1 / 16], [1 / 16, 0.0]]),
        (Aggregation.ROLLOUT_MEAN, [[1 / 10, 1 / 10], [1 / 10, 0.0]]),
        (Aggregation.TOKEN, [[1 / 10, 1 / 10], [1 / 10, 0.0]]),
        (Aggregation.ROW, [[1 / 6, 1 / 9], [1 / 15, 0.0]]),
        (Aggregation.ROW_SUM, [[1 / 3, 1 / 3], [1 / 3, 0.0]]),
        (Aggregation.CONSTANT, [[1 / 24, 1 / 24], [1 / 24, 0.0]]),
    ],
)
def test_weights_count_rollouts_rows_or_tokens(aggregation: Aggregation, expected: list[list[float]]) -> None:
    assert weigh_tokens(LENGTHS, aggregation, constant=8) == expected


def test_long_answers_weigh_less_a_token_in_grpo_only() -> None:
    lengths = [[10], [100]]
    assert weigh_tokens(lengths, Aggregation.ROW, constant=1) == [[0.05], [0.005]]
    assert weigh_tokens(lengths, Aggregation.TOKEN, constant=1) == [[1 / 110], [1 / 110]]
    assert weigh_tokens(lengths, Aggregation.CONSTANT, constant=100) == [[1 / 200], [1 / 200]]


@pytest.mark.parametrize("aggregation", list(Aggregation))
def test_a_batch_without_tokens_has_no_weight(aggregation: Aggregation) -> None:
    assert weigh_tokens([[0], []], aggregation, constant=4) == [[0.0], []]
