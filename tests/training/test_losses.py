import math

import pytest
import torch
from torch import Tensor

from milepost.training.losses import KlKind, importance_weights, kl_divergence, policy_loss


def logs(*ratios: float) -> Tensor:
    return torch.tensor([math.log(r) for r in ratios], dtype=torch.float64)


def test_a_good_tokens_ratio_is_bounded_above_and_a_bad_ones_below() -> None:
    logp_N = logs(1.5, 0.5, 1.5, 0.5, 1.0).requires_grad_()
    advantage_N = torch.tensor([2.0, 2.0, -2.0, -2.0, 1.0], dtype=torch.float64)
    loss = policy_loss(logp_N, torch.zeros(5, dtype=torch.float64), advantage_N)
    assert loss.loss_N.tolist() == pytest.approx([-2.56, -1.0, 3.0, 1.6, -1.0])
    assert loss.clipped_high_N.tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert loss.clipped_low_N.tolist() == [0.0, 0.0, 0.0, 1.0, 0.0]
    loss.loss_N.sum().backward()  # type: ignore[no-untyped-call]
    assert logp_N.grad is not None
    assert logp_N.grad.tolist() == pytest.approx([0.0, -1.0, 3.0, 0.0, -1.0])


def test_dual_clip_bounds_the_loss_of_bad_tokens_only() -> None:
    loss = policy_loss(logs(5.0, 5.0), torch.zeros(2), torch.tensor([-1.0, 1.0]), dual_clip=3.0)
    assert loss.loss_N.tolist() == pytest.approx([3.0, -1.28])


def test_a_dual_clip_of_one_or_less_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must exceed 1, got 0\.5"):
        policy_loss(torch.zeros(1), torch.zeros(1), torch.ones(1), dual_clip=0.5)


def test_the_ratio_is_one_and_nothing_is_clipped_on_the_first_step() -> None:
    logp_N = torch.tensor([-1.0, -3.0])
    loss = policy_loss(logp_N, logp_N, torch.tensor([1.0, -1.0]))
    assert loss.ratio_N.tolist() == [1.0, 1.0]
    assert loss.loss_N.tolist() == [-1.0, 1.0]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(KlKind.K1, math.log(2)), (KlKind.K2, 0.5 * math.log(2) ** 2), (KlKind.K3, 0.5 + math.log(2) - 1)],
)
def test_kl_estimators_of_a_token_twice_as_likely_as_under_the_reference(
    kind: KlKind, expected: float
) -> None:
    assert float(kl_divergence(logs(0.5), logs(0.25), kind)) == pytest.approx(expected)


def test_k1_and_k3_average_to_the_exact_divergence() -> None:
    p, q = torch.tensor([0.7, 0.3]).double(), torch.tensor([0.4, 0.6]).double()
    exact = float((p * (p.log() - q.log())).sum())
    for kind in (KlKind.K1, KlKind.K3):
        assert float((p * kl_divergence(p.log(), q.log(), kind)).sum()) == pytest.approx(exact)


def test_importance_weights_are_truncated_and_carry_no_gradient() -> None:
    old_N = logs(0.5, 0.2, 0.9).requires_grad_()
    weights_N = importance_weights(old_N, logs(0.25, 0.4, 0.1), cap=3.0)
    assert weights_N.tolist() == pytest.approx([2.0, 0.5, 3.0])
    assert not weights_N.requires_grad
