import math

import pytest
import torch
from torch import Tensor

from milepost.training.algorithm import Correction
from milepost.training.corrections import (
    adapt_coefficient,
    exceeds_band,
    importance_weights,
    mean_rows,
    off_policy_mask,
    sum_rows,
)

ROWS = torch.tensor([0, 0, 1])


def logs(*ratios: float) -> Tensor:
    return torch.tensor([math.log(r) for r in ratios], dtype=torch.float64)


def test_rows_are_summed_and_averaged() -> None:
    values_N = torch.tensor([1.0, 3.0, 5.0])
    assert sum_rows(values_N, ROWS).tolist() == [4.0, 5.0]
    assert mean_rows(values_N, ROWS).tolist() == [2.0, 5.0]
    assert sum_rows(torch.zeros(0), torch.zeros(0, dtype=torch.long)).tolist() == []


@pytest.mark.parametrize(
    ("correction", "expected"),
    [
        (Correction.NONE, [1.0, 1.0, 1.0]),
        (Correction.TOKEN_TRUNCATE, [2.0, 0.5, 3.0]),
        (Correction.TOKEN_MASK, [2.0, 0.5, 0.0]),
        (Correction.SEQUENCE_TRUNCATE, [1.0, 1.0, 3.0]),
        (Correction.SEQUENCE_MASK, [1.0, 1.0, 0.0]),
    ],
)
def test_importance_weights_are_bounded_and_carry_no_gradient(
    correction: Correction, expected: list[float]
) -> None:
    old_N = logs(0.5, 0.2, 0.9).requires_grad_()
    weights_N = importance_weights(old_N, logs(0.25, 0.4, 0.1), correction=correction, cap=3.0, row_N=ROWS)
    assert weights_N.tolist() == pytest.approx(expected)
    assert not weights_N.requires_grad


def test_a_floor_lifts_or_drops_what_is_below() -> None:
    old_N, sampler_N = logs(0.1), logs(0.5)
    lifted = importance_weights(old_N, sampler_N, floor=0.5)
    dropped = importance_weights(old_N, sampler_N, floor=0.5, correction=Correction.TOKEN_MASK)
    assert (lifted.item(), dropped.item()) == (0.5, 0.0)


def test_a_correction_of_sequences_needs_rows() -> None:
    with pytest.raises(ValueError, match="sequence_mask needs to know the row of each token"):
        importance_weights(logs(1.0), logs(1.0), correction=Correction.SEQUENCE_MASK)


def test_importance_weights_make_samples_of_another_policy_count_as_the_own() -> None:
    policy, sampler = torch.tensor([0.7, 0.3]).double(), torch.tensor([0.4, 0.6]).double()
    reward = torch.tensor([2.0, -1.0]).double()
    weights = importance_weights(policy.log(), sampler.log(), cap=10.0)
    assert float((sampler * weights * reward).sum()) == pytest.approx(float((policy * reward).sum()))


def test_bad_rows_that_the_policy_has_left_are_dropped_and_good_ones_kept() -> None:
    logp_N, sampler_N = logs(0.1, 0.1, 0.1), logs(0.2, 0.2, 0.11)
    bad, good = torch.full((3,), -1.0), torch.ones(3)
    assert off_policy_mask(logp_N, sampler_N, bad, ROWS, threshold=0.5).tolist() == [0.0, 0.0, 1.0]
    assert off_policy_mask(logp_N, sampler_N, good, ROWS, threshold=0.5).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("divergence", "expected"), [(0.5, 0.5), (2.0, 2.0), (1.0, 1.0), (0.67, 1.0), (1.49, 1.0)]
)
def test_a_coefficient_is_halved_below_its_band_and_doubled_above(divergence: float, expected: float) -> None:
    assert adapt_coefficient(1.0, divergence=divergence, target=1.0) == expected


@pytest.mark.parametrize(("divergence", "expected"), [(0.29, False), (0.3, False), (0.31, True)])
def test_a_divergence_exceeds_its_band_above_one_and_a_half_targets(
    divergence: float, expected: bool
) -> None:
    assert exceeds_band(divergence, target=0.2) is expected


def test_a_target_of_0_is_refused() -> None:
    with pytest.raises(ValueError, match="must be above 0, got 0"):
        adapt_coefficient(1.0, divergence=0.1, target=0.0)
