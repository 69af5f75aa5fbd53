from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel

from milepost.training.algorithm import Loss, Step
from milepost.training.batch import MicroBatch, Row, cut_batch
from milepost.training.learner import Learner
from milepost.training.objective import Objective
from milepost.training.policy import score_logits
from milepost.training.trust_region import DAMPING, Region, join, put, solve, take_step, thin_rows
from tests.training.trajectories import make_model

MATRIX = torch.tensor([[4.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 2.0]], dtype=torch.float64)
TARGET = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)


def make_rows(advantages: Sequence[float] = (1.0, -0.5)) -> list[Row]:
    rng = np.random.default_rng(3)
    return [
        Row(
            prompt_ids=(2, 3 + i % 2),
            completion_ids=tuple(rng.integers(4, 20, size=2 + i).tolist()),
            sampler_logps=(0.0,) * (2 + i),
            advantage=value,
            weight=0.25,
        )
        for i, value in enumerate(advantages)
    ]


def test_conjugate_gradient_is_exact_after_as_many_steps_as_there_are_unknowns() -> None:
    calls: list[Tensor] = []

    def multiply(vector: Tensor) -> Tensor:
        calls.append(vector)
        return MATRIX @ vector

    found, image = solve(multiply, TARGET, iterations=3, tolerance=0.0)
    torch.testing.assert_close(found, torch.linalg.solve(MATRIX, TARGET), rtol=0, atol=1e-12)
    torch.testing.assert_close(image, TARGET, rtol=0, atol=1e-12)
    assert len(calls) == 3


def test_an_unfinished_solution_comes_with_its_own_product() -> None:
    found, image = solve(lambda vector: MATRIX @ vector, TARGET, iterations=1)
    torch.testing.assert_close(image, MATRIX @ found, rtol=0, atol=1e-12)
    assert not torch.allclose(image, TARGET, rtol=0, atol=0.1)


def test_conjugate_gradient_of_nothing_is_nothing() -> None:
    found, image = solve(lambda vector: MATRIX @ vector, torch.zeros(3, dtype=torch.float64))
    assert not found.any()
    assert not image.any()


def test_the_longest_step_meets_the_limit_of_a_quadratic_divergence() -> None:
    point = torch.tensor([1.0, 2.0], dtype=torch.float64)
    start = point.clone()
    fisher = torch.diag(torch.tensor([2.0, 8.0], dtype=torch.float64))
    gradient = torch.tensor([2.0, 8.0], dtype=torch.float64)

    def measure() -> tuple[float, float]:
        moved = point - start
        return float(gradient @ point), float(0.5 * moved @ fisher @ moved)

    move = take_step([point], gradient, lambda vector: fisher @ vector, measure, limit=0.05)
    # (F + damping)^-1 g is all but (1, 1): both move alike though the gradient of the second is four times as large
    direction = torch.tensor([2.0 / (2.0 + DAMPING), 8.0 / (8.0 + DAMPING)], dtype=torch.float64)
    length = (2 * 0.05 / float(gradient @ direction)) ** 0.5
    torch.testing.assert_close(start - point, length * direction, rtol=1e-9, atol=0)
    assert move.fraction == 1.0
    damped = 0.5 * DAMPING * length**2 * float(direction @ direction)
    assert move.divergence == pytest.approx(0.05 - damped, rel=1e-9)  # damping keeps a step within its limit
    assert move.loss_after < move.loss_before


@pytest.mark.parametrize(("bound", "fraction"), [(1.0, 1.0), (0.9, 0.5), (0.3, 0.25), (1e-9, 0.0)])
def test_a_step_is_halved_until_it_is_within_the_limit_and_else_not_taken(
    bound: float, fraction: float
) -> None:
    point = torch.zeros(1, dtype=torch.float64)
    longest = (2 * 0.5 / (1 + DAMPING)) ** 0.5

    def measure() -> tuple[float, float]:  # a divergence that grows linearly, unlike its quadratic form
        return float(point), abs(float(point)) / longest * 0.5 / bound

    move = take_step([point], torch.ones(1, dtype=torch.float64), lambda v: v, measure, limit=0.5)
    assert move.fraction == fraction
    assert float(point) == pytest.approx(-fraction * longest)


def test_a_step_that_does_not_improve_is_not_taken() -> None:
    point = torch.zeros(1)
    move = take_step([point], torch.ones(1), lambda v: v, lambda: (abs(float(point)), 0.0), limit=0.5)
    assert (move.fraction, float(point)) == (0.0, 0.0)


def test_without_a_gradient_nothing_moves() -> None:
    point = torch.ones(2)
    move = take_step([point], torch.zeros(2), lambda v: v, lambda: (1.0, 0.0), limit=0.5)
    assert (move.fraction, point.tolist()) == (0.0, [1.0, 1.0])


def test_parameters_survive_being_laid_out_in_a_row() -> None:
    tensors = [torch.arange(6.0).view(2, 3), torch.tensor([7.0])]
    row = join(tensors)
    assert row.tolist() == [0, 1, 2, 3, 4, 5, 7]
    put(tensors, row * 2)
    assert [tensor.tolist() for tensor in tensors] == [[[0, 2, 4], [6, 8, 10]], [14]]


def test_a_product_with_the_fisher_matrix_is_that_of_the_matrix_itself() -> None:
    """F = sum over tokens of J'(diag p - p p')J / N, with J the derivative of the logits."""
    model = make_model(vocabulary=20)
    name, parameter = next((n, p) for n, p in model.named_parameters() if "q_norm" in n)
    batches = list(cut_batch(make_rows(), token_budget=4, share_prompts=True))
    assert len(batches) > 1
    tokens = sum(len(batch.token_N) for batch in batches)

    expected = torch.zeros(parameter.numel(), parameter.numel())
    for batch in batches:
        logits = partial(compute_logits, model, batch, name)
        slope_UVP = torch.autograd.functional.jacobian(logits, parameter.detach())  # type: ignore[no-untyped-call]
        slope_NVP = slope_UVP[batch.token_N]
        p_NV = logits(parameter.detach())[batch.token_N].softmax(dim=-1)
        middle_NVV = torch.diag_embed(p_NV) - p_NV[:, :, None] * p_NV[:, None, :]
        expected += torch.einsum("nvp,nvw,nwq->pq", slope_NVP, middle_NVV, slope_NVP).detach() / tokens

    region = Region(model, batches, [parameter], temperature=1.0)
    found = torch.stack([region.multiply(one) for one in torch.eye(parameter.numel())])
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-7)
    assert float(expected.abs().max()) > 1e-6


def test_a_product_is_the_second_derivative_of_the_divergence() -> None:
    """The product of before: the derivative of (the derivative of KL(old || policy)) v, over all parameters."""
    model = make_model(vocabulary=20)
    parameters = [p for p in model.parameters() if p.requires_grad]
    batches = list(cut_batch(make_rows(), token_budget=4, share_prompts=True))
    tokens = sum(len(batch.token_N) for batch in batches)
    vector = torch.randn(sum(p.numel() for p in parameters), generator=torch.Generator().manual_seed(0))
    cut = torch.split(vector, [p.numel() for p in parameters])
    parts = [part.view_as(p) for part, p in zip(cut, parameters, strict=True)]
    expected = torch.zeros_like(vector)
    for batch in batches:
        with sdpa_kernel(SDPBackend.MATH):
            logp_NV = score_logits(model, batch, temperature=0.7).log_softmax(dim=-1)[batch.token_N]
        cross = -(logp_NV.exp().detach() * logp_NV).sum() / tokens
        slopes = torch.autograd.grad(cross, parameters, create_graph=True)
        along = torch.stack([(slope * part).sum() for slope, part in zip(slopes, parts, strict=True)]).sum()
        expected += join(torch.autograd.grad(along, parameters))
    found = Region(model, batches, parameters, temperature=0.7).multiply(vector)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()))
    assert float(expected.abs().max()) > 1e-3


def test_a_large_batch_gives_the_fisher_matrix_of_a_share_of_its_rows() -> None:
    row = replace(make_rows()[0], completion_ids=(4,) * 64, sampler_logps=(0.0,) * 64)
    few = [replace(row, prompt_ids=(2, 3 + i)) for i in range(25)]
    assert list(thin_rows(few)) == few  # 1,600 tokens, of which 1,024 are wanted
    some = [replace(row, prompt_ids=(2, 3 + i)) for i in range(96)]
    assert list(thin_rows(some)) == some[::6]  # 1,024 of 6,144 tokens
    many = [replace(row, prompt_ids=(2, 3 + i)) for i in range(200)]
    assert list(thin_rows(many)) == many[::10]  # a tenth of 12,800


def test_the_divergence_is_measured_over_all_and_the_matrix_is_that_of_what_curves() -> None:
    model = make_model(vocabulary=20)
    parameters = list(model.parameters())
    batches = list(cut_batch(make_rows(), token_budget=4, share_prompts=True))
    share = Region(model, batches, parameters, temperature=1.0, curved=batches[:1])
    alone = Region(model, batches[:1], parameters, temperature=1.0)
    whole = Region(model, batches, parameters, temperature=1.0)
    vector = torch.ones(sum(p.numel() for p in parameters))
    assert torch.equal(share.multiply(vector), alone.multiply(vector))
    assert not torch.allclose(share.multiply(vector), whole.multiply(vector))
    put(parameters, join(parameters) + 0.1)
    assert share.measure_divergence() == whole.measure_divergence() != alone.measure_divergence()


class Scored(torch.nn.Module):
    """A policy's logits at the tokens of a batch, as a module whose parameters can be replaced."""

    def __init__(self, model: PreTrainedModel, batch: MicroBatch) -> None:
        super().__init__()
        self.model = model
        self.batch = batch

    def forward(self) -> Tensor:
        return score_logits(self.model, self.batch)


def compute_logits(model: PreTrainedModel, batch: MicroBatch, name: str, value: Tensor) -> Tensor:
    found: Tensor = torch.func.functional_call(Scored(model, batch), {f"model.{name}": value}, ())
    return found


TRUST = Objective(loss=Loss.SURROGATE, step=Step.TRUST_REGION, step_kl=0.01, importance_cap=0.0)


def test_a_learner_stays_in_its_trust_region_and_lowers_its_loss() -> None:
    model = make_model(vocabulary=20)
    before = join(list(model.parameters()))
    facts = Learner(model, TRUST).update(make_rows(), np.random.default_rng(0))
    assert 0.001 < facts["kl_step"] <= 0.01
    assert facts["improvement"] > 0.0
    assert facts["step_fraction"] in {0.5**k for k in range(10)}
    assert not torch.equal(before, join(list(model.parameters())))


def test_frozen_parameters_take_no_part() -> None:
    model = make_model(vocabulary=20)
    names = [name for name, _ in model.named_parameters()]
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("mlp" in name)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    facts = Learner(model, TRUST).update(make_rows(), np.random.default_rng(0))
    moved = {name for name in names if not torch.equal(before[name], model.state_dict()[name])}
    assert moved == {name for name in names if "mlp" in name}
    assert 0.0 < facts["kl_step"] <= 0.01


def test_a_wider_region_lets_the_policy_go_further() -> None:
    reached = []
    for limit in (0.001, 0.05):
        learner = Learner(make_model(vocabulary=20), replace(TRUST, step_kl=limit))
        reached.append(learner.update(make_rows(), np.random.default_rng(0))["kl_step"])
    assert reached[0] <= 0.001 < reached[1] <= 0.05
