"""The natural gradient inside a trust region (TRPO, Schulman et al. 2015, section 6 and appendix C).

The step solves F x = g by conjugate gradient, with g the gradient of the loss and F the Fisher matrix of the policy over
the tokens of a batch, and is then shortened until the divergence is within its bound and the loss has fallen. F is never
built: a product with it is the derivative of a derivative of KL(old || policy), at a cost of two gradients. All
parameters that require a gradient take part: those of a small model, or the adapters of a large one.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel

from milepost.training.batch import MicroBatch
from milepost.training.policy import score_logits

ITERATIONS = 10
"""Most iterations of the conjugate gradient."""
DAMPING = 1e-3
"""Added to the Fisher matrix's diagonal, which is all but singular."""
FISHER_TOKENS = 1024
"""About as many completion tokens give the Fisher matrix; the divergence is measured over all (appendix C.2)."""
HALVINGS = 10
"""Most times that a step is halved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What became of a step."""

    fraction: float
    """Part of the longest step that was taken: 1, 1/2, 1/4, ...; 0 when none was good."""
    divergence: float
    """KL(old || policy) after it, in nats a token."""
    loss_before: float
    loss_after: float


def solve(
    multiply: Callable[[Tensor], Tensor],
    target_P: Tensor,
    *,
    iterations: int = ITERATIONS,
    tolerance: float = 1e-10,
) -> Tensor:
    """Solve F x = target by conjugate gradient from 0, shape (P,).

    Exact after as many iterations as F has different eigenvalues.

    Args:
        multiply: multiplies a vector by F, which is symmetric and positive definite.
        target_P: the right side.
        iterations: the most.
        tolerance: squared residual, relative to the target's, at which to stop.
    """
    found_P = torch.zeros_like(target_P)
    residual_P, direction_P = target_P.clone(), target_P.clone()
    size = float(residual_P @ residual_P)
    enough = tolerance * size
    for _ in range(iterations):
        if size <= enough:
            break
        product_P = multiply(direction_P)
        length = size / float(direction_P @ product_P)
        found_P += length * direction_P
        residual_P -= length * product_P
        before, size = size, float(residual_P @ residual_P)
        direction_P = residual_P + size / before * direction_P
    return found_P


def take_step(
    parameters: Sequence[Tensor],
    gradient_P: Tensor,
    multiply: Callable[[Tensor], Tensor],
    measure: Callable[[], tuple[float, float]],
    *,
    limit: float,
) -> Move:
    """Move parameters along the natural gradient, as far as the limit lets them.

    The longest step is sqrt(2 limit / x'Fx) x, where the divergence's quadratic form meets the limit. It is halved until
    the measured divergence is within the limit and the loss is lower; if it never is, the parameters stay.

    Args:
        parameters: changed in place.
        gradient_P: gradient of the loss, all parameters in a row.
        multiply: multiplies a vector by the Fisher matrix.
        measure: gives loss and divergence of the parameters as they are.
        limit: largest divergence.
    """

    def damped(vector_P: Tensor) -> Tensor:
        return multiply(vector_P) + DAMPING * vector_P

    loss_before, _ = measure()
    stay = Move(fraction=0.0, divergence=0.0, loss_before=loss_before, loss_after=loss_before)
    direction_P = solve(damped, gradient_P)
    curvature = float(direction_P @ damped(direction_P))
    if not curvature > 0.0:
        return stay  # no gradient, no step
    start_P = join(parameters)
    step_P = math.sqrt(2.0 * limit / curvature) * direction_P
    for halving in range(HALVINGS):
        fraction = 0.5**halving
        put(parameters, start_P - fraction * step_P)
        loss, divergence = measure()
        if loss < loss_before and divergence <= limit:
            return Move(fraction=fraction, divergence=divergence, loss_before=loss_before, loss_after=loss)
    put(parameters, start_P)
    return stay


def join(tensors: Sequence[Tensor]) -> Tensor:
    """Copy tensors into one row, shape (P,)."""
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


@torch.no_grad()
def put(parameters: Sequence[Tensor], values_P: Tensor) -> None:
    """Copy a row of values back into parameters."""
    at = 0
    for parameter in parameters:
        parameter.copy_(values_P[at : at + parameter.numel()].view_as(parameter))
        at += parameter.numel()


class Region:
    """The neighbourhood of a policy: its distributions over the tokens of a batch, and their Fisher matrix."""

    def __init__(
        self,
        model: PreTrainedModel,
        batches: Sequence[MicroBatch],
        parameters: Sequence[Tensor],
        *,
        temperature: float,
    ) -> None:
        """Remember the policy as it is; takes U x V numbers for U different tokens and V words."""
        self._model = model
        self._batches = batches
        self._parameters = list(parameters)
        self._temperature = temperature
        self._tokens = sum(len(batch.token_N) for batch in batches)
        self.curved = batches[:: max(1, self._tokens // FISHER_TOKENS)]
        """The micro-batches that give the Fisher matrix: all, or every so many of them."""
        with torch.no_grad():
            self._old = [self._score(batch) for batch in batches]

    def _score(self, batch: MicroBatch) -> Tensor:
        """Give the log-probabilities of all words, shape (U, V); this attention can be derived twice."""
        with sdpa_kernel(SDPBackend.MATH):
            return score_logits(self._model, batch, temperature=self._temperature).log_softmax(dim=-1)

    def _weigh(self, batch: MicroBatch, tokens: int) -> Tensor:
        """Give the share of each different token in so many tokens, shape (U, 1)."""
        counts_U = torch.bincount(batch.token_N, minlength=len(batch.target_U))
        return counts_U[:, None] / tokens

    @torch.no_grad()
    def measure_divergence(self) -> float:
        """Give KL(old || policy), exact over all words, the mean over tokens."""
        total = 0.0
        for batch, old_UV in zip(self._batches, self._old, strict=True):
            kl_UV = old_UV.exp() * (old_UV - self._score(batch))
            total += float((self._weigh(batch, self._tokens) * kl_UV).sum())
        return total

    def multiply(self, vector_P: Tensor) -> Tensor:
        """Multiply a vector by the Fisher matrix of the policy as it is, shape (P,)."""
        parts = vector_P.split([parameter.numel() for parameter in self._parameters])  # type: ignore[no-untyped-call]
        total_P = torch.zeros_like(vector_P)
        tokens = sum(len(batch.token_N) for batch in self.curved)
        for batch in self.curved:
            logp_UV = self._score(batch)
            cross = -(self._weigh(batch, tokens) * logp_UV.exp().detach() * logp_UV).sum()
            slopes = torch.autograd.grad(cross, self._parameters, create_graph=True, materialize_grads=True)
            along = torch.stack(
                [(slope.reshape(-1) * part).sum() for slope, part in zip(slopes, parts, strict=True)]
            ).sum()
            total_P += join(torch.autograd.grad(along, self._parameters, materialize_grads=True))
        return total_P
