"""The natural gradient inside a trust region (TRPO, Schulman et al. 2015, section 6 and appendix C).

The step solves F x = g by conjugate gradient, with g the gradient of the loss and F the Fisher matrix of the policy over
the tokens of a batch, and is then shortened until the divergence is within its bound and the loss has fallen. F is never
built: with J the derivative of the logits by the parameters, F v = J' (diag p - p p') J v, where J v is one forward pass
that carries derivatives along, and J' one backward pass. All parameters that require a gradient take part: those of a
small model, or the adapters of a large one.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel

from milepost.training.batch import MicroBatch, Row
from milepost.training.policy import score_logits

ITERATIONS = 10
"""Most iterations of the conjugate gradient."""
DAMPING = 0.1
"""Added to the Fisher matrix's diagonal, which is all but singular: it has a million directions and knows some thousand
tokens. Too little of it, and the step runs along what those few tokens do not see, and has to be halved again and again."""
FISHER_TOKENS = 1024
"""At least as many completion tokens give the Fisher matrix, where there are as many; see `thin_rows`."""
FISHER_SHARE = 0.1
"""Share of the rows of a large batch that give it; the divergence is measured over all (appendix C.2)."""
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
) -> tuple[Tensor, Tensor]:
    """Solve F x = target by conjugate gradient from 0; gives x and F x, both of shape (P,).

    Exact after as many iterations as F has different eigenvalues. F x is the sum of the products on the way.

    Args:
        multiply: multiplies a vector by F, which is symmetric and positive definite.
        target_P: the right side.
        iterations: the most.
        tolerance: squared residual, relative to the target's, at which to stop.
    """
    found_P, image_P = torch.zeros_like(target_P), torch.zeros_like(target_P)
    residual_P, direction_P = target_P.clone(), target_P.clone()
    size = float(residual_P @ residual_P)
    enough = tolerance * size
    for _ in range(iterations):
        if size <= enough:
            break
        product_P = multiply(direction_P)
        length = size / float(direction_P @ product_P)
        found_P += length * direction_P
        image_P += length * product_P
        residual_P -= length * product_P
        before, size = size, float(residual_P @ residual_P)
        direction_P = residual_P + size / before * direction_P
    return found_P, image_P


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
    direction_P, image_P = solve(damped, gradient_P)
    curvature = float(direction_P @ image_P)
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


def thin_rows(rows: Sequence[Row]) -> Sequence[Row]:
    """Take every so many rows: about a tenth, or more if that has fewer than `FISHER_TOKENS` completion tokens."""
    tokens = sum(len(row.completion_ids) for row in rows)
    wanted = max(FISHER_TOKENS, math.ceil(FISHER_SHARE * tokens))
    return rows[:: max(1, tokens // wanted)]


class _Logits(torch.nn.Module):
    """The logits at the tokens of a batch, as a module whose parameters can be replaced."""

    def __init__(self, model: PreTrainedModel, batch: MicroBatch, temperature: float) -> None:
        super().__init__()
        self.model = model
        self._batch = batch
        self._temperature = temperature

    def forward(self) -> Tensor:
        return score_logits(self.model, self._batch, temperature=self._temperature)


class Region:
    """The neighbourhood of a policy: its distributions over the tokens of a batch, and their Fisher matrix."""

    def __init__(
        self,
        model: PreTrainedModel,
        batches: Sequence[MicroBatch],
        parameters: Sequence[Tensor],
        *,
        temperature: float,
        curved: Sequence[MicroBatch] | None = None,
    ) -> None:
        """Remember the policy as it is; takes U x V numbers for U different tokens and V words.

        Args:
            model: the policy.
            batches: where its divergence is measured.
            parameters: those of the model that move.
            temperature: the sampling temperature.
            curved: the micro-batches that give the Fisher matrix; all if not given.
        """
        self._model = model
        self._batches = batches
        self._parameters = list(parameters)
        self._temperature = temperature
        self._tokens = sum(len(batch.token_N) for batch in batches)
        self._curved = batches if curved is None else curved
        own = {id(parameter) for parameter in parameters}
        self._names = [name for name, parameter in model.named_parameters() if id(parameter) in own]
        with torch.no_grad():
            self._old = [self._score(batch) for batch in batches]

    def _score(self, batch: MicroBatch) -> Tensor:
        """Give the log-probabilities of all words, shape (U, V)."""
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
        total_P = torch.zeros_like(vector_P)
        tokens = sum(len(batch.token_N) for batch in self._curved)
        for batch in self._curved:
            slope_UV = self._derive(batch, vector_P)
            logits_UV = score_logits(self._model, batch, temperature=self._temperature)
            p_UV = logits_UV.detach().softmax(dim=-1)
            mean_U1 = (p_UV * slope_UV).sum(dim=-1, keepdim=True)
            pulled_UV = self._weigh(batch, tokens) * p_UV * (slope_UV - mean_U1)
            total_P += join(
                torch.autograd.grad(logits_UV, self._parameters, pulled_UV, materialize_grads=True)
            )
        return total_P

    @torch.no_grad()
    def _derive(self, batch: MicroBatch, vector_P: Tensor) -> Tensor:
        """Derive the logits along a vector of parameters, shape (U, V); only this attention carries derivatives."""
        parts = vector_P.split([parameter.numel() for parameter in self._parameters])  # type: ignore[no-untyped-call]
        logits = _Logits(self._model, batch, self._temperature)
        with forward_ad.dual_level(), sdpa_kernel(SDPBackend.MATH):
            moved = {
                f"model.{name}": forward_ad.make_dual(parameter.detach(), part.view_as(parameter))  # type: ignore[no-untyped-call]
                for name, parameter, part in zip(self._names, self._parameters, parts, strict=True)
            }
            slope_UV: Tensor | None = forward_ad.unpack_dual(functional_call(logits, moved, ())).tangent  # type: ignore[no-untyped-call]
        return torch.zeros(1, device=vector_P.device) if slope_UV is None else slope_UV
