"""The learner's view of a policy: log-probabilities of completion tokens, and nothing the loss does not need."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from milepost.training.attention import run_forest, share_beginnings
from milepost.training.batch import MicroBatch

_TOLERANCE = 1e-3

_CHUNK_LOGITS = 2**22
"""Most logits at once, 16 MiB of them, as long as that is at least `_LEAST_CHUNK` tokens."""

_LEAST_CHUNK = 128


class UnsupportedModelError(ValueError):
    """The model does something that scoring chosen positions, or sharing beginnings, does not allow for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenScores:
    """What a policy says about the U different completion tokens of a micro-batch."""

    logp_U: Tensor
    """Log-probability of each token under the sampling temperature, float32."""
    entropy_U: Tensor
    """Entropy of each token's distribution in nats, float32; without gradient unless asked for."""


def score_tokens(
    model: PreTrainedModel, batch: MicroBatch, *, temperature: float = 1.0, entropy_gradient: bool = False
) -> TokenScores:
    """Run the policy and score the completion tokens.

    The output head runs at their positions only, and in chunks: what it gives is never there for all of them at
    once, neither forwards nor backwards, where each chunk is computed again.

    Args:
        model: a causal LM.
        batch: the micro-batch, on the model's device.
        temperature: the sampling temperature, above 0, so that scores are those of the sampled distribution.
        entropy_gradient: keep the entropy's gradient, for an entropy bonus.
    """
    hidden_UD = encode_tokens(model, batch)
    head = _head(model)

    def score(hidden_CD: Tensor, target_C: Tensor) -> tuple[Tensor, Tensor]:
        logits_CV = head(hidden_CD).float() / temperature
        total_C = logits_CV.logsumexp(dim=-1)
        logp_C = logits_CV.gather(1, target_C[:, None])[:, 0] - total_C
        with torch.set_grad_enabled(entropy_gradient and torch.is_grad_enabled()):
            scores_CV = logits_CV if entropy_gradient else logits_CV.detach()
            entropy_C = total_C if entropy_gradient else total_C.detach()
            entropy_C = entropy_C - (scores_CV.softmax(dim=-1) * scores_CV).sum(dim=-1)
        return logp_C, entropy_C

    size = max(_LEAST_CHUNK, _CHUNK_LOGITS // model.config.vocab_size)
    chunks = list(zip(torch.split(hidden_UD, size), torch.split(batch.target_U, size), strict=True))
    if len(chunks) == 1:
        logp_U, entropy_U = score(hidden_UD, batch.target_U)
        return TokenScores(logp_U=logp_U, entropy_U=entropy_U)
    scored = [checkpoint(score, *chunk, use_reentrant=False) for chunk in chunks]
    return TokenScores(
        logp_U=torch.cat([logp_C for logp_C, _ in scored]),
        entropy_U=torch.cat([entropy_C for _, entropy_C in scored]),
    )


def score_logits(model: PreTrainedModel, batch: MicroBatch, *, temperature: float = 1.0) -> Tensor:
    """Run the policy and give the scaled logits of all words where a completion token is drawn, shape (U, V)."""
    logits_UV: Tensor = _head(model)(encode_tokens(model, batch))
    return logits_UV.float() / temperature


def encode_tokens(model: PreTrainedModel, batch: MicroBatch) -> Tensor:
    """Run the trunk and give the state in which each of the U completion tokens is drawn, shape (U, D)."""
    if batch.forest is not None:
        if not share_beginnings(model):
            raise UnsupportedModelError(
                f"{type(model).__name__} cannot compute a forest; cut its batches with share_prompts=False"
            )
        return run_forest(model.base_model, batch.forest)[batch.source_U]
    hidden_STD: Tensor = model.base_model(input_ids=batch.ids_ST, use_cache=False).last_hidden_state
    return hidden_STD.reshape(-1, hidden_STD.shape[-1])[batch.source_U]


def _head(model: PreTrainedModel) -> torch.nn.Module:
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if not isinstance(head, torch.nn.Module):
        raise UnsupportedModelError(
            f"{type(model).__name__} has no output embeddings; a causal language model is expected"
        )
    return head


@torch.no_grad()
def check_head(model: PreTrainedModel) -> None:
    """Check that scoring chosen positions gives what the whole model gives.

    Raises:
        UnsupportedModelError: it does not (logit scaling, soft caps), or the model has no output embeddings.
    """
    head = _head(model)
    name = type(model).__name__
    ids_ST = torch.arange(1, 9, device=model.device)[None] % model.config.vocab_size
    whole = model(input_ids=ids_ST, use_cache=False).logits.float()
    parts = head(model.base_model(input_ids=ids_ST, use_cache=False).last_hidden_state).float()
    worst = float((whole - parts).abs().max())
    if worst > _TOLERANCE * max(1.0, float(whole.abs().max())):
        raise UnsupportedModelError(
            f"{name} changes its logits after the output head (by up to {worst:.3g}), for example with a soft "
            "cap; choose a model whose logits are a linear map of the last hidden state"
        )
