import math

import pytest
import torch
from torch import Tensor

from milepost.training.algorithm import KlKind, Loss, Ratio
from milepost.training.losses import kl_divergence, policy_loss, ratios, value_loss


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


ROW_N = torch.tensor([0, 0, 1])


def gradient(loss_N: Tensor, logp_N: Tensor, weight_N: Tensor | None = None) -> Tensor:
    total = loss_N.sum() if weight_N is None else (loss_N * weight_N).sum()
    (found,) = torch.autograd.grad(total, logp_N)
    return found


@pytest.mark.parametrize(
    ("advantage", "expected"), [(1.0, [1.0, 1.0, 1.0, 0.0]), (-1.0, [0.0, -1.0, -1.0, -1.0])]
)
def test_a_bad_action_that_grew_likelier_is_never_clipped(advantage: float, expected: list[float]) -> None:
    ratio_N = torch.tensor([0.5, 0.9, 1.1, 1.5], dtype=torch.float64)
    logp_N = ratio_N.log().requires_grad_()
    advantage_N = torch.full((4,), advantage, dtype=torch.float64)
    loss = policy_loss(logp_N, torch.zeros(4).double(), advantage_N, clip_high=0.2)
    assert (-gradient(loss.loss_N, logp_N) / ratio_N).tolist() == pytest.approx(expected)


def test_clip_higher_frees_good_tokens_only() -> None:
    logp_N = logs(1.25, 0.75).requires_grad_()
    for high, free in ((0.2, 0.0), (0.28, 1.25)):
        loss = policy_loss(
            logp_N, torch.zeros(2).double(), torch.tensor([1.0, -1.0]).double(), clip_high=high
        )
        assert gradient(loss.loss_N, logp_N).tolist() == pytest.approx([-free, 0.0])


def test_delta_bounds_the_side_that_ppo_leaves_open() -> None:
    loss = policy_loss(logs(5.0, 5.0), torch.zeros(2), torch.tensor([-1.0, 1.0]), delta=2.0)
    assert loss.loss_N.tolist() == pytest.approx([2.0, -1.28])
    with pytest.raises(ValueError, match=r"delta must exceed 1 \+ clip_high, which is 1\.28, got 1\.1"):
        policy_loss(torch.zeros(1), torch.zeros(1), torch.ones(1), delta=1.1)


@pytest.mark.parametrize("loss", list(Loss))
def test_on_the_first_step_every_loss_has_the_direction_of_the_policy_gradient(loss: Loss) -> None:
    logp_N = logs(0.2, 0.5, 0.9).requires_grad_()
    advantage_N = torch.tensor([1.0, 1.0, -2.0], dtype=torch.float64)
    found = policy_loss(logp_N, logp_N.detach(), advantage_N, loss=loss, row_N=ROW_N, clip_high=1.5)
    # sapo's gate has slope 1 / 4 x 4 at ratio 1, cispo's weight is 1, vespo's too
    assert gradient(found.loss_N, logp_N).tolist() == pytest.approx([-1.0, -1.0, 2.0], abs=1e-6)


def test_cispo_caps_the_weight_and_keeps_the_gradient() -> None:
    logp_N = logs(5.0).requires_grad_()
    found = policy_loss(
        logp_N, torch.zeros(1).double(), torch.ones(1).double(), loss=Loss.CISPO, clip_high=2.0
    )
    assert gradient(found.loss_N, logp_N).tolist() == [-2.0]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Ratio.TOKEN, [2.0, 0.5, 3.0]),
        (Ratio.SEQUENCE, [1.0, 1.0, 3.0]),
        (Ratio.SEQUENCE_TOKEN, [1.0, 1.0, 3.0]),
        (Ratio.TRAJECTORY, [1.0, 1.0, 3.0]),
    ],
)
def test_a_ratio_is_of_a_token_or_of_its_row(kind: Ratio, expected: list[float]) -> None:
    assert ratios(logs(2.0, 0.5, 3.0), logs(1.0, 1.0, 1.0), kind, ROW_N).tolist() == pytest.approx(expected)


def test_a_product_over_a_row_is_not_its_mean() -> None:
    both = logs(2.0, 2.0), logs(1.0, 1.0)
    row_N = torch.tensor([0, 0])
    assert ratios(*both, Ratio.TRAJECTORY, row_N).tolist() == pytest.approx([4.0, 4.0])
    assert ratios(*both, Ratio.SEQUENCE, row_N).tolist() == pytest.approx([2.0, 2.0])


def test_a_ratio_of_rows_needs_rows() -> None:
    with pytest.raises(ValueError, match="the ratio sequence is of a row"):
        ratios(torch.zeros(1), torch.zeros(1), Ratio.SEQUENCE)
    with pytest.raises(ValueError, match="vespo weighs whole rows"):
        policy_loss(torch.zeros(1), torch.zeros(1), torch.ones(1), loss=Loss.VESPO)


@pytest.mark.parametrize(("advantages", "same"), [((1.0, 1.0), True), ((1.0, -0.5), False)])
def test_gspos_two_forms_agree_only_where_a_row_has_one_advantage(
    advantages: tuple[float, float], same: bool
) -> None:
    logp_N, row_N = logs(1.1, 0.95).requires_grad_(), torch.tensor([0, 0])
    advantage_N = torch.tensor(advantages, dtype=torch.float64)
    found = [
        policy_loss(logp_N, torch.zeros(2).double(), advantage_N, ratio=kind, row_N=row_N).loss_N
        for kind in (Ratio.SEQUENCE, Ratio.SEQUENCE_TOKEN)
    ]
    assert found[0].tolist() == pytest.approx(found[1].tolist())
    first, second = (gradient(loss_N, logp_N) for loss_N in found)
    assert torch.allclose(first, second) is same


def test_k3_is_never_negative_and_0_only_for_equal_policies() -> None:
    ratio_N = torch.linspace(0.05, 5.0, 100, dtype=torch.float64)
    kl_N = kl_divergence(torch.zeros(100).double(), ratio_N.log())
    assert float(kl_N.min()) >= 0.0
    assert float(kl_divergence(torch.zeros(1), torch.zeros(1))) == 0.0
    assert float(kl_divergence(logs(0.5), logs(0.9), KlKind.K1)) < 0.0


def softmax_policy() -> tuple[Tensor, Tensor]:
    logits_A = torch.tensor([0.3, -0.4, 1.0], dtype=torch.float64).requires_grad_()
    return logits_A, torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log()


def exact_gradient(kind: KlKind | None, *, forward: bool = False) -> Tensor:
    """The gradient of E[estimator] with the sample held fixed; of the divergence itself for None."""
    logits_A, reference_A = softmax_policy()
    logp_A = logits_A.log_softmax(0)
    if kind is None and forward:
        value = (reference_A.exp() * (reference_A - logp_A)).sum()
    elif kind is None:
        value = (logp_A.exp() * (logp_A - reference_A)).sum()
    else:
        value = (logp_A.exp().detach() * kl_divergence(logp_A, reference_A, kind)).sum()
    (found,) = torch.autograd.grad(value, logits_A)
    return found


def test_in_the_loss_k2_has_the_gradient_of_the_divergence_k3_that_of_its_reverse_and_k1_none() -> None:
    assert torch.allclose(exact_gradient(KlKind.K2), exact_gradient(None))
    assert torch.allclose(exact_gradient(KlKind.K3), exact_gradient(None, forward=True))
    assert torch.allclose(exact_gradient(KlKind.K1), torch.zeros(3).double(), atol=1e-12)
    assert not torch.allclose(exact_gradient(None), exact_gradient(None, forward=True), atol=1e-2)


def test_in_the_reward_k1_has_the_gradient_of_the_divergence() -> None:
    logits_A, reference_A = softmax_policy()
    logp_A = logits_A.log_softmax(0)
    price_A = kl_divergence(logp_A, reference_A, KlKind.K1).detach()
    (found,) = torch.autograd.grad((logp_A.exp().detach() * price_A * logp_A).sum(), logits_A)
    assert torch.allclose(found, exact_gradient(None))


def test_k3_is_right_for_samples_of_an_older_policy_only_with_the_ratio() -> None:
    old_A = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)
    logits_A, reference_A = softmax_policy()
    logp_A = logits_A.detach().log_softmax(0)
    exact = float((logp_A.exp() * (logp_A - reference_A)).sum())
    k3_A = kl_divergence(logp_A, reference_A)
    assert float((old_A * (logp_A.exp() / old_A) * k3_A).sum()) == pytest.approx(exact)
    assert abs(float((old_A * k3_A).sum()) - exact) > 0.01


def test_a_divergence_summed_over_tokens_is_that_of_the_sequence() -> None:
    policy_N, reference_N = logs(0.5, 0.2, 0.7), logs(0.4, 0.3, 0.9)
    whole = policy_N.sum() - reference_N.sum()
    assert float(kl_divergence(policy_N, reference_N, KlKind.K1).sum()) == pytest.approx(float(whole))


def test_two_rollouts_of_grpo_are_dpo_at_its_start_with_the_ratio_of_the_whole_row() -> None:
    """Lengths 2 and 3, advantages 1 and -1, policy = old = reference, beta = 1."""
    start_N, row_N = logs(0.5, 0.2, 0.7, 0.4, 0.9), torch.tensor([0, 0, 1, 1, 1])
    logp_N = start_N.clone().requires_grad_()
    advantage_N = torch.tensor([1.0, 1.0, -1.0, -1.0, -1.0], dtype=torch.float64)
    drift_N = logp_N - start_N
    dpo = -torch.nn.functional.logsigmoid(drift_N[:2].sum() - drift_N[2:].sum())
    (expected,) = torch.autograd.grad(dpo, logp_N)
    lengths_N = torch.tensor([2.0, 2.0, 3.0, 3.0, 3.0], dtype=torch.float64)

    def grpo(ratio: Ratio, weight_N: Tensor) -> Tensor:
        loss = policy_loss(logp_N, start_N, advantage_N, ratio=ratio, row_N=row_N)
        return gradient(loss.loss_N, logp_N, weight_N)

    # one ratio for a row, rows averaged: each token of a row repeats its loss, so a row weighs 1 / length
    assert torch.allclose(grpo(Ratio.TRAJECTORY, 1 / (2 * lengths_N)), expected)
    # token ratios: equal where tokens are summed, another direction where they are averaged in a row
    assert torch.allclose(grpo(Ratio.TOKEN, torch.full((5,), 0.5).double()), expected)
    averaged = grpo(Ratio.TOKEN, 1 / (2 * lengths_N))
    assert float(torch.cosine_similarity(averaged, expected, dim=0)) < 0.99
    by_tokens = grpo(Ratio.TOKEN, torch.full((5,), 1 / 5).double())
    assert torch.allclose(by_tokens * 5 / 2, expected)


def test_a_value_gains_nothing_from_moving_past_its_clip() -> None:
    value_N, return_N = torch.tensor([0.9, 0.1], requires_grad=True), torch.ones(2)
    old_N = torch.zeros(2)
    assert value_loss(value_N, return_N).tolist() == pytest.approx([0.005, 0.405])
    clipped_N = value_loss(value_N, return_N, old_N, clip=0.2)
    assert clipped_N.tolist() == pytest.approx([0.32, 0.405])
    assert gradient(clipped_N, value_N).tolist() == pytest.approx([0.0, -0.9])
    with pytest.raises(ValueError, match="needs the old values"):
        value_loss(value_N, return_N, clip=0.2)


def test_squared_error_ends_at_the_mean_return() -> None:
    value = torch.zeros(1, requires_grad=True)
    returns_N = torch.tensor([0.0, 1.0, 0.5, 2.5])
    optimizer = torch.optim.SGD([value], lr=0.5)
    for _ in range(60):
        optimizer.zero_grad()
        value_loss(value.expand(4), returns_N).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert value.item() == pytest.approx(1.0, abs=1e-5)
