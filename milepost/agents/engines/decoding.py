"""How the engine runs a model token by token: any causal LM, and a leaner way for small Qwen3 models.

For a model of a million parameters most of the time of a step goes into padding, masks and copies of the
cache. The lean decoder computes the same numbers from the same modules without them: prompts are packed end
to end, keys and values have their places reserved, and the last layer runs for the last tokens only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import torch
from torch.nn.functional import linear, rms_norm, scaled_dot_product_attention, silu
from transformers import DynamicCache, PreTrainedModel, Qwen3ForCausalLM
from transformers.models.qwen3.modeling_qwen3 import Qwen3DecoderLayer


class Decoder(Protocol):
    """A batch of sequences being continued. R is the number of rows."""

    def start(self, prompts: Sequence[Sequence[int]], room: int) -> torch.Tensor:
        """Read the prompts, with room for so many more tokens; give the next token's logits, shape (R, V)."""
        ...

    def select(self, rows: Sequence[int]) -> None:
        """Go on with these rows only, in this order; a row may be taken more than once."""
        ...

    def advance(self, ids: Sequence[int]) -> torch.Tensor:
        """Add one token to every row; give the next token's logits, shape (R, V)."""
        ...


def make_decoder(model: PreTrainedModel) -> Decoder:
    """Choose the decoder for a model that reads text."""
    if type(model) is Qwen3ForCausalLM and _is_plain(model):
        return LeanDecoder(model)
    return CachedDecoder(model)


def _is_plain(model: Qwen3ForCausalLM) -> bool:
    config = model.config
    everywhere = all(kind == "full_attention" for kind in config.layer_types or ())
    scaled = dict(config.rope_parameters or {}).get("rope_type", "default") != "default"
    # An adapter or a quantised layer is no plain Linear, and only its own forward knows it.
    plain = all(
        type(m) is torch.nn.Linear
        for name, m in model.named_modules()
        if name.endswith("_proj") or name == "lm_head"
    )
    biased = any(name.endswith(".bias") for name, _ in model.named_parameters())
    known = config.hidden_act == "silu" and model.dtype == torch.float32 and model.device.type == "cpu"
    return everywhere and known and not scaled and not biased and plain


class CachedDecoder:
    """Runs any causal LM with its own forward and cache; prompts are padded on the left."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Decode with `model`."""
        self._model = model
        self._cache = DynamicCache()
        self._mask_RT = torch.empty(0)
        self._position_R = torch.empty(0)

    def start(self, prompts: Sequence[Sequence[int]], room: int) -> torch.Tensor:
        """Read the prompts; give the next token's logits, shape (R, V)."""
        longest = max(map(len, prompts))
        ids_RT = torch.zeros(len(prompts), longest, dtype=torch.long)
        mask_RT = torch.zeros(len(prompts), longest, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids_RT[row, longest - len(prompt) :] = torch.tensor(prompt)
            mask_RT[row, longest - len(prompt) :] = 1
        self._mask_RT = mask_RT.to(self._model.device)
        self._position_R = self._mask_RT.sum(dim=1)
        places_RT = (self._mask_RT.cumsum(dim=1) - 1).clamp(min=0)
        return self._run(ids_RT.to(self._model.device), places_RT)

    def take_over(self, cache: DynamicCache, mask_RT: torch.Tensor, position_R: torch.Tensor) -> None:
        """Go on from prompts that were read elsewhere, padded on the left; `position_R` are those of the next tokens."""
        self._cache, self._mask_RT, self._position_R = cache, mask_RT, position_R

    def select(self, rows: Sequence[int]) -> None:
        """Go on with these rows only."""
        rows_R = torch.tensor(rows, device=self._model.device)
        self._cache.batch_select_indices(rows_R)
        self._mask_RT, self._position_R = self._mask_RT[rows_R], self._position_R[rows_R]

    def advance(self, ids: Sequence[int]) -> torch.Tensor:
        """Add one token to every row; give the next token's logits, shape (R, V)."""
        self._mask_RT = torch.cat([self._mask_RT, self._mask_RT.new_ones(len(ids), 1)], dim=1)
        ids_R1 = torch.tensor(ids, device=self._model.device)[:, None]
        logits_RV = self._run(ids_R1, self._position_R[:, None])
        self._position_R = self._position_R + 1
        return logits_RV

    def _run(self, ids_RT: torch.Tensor, places_RT: torch.Tensor) -> torch.Tensor:
        out = self._model(
            input_ids=ids_RT,
            attention_mask=self._mask_RT,
            position_ids=places_RT,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits_RV: torch.Tensor = out.logits[:, -1]
        return logits_RV


_ROWS = 4
_WIDTH = 16


class LeanDecoder:
    """Runs a plain Qwen3 from its own weights. N is the number of packed tokens, H heads of size E.

    The weights are copied into fewer, larger matrices when it is made: at this size a step is as slow as it has
    operations. So a decoder serves one batch, and sees no later change of the model.

    A row's numbers do not depend on its neighbours, to the last bit: which episodes meet in a batch depends on the
    browsers' timing, and a run should not. Two things would let them: products of very few rows, which are computed
    in another order, and attention over a length that does not fill the processor's vectors. So there are always
    `_ROWS` rows, the missing ones copies of the last, and lengths are rounded up to `_WIDTH`, what is beyond masked.
    """

    def __init__(self, model: Qwen3ForCausalLM) -> None:
        """Decode with `model` as it is now."""
        self._model = model
        self._layers = [_fuse(layer) for layer in model.model.layers]
        self._kept_RHTE: list[torch.Tensor] = []
        """Each layer's keys, then values, in H: twice the key heads."""
        self._length_R = torch.empty(0, dtype=torch.long)
        self._rows = 0
        """Rows that are asked for; the others fill up."""

    def start(self, prompts: Sequence[Sequence[int]], room: int) -> torch.Tensor:
        """Read the prompts, packed end to end; give the next token's logits, shape (R, V)."""
        lengths = [len(prompt) for prompt in prompts]
        self._rows = len(prompts)
        filled = _fill(range(len(prompts)))
        self._length_R = torch.tensor(lengths)[filled]
        spans = [(end - length, end) for length, end in zip(lengths, accumulate(lengths), strict=True)]
        x_NC = self._model.model.embed_tokens(torch.tensor([i for prompt in prompts for i in prompt]))
        turn_N1P = self._turn(x_NC, torch.cat([torch.arange(length) for length in lengths]))
        last = torch.tensor([end - 1 for _, end in spans])[filled]
        config = self._model.config
        heads = config.num_attention_heads
        kept = len(self._layers[0].scale_JE) - heads
        shape = (len(prompts), 2 * kept, _round_up(max(lengths) + room), config.head_dim)
        for index, layer in enumerate(self._layers):
            final = index == len(self._layers) - 1
            qkv_HNE = _project(layer, x_NC, turn_N1P).transpose(0, 1)
            kept_RHTE = x_NC.new_zeros(shape)
            mixed = []
            for row, (start, end) in enumerate(spans):
                kept_RHTE[row, :, : end - start] = qkv_HNE[heads:, start:end]
                q_HTE = qkv_HNE[:heads, end - 1 if final else start : end]
                k_HTE, v_HTE = qkv_HNE[heads:, start:end].chunk(2)
                mixed.append(
                    _attend(q_HTE[None], k_HTE[None], v_HTE[None], causal=not final)[0].transpose(0, 1)
                )
            self._kept_RHTE.append(kept_RHTE if len(filled) == len(spans) else kept_RHTE[filled])
            mixed_NHE = torch.stack([mixed[row][0] for row in filled]) if final else torch.cat(mixed)
            x_NC = _finish(layer, x_NC[last] if final else x_NC, mixed_NHE)
        return self._predict(x_NC)

    def select(self, rows: Sequence[int]) -> None:
        """Go on with these rows only."""
        if list(rows) == list(range(self._rows)):
            return
        self._rows = len(rows)
        rows_R = torch.tensor(_fill(rows))
        self._length_R = self._length_R[rows_R]
        self._kept_RHTE = [kept[rows_R] for kept in self._kept_RHTE]

    def advance(self, ids: Sequence[int]) -> torch.Tensor:
        """Add one token to every row; give the next token's logits, shape (R, V)."""
        heads, place_R = self._model.config.num_attention_heads, self._length_R
        ids = _fill(ids)
        rows_R, longest = torch.arange(len(ids)), _round_up(int(place_R.max()) + 1)
        seen_R11T = (torch.arange(longest) <= place_R[:, None])[:, None, None]
        x_RC = self._model.model.embed_tokens(torch.tensor(ids))
        turn_R1P = self._turn(x_RC, place_R)
        for layer, kept_RHTE in zip(self._layers, self._kept_RHTE, strict=True):
            qkv_RHE = _project(layer, x_RC, turn_R1P)
            kept_RHTE[rows_R, :, place_R] = qkv_RHE[:, heads:]
            k_RHTE, v_RHTE = kept_RHTE[:, :, :longest].chunk(2, dim=1)
            mixed_RH1E = _attend(qkv_RHE[:, :heads, None], k_RHTE, v_RHTE, seen=seen_R11T)
            x_RC = _finish(layer, x_RC, mixed_RH1E[:, :, 0])
        self._length_R = place_R + 1
        return self._predict(x_RC)

    def _turn(self, x_NC: torch.Tensor, place_N: torch.Tensor) -> torch.Tensor:
        """Give the tokens' places as rotations of P = E/2 complex numbers, shape (N, 1, P)."""
        cos_1NE, sin_1NE = self._model.model.rotary_emb(x_NC, place_N[None])
        pairs = cos_1NE.shape[-1] // 2
        return torch.complex(cos_1NE[0, :, :pairs], sin_1NE[0, :, :pairs])[:, None]

    def _predict(self, x_RC: torch.Tensor) -> torch.Tensor:
        norm = self._model.model.norm
        x_RC = rms_norm(x_RC, (x_RC.shape[-1],), norm.weight, norm.variance_epsilon)
        logits_RV: torch.Tensor = self._model.lm_head(x_RC)
        return logits_RV[: self._rows]


def _fill(rows: Sequence[int]) -> list[int]:
    """Repeat the last until there are `_ROWS`."""
    return [*rows, *[rows[-1]] * (_ROWS - len(rows))]


def _round_up(length: int) -> int:
    return -(-length // _WIDTH) * _WIDTH


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """A layer's weights. J counts the heads of queries and keys, F the inner features."""

    qkv_DC: torch.Tensor
    """Queries, keys, values; in queries and keys the two numbers that turn together stand side by side."""
    scale_JE: torch.Tensor
    """What normalised queries and keys are multiplied by, in the same order."""
    out_DC: torch.Tensor
    up_CF: torch.Tensor
    """The gate, then what it lets through."""
    down_FC: torch.Tensor
    before_C: torch.Tensor
    """Scale of the norm before attention."""
    between_C: torch.Tensor
    """Scale of the norm before the feed-forward network."""
    epsilon: float


def _fuse(layer: Qwen3DecoderLayer) -> _Layer:
    attention, mlp = layer.self_attn, layer.mlp
    size = attention.head_dim
    # i and i + E/2 turn together in the model; here they are neighbours, so that a pair is a complex number. The
    # order inside a head does not matter to a product of queries and keys.
    order_E = torch.arange(size).view(2, size // 2).T.flatten()
    q_HEC, k_HEC = (
        projection.weight.view(-1, size, projection.in_features)[:, order_E]
        for projection in (attention.q_proj, attention.k_proj)
    )
    norms = (attention.q_norm.weight[order_E], len(q_HEC)), (attention.k_norm.weight[order_E], len(k_HEC))
    return _Layer(
        qkv_DC=torch.cat([q_HEC.flatten(0, 1), k_HEC.flatten(0, 1), attention.v_proj.weight]),
        scale_JE=torch.cat([weight_E.expand(heads, size) for weight_E, heads in norms]),
        out_DC=attention.o_proj.weight.T,
        up_CF=torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]).T,
        down_FC=mlp.down_proj.weight.T,
        before_C=layer.input_layernorm.weight,
        between_C=layer.post_attention_layernorm.weight,
        epsilon=layer.input_layernorm.variance_epsilon,
    )


def _project(layer: _Layer, x_NC: torch.Tensor, turn_N1P: torch.Tensor) -> torch.Tensor:
    """Give queries, keys and values, shape (N, H, E); the first two turned to their places."""
    heads, size = layer.scale_JE.shape
    y_NC = rms_norm(x_NC, (x_NC.shape[-1],), layer.before_C, layer.epsilon)
    qkv_NHE = linear(y_NC, layer.qkv_DC).view(len(x_NC), -1, size)
    qk_NJE = rms_norm(qkv_NHE[:, :heads], (size,), None, layer.epsilon) * layer.scale_JE
    turned_NJP = torch.view_as_complex(qk_NJE.view(len(x_NC), heads, -1, 2)) * turn_N1P
    qkv_NHE[:, :heads] = torch.view_as_real(turned_NJP).flatten(-2)
    return qkv_NHE


def _attend(
    q_RHTE: torch.Tensor,
    k_RHTE: torch.Tensor,
    v_RHTE: torch.Tensor,
    *,
    causal: bool = False,
    seen: torch.Tensor | None = None,
) -> torch.Tensor:
    grouped = q_RHTE.shape[1] != k_RHTE.shape[1]
    return scaled_dot_product_attention(
        q_RHTE, k_RHTE, v_RHTE, attn_mask=seen, is_causal=causal, enable_gqa=grouped
    )


def _finish(layer: _Layer, x_NC: torch.Tensor, mixed_NHE: torch.Tensor) -> torch.Tensor:
    """Add what attention found and what the feed-forward network makes of it."""
    x_NC = torch.addmm(x_NC, mixed_NHE.flatten(1), layer.out_DC)
    y_NC = rms_norm(x_NC, (x_NC.shape[-1],), layer.between_C, layer.epsilon)
    gate_NF, up_NF = (y_NC @ layer.up_CF).chunk(2, dim=-1)
    return torch.addmm(x_NC, silu(gate_NF) * up_NF, layer.down_FC)
