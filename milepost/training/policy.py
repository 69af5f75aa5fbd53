"""The learner's view of a policy: log-probabilities of completion tokens, and nothing the loss does not need."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from milepost.agents.prompt import Message
from milepost.agents.sight import find_sight
from milepost.sandbox.marks import encode_image
from milepost.training.attention import run_forest, share_beginnings
from milepost.training.batch import MicroBatch, Row, cut_batch

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
    predict = _predictor(model)

    def score(hidden_CD: Tensor, target_C: Tensor) -> tuple[Tensor, Tensor]:
        logits_CV = predict(hidden_CD).float() / temperature
        total_C = logits_CV.logsumexp(dim=-1)
        logp_C = logits_CV.gather(1, target_C[:, None])[:, 0] - total_C
        with torch.set_grad_enabled(entropy_gradient and torch.is_grad_enabled()):
            scores_CV = logits_CV if entropy_gradient else logits_CV.detach()
            entropy_C = total_C if entropy_gradient else total_C.detach()
            entropy_C = entropy_C - (scores_CV.softmax(dim=-1) * scores_CV).sum(dim=-1)
        return logp_C, entropy_C

    size = max(_LEAST_CHUNK, _CHUNK_LOGITS // model.config.get_text_config().vocab_size)
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
    logits_UV = _predictor(model)(encode_tokens(model, batch))
    return logits_UV.float() / temperature


def encode_tokens(model: PreTrainedModel, batch: MicroBatch) -> Tensor:
    """Run the trunk and give the state in which each of the U completion tokens is drawn, shape (U, D)."""
    if batch.forest is not None:
        if not share_beginnings(model):
            raise UnsupportedModelError(
                f"{type(model).__name__} cannot compute a forest; cut its batches with share_prompts=False"
            )
        return run_forest(model.base_model, batch.forest)[batch.source_U]
    if batch.pictures:
        hidden_STD = _encode_seen(model, batch.ids_ST, batch.pictures)
    else:
        hidden_STD = model.base_model(input_ids=batch.ids_ST, use_cache=False).last_hidden_state
    return hidden_STD.reshape(-1, hidden_STD.shape[-1])[batch.source_U]


def _encode_seen(model: PreTrainedModel, ids_ST: Tensor, pictures: Sequence[bytes | None]) -> Tensor:
    """Run the trunk over sequences with pictures, together those whose pictures have the same shapes."""
    sight = find_sight(model)
    if sight is None:
        raise UnsupportedModelError(f"{type(model).__name__} reads text, and a row has a picture")
    seen = [{} if picture is None else sight.look(picture) for picture in pictures]
    alike: dict[tuple[tuple[str, torch.Size], ...], list[int]] = {}
    for row, pixels in enumerate(seen):
        alike.setdefault(tuple((name, pixels[name].shape) for name in sorted(pixels)), []).append(row)
    found: dict[int, Tensor] = {}
    for shapes, rows in alike.items():
        own_ST = ids_ST[rows]
        joined = {name: torch.cat([seen[row][name] for row in rows]).to(ids_ST.device) for name, _ in shapes}
        hidden_STD = model.base_model(
            input_ids=own_ST, use_cache=False, **joined, **sight.mark(own_ST)
        ).last_hidden_state
        found |= dict(zip(rows, hidden_STD, strict=True))
    return torch.stack([found[row] for row in range(len(pictures))])


def _predictor(model: PreTrainedModel) -> Callable[[Tensor], Tensor]:
    """Give what makes logits of hidden states; placeholders of pictures are no words."""
    head, sight = _head(model), find_sight(model)

    def predict(hidden_CD: Tensor) -> Tensor:
        logits_CV: Tensor = head(hidden_CD)
        return logits_CV if sight is None else sight.silence(logits_CV)

    return predict


def _head(model: PreTrainedModel) -> torch.nn.Module:
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if not isinstance(head, torch.nn.Module):
        raise UnsupportedModelError(
            f"{type(model).__name__} has no output embeddings; a causal language model is expected"
        )
    return head


@torch.no_grad()
def check_sight(model: PreTrainedModel) -> None:
    """Check that a model that sees gives rows side by side what it gives to its processor's own inputs.

    Raises:
        UnsupportedModelError: it does not, or pictures make no difference to it. A model that reads text passes.
    """
    sight = find_sight(model)
    if sight is None:
        return
    name = type(model).__name__
    rows, whole = [], []
    for shade, question in ((40, "Which shade is this?"), (200, "Which?"), (40, "Which?")):
        picture = encode_image(Image.new("RGB", (64, 48), (shade, 255 - shade, shade)), "png")
        made = sight.process([Message(role="user", content=question)], picture)
        rows.append(
            Row(
                prompt_ids=tuple(made["input_ids"][0].tolist()),
                completion_ids=(0,),
                sampler_logps=(0.0,),
                picture=picture,
            )
        )
        inputs = {key: value.to(model.device) for key, value in made.items()}
        whole.append(sight.silence(model(**inputs, use_cache=False).logits[:, -1])[0].float())
    (micro,) = cut_batch(rows, token_budget=2**20, share_prompts=False)
    parts = _predictor(model)(encode_tokens(model, micro.to(model.device)))[micro.token_N].float()
    place = {id(row): n for n, row in enumerate(micro.rows)}
    worst = max(
        float((parts[place[id(row)]] - own).abs().max()) for row, own in zip(rows, whole, strict=True)
    )
    heard = [silenced for silenced in whole[0].tolist() if silenced > -1e8]
    if worst > _TOLERANCE * max(1.0, *map(abs, heard)):
        raise UnsupportedModelError(
            f"{name} gives other logits (by up to {worst:.3g}) where pictures are batched than where each stands alone; "
            "it cannot be trained with pictures here"
        )
    if torch.equal(whole[1], whole[2]):
        raise UnsupportedModelError(
            f"{name} gives the same logits for two different pictures: it does not see them"
        )


@torch.no_grad()
def check_head(model: PreTrainedModel) -> None:
    """Check that scoring chosen positions gives what the whole model gives.

    Raises:
        UnsupportedModelError: it does not (logit scaling, soft caps), or the model has no output embeddings.
    """
    head = _head(model)
    name = type(model).__name__
    ids_ST = torch.arange(1, 9, device=model.device)[None] % model.config.get_text_config().vocab_size
    whole = model(input_ids=ids_ST, use_cache=False).logits.float()
    parts = head(model.base_model(input_ids=ids_ST, use_cache=False).last_hidden_state).float()
    worst = float((whole - parts).abs().max())
    if worst > _TOLERANCE * max(1.0, float(whole.abs().max())):
        raise UnsupportedModelError(
            f"{name} changes its logits after the output head (by up to {worst:.3g}), for example with a soft "
            "cap; choose a model whose logits are a linear map of the last hidden state"
        )
