"""The learner's view of a policy: log-probabilities of completion tokens, and nothing the loss does not need."""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from milepost.training.batch import MicroBatch

_TOLERANCE = 1e-3


class UnsupportedModelError(ValueError):
    """The model's output head does more than a linear map, so it cannot be applied to chosen positions."""


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
    """Run the policy and score the completion tokens; the output head runs at their positions only.

    Args:
        model: a causal LM.
        batch: the micro-batch, on the model's device.
        temperature: the sampling temperature, above 0, so that scores are those of the sampled distribution.
        entropy_gradient: keep the entropy's gradient, for an entropy bonus.
    """
    logits_UV = score_logits(model, batch, temperature=temperature)
    total_U = logits_UV.logsumexp(dim=-1)
    logp_U = logits_UV.gather(1, batch.target_U[:, None])[:, 0] - total_U
    with torch.set_grad_enabled(entropy_gradient and torch.is_grad_enabled()):
        scores_UV = logits_UV if entropy_gradient else logits_UV.detach()
        entropy_U = total_U if entropy_gradient else total_U.detach()
        entropy_U = entropy_U - (scores_UV.softmax(dim=-1) * scores_UV).sum(dim=-1)
    return TokenScores(logp_U=logp_U, entropy_U=entropy_U)


def score_logits(model: PreTrainedModel, batch: MicroBatch, *, temperature: float = 1.0) -> Tensor:
    """Run the policy and give the scaled logits of all words where a completion token is drawn, shape (U, V)."""
    logits_UV: Tensor = _head(model)(encode_tokens(model, batch))
    return logits_UV.float() / temperature


def encode_tokens(model: PreTrainedModel, batch: MicroBatch) -> Tensor:
    """Run the trunk and give the state in which each of the U completion tokens is drawn, shape (U, D)."""
    hidden_STD: Tensor = model.base_model(
        input_ids=batch.ids_ST,
        attention_mask=_additive_mask(batch.allowed_STT, model.dtype),
        position_ids=batch.position_ST,
        use_cache=False,
    ).last_hidden_state
    return hidden_STD.reshape(-1, hidden_STD.shape[-1])[batch.source_U]


def _head(model: PreTrainedModel) -> torch.nn.Module:
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if not isinstance(head, torch.nn.Module):
        raise UnsupportedModelError(
            f"{type(model).__name__} has no output embeddings; a causal language model is expected"
        )
    return head


def _additive_mask(allowed_STT: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    if allowed_STT is None:
        return None
    mask_STT = torch.zeros(allowed_STT.shape, dtype=dtype, device=allowed_STT.device)
    return mask_STT.masked_fill(~allowed_STT, torch.finfo(dtype).min)[:, None]


def takes_dense_mask(model: PreTrainedModel) -> bool:
    """Say whether completions may share a prompt's sequence: attention is full in every layer and takes a mask."""
    layers = set(getattr(model.config, "layer_types", None) or ["full_attention"])
    return layers == {"full_attention"} and model.config._attn_implementation in ("sdpa", "eager")


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
