"""How the engine runs a model token by token: any causal LM, and a leaner way for small Qwen3 models.

For a model of a million parameters most of the time of a step goes into padding, masks and copies of the
cache. The lean decoder computes the same numbers from the same modules without them: prompts are packed end
to end, keys and values have their places reserved, and the last layer runs for the last tokens only.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Protocol

import torch
from torch.nn.functional import rms_norm, scaled_dot_product_attention, silu
from transformers import DynamicCache, PreTrainedModel, Qwen3ForCausalLM
from transformers.models.qwen3.modeling_qwen3 import Qwen3Attention, Qwen3DecoderLayer, Qwen3RMSNorm


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
    """Choose the decoder for a model."""
    if type(model) is Qwen3ForCausalLM and _is_plain(model):
        return LeanDecoder(model)
    return CachedDecoder(model)


def _is_plain(model: Qwen3ForCausalLM) -> bool:
    config = model.config
    everywhere = all(kind == "full_attention" for kind in config.layer_types or ())
    scaled = dict(config.rope_parameters or {}).get("rope_type", "default") != "default"
    # An adapter or a quantised layer is no plain Linear, and only its own forward knows it.
    linear = all(
        type(m) is torch.nn.Linear
        for name, m in model.named_modules()
        if name.endswith("_proj") or name == "lm_head"
    )
    return everywhere and not scaled and linear and config.hidden_act == "silu"


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


class LeanDecoder:
    """Runs a plain Qwen3 from its own modules' weights. N is the number of packed tokens, H heads of size E."""

    def __init__(self, model: Qwen3ForCausalLM) -> None:
        """Decode with `model`."""
        self._model = model
        self._layers: list[Qwen3DecoderLayer] = list(model.model.layers)
        self._keys_RHTE: list[torch.Tensor] = []
        self._values_RHTE: list[torch.Tensor] = []
        self._length_R = torch.empty(0, dtype=torch.long)

    def start(self, prompts: Sequence[Sequence[int]], room: int) -> torch.Tensor:
        """Read the prompts, packed end to end; give the next token's logits, shape (R, V)."""
        lengths = [len(prompt) for prompt in prompts]
        self._length_R = torch.tensor(lengths)
        spans = [(end - length, end) for length, end in zip(lengths, _sum_up(lengths), strict=True)]
        x_NC = self._model.model.embed_tokens(torch.tensor([i for prompt in prompts for i in prompt]))
        turn_N1E = self._turn(x_NC, torch.cat([torch.arange(length) for length in lengths]))
        last = torch.tensor([end - 1 for _, end in spans])
        config = self._model.config
        shape = (len(prompts), config.num_key_value_heads, max(lengths) + room, config.head_dim)
        for index, layer in enumerate(self._layers):
            final = index == len(self._layers) - 1
            q_NHE, k_NHE, v_NHE = _project(layer, x_NC, turn_N1E)
            keys_RHTE, values_RHTE = x_NC.new_zeros(shape), x_NC.new_zeros(shape)
            mixed = []
            for row, (start, end) in enumerate(spans):
                k_HTE, v_HTE = k_NHE[start:end].transpose(0, 1), v_NHE[start:end].transpose(0, 1)
                keys_RHTE[row, :, : end - start], values_RHTE[row, :, : end - start] = k_HTE, v_HTE
                q_HTE = q_NHE[end - 1 if final else start : end].transpose(0, 1)
                mixed.append(
                    _attend(q_HTE[None], k_HTE[None], v_HTE[None], causal=not final)[0].transpose(0, 1)
                )
            self._keys_RHTE.append(keys_RHTE)
            self._values_RHTE.append(values_RHTE)
            x_NC = _finish(layer, x_NC[last] if final else x_NC, torch.cat(mixed))
        return self._predict(x_NC)

    def select(self, rows: Sequence[int]) -> None:
        """Go on with these rows only."""
        if list(rows) == list(range(len(self._length_R))):
            return
        rows_R = torch.tensor(rows)
        self._length_R = self._length_R[rows_R]
        self._keys_RHTE = [keys[rows_R] for keys in self._keys_RHTE]
        self._values_RHTE = [values[rows_R] for values in self._values_RHTE]

    def advance(self, ids: Sequence[int]) -> torch.Tensor:
        """Add one token to every row; give the next token's logits, shape (R, V)."""
        rows_R, place_R = torch.arange(len(ids)), self._length_R
        longest = int(place_R.max()) + 1
        seen_R11T = (torch.arange(longest) <= place_R[:, None])[:, None, None]
        x_RC = self._model.model.embed_tokens(torch.tensor(ids))
        turn_R1E = self._turn(x_RC, place_R)
        for layer, keys_RHTE, values_RHTE in zip(
            self._layers, self._keys_RHTE, self._values_RHTE, strict=True
        ):
            q_RHE, k_RHE, v_RHE = _project(layer, x_RC, turn_R1E)
            keys_RHTE[rows_R, :, place_R], values_RHTE[rows_R, :, place_R] = k_RHE, v_RHE
            mixed_RH1E = _attend(
                q_RHE[:, :, None], keys_RHTE[:, :, :longest], values_RHTE[:, :, :longest], seen=seen_R11T
            )
            x_RC = _finish(layer, x_RC, mixed_RH1E[:, :, 0])
        self._length_R = place_R + 1
        return self._predict(x_RC)

    def _turn(self, x_NC: torch.Tensor, place_N: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the rotary cosines and sines of the tokens' places, each of shape (N, 1, E)."""
        cos_1NE, sin_1NE = self._model.model.rotary_emb(x_NC, place_N[None])
        return cos_1NE[0, :, None], sin_1NE[0, :, None]

    def _predict(self, x_RC: torch.Tensor) -> torch.Tensor:
        norm = self._model.model.norm
        logits_RV: torch.Tensor = self._model.lm_head(_normalise(norm, x_RC))
        return logits_RV


def _sum_up(lengths: Sequence[int]) -> list[int]:
    return list(accumulate(lengths))


def _normalise(norm: Qwen3RMSNorm, x: torch.Tensor) -> torch.Tensor:
    return rms_norm(x, (x.shape[-1],), norm.weight, norm.variance_epsilon)


def _project(
    layer: Qwen3DecoderLayer, x_NC: torch.Tensor, turn_N1E: tuple[torch.Tensor, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Give queries, keys and values, each of shape (N, H, E); the first two turned to their places."""
    attention: Qwen3Attention = layer.self_attn
    x_NC = _normalise(layer.input_layernorm, x_NC)
    shape = (x_NC.shape[0], -1, attention.head_dim)
    q_NHE = _normalise(attention.q_norm, attention.q_proj(x_NC).view(shape))
    k_NHE = _normalise(attention.k_norm, attention.k_proj(x_NC).view(shape))
    return _rotate(q_NHE, turn_N1E), _rotate(k_NHE, turn_N1E), attention.v_proj(x_NC).view(shape)


def _rotate(x_NHE: torch.Tensor, turn_N1E: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    cos_N1E, sin_N1E = turn_N1E
    first, second = x_NHE.chunk(2, dim=-1)
    return x_NHE * cos_N1E + torch.cat((-second, first), dim=-1) * sin_N1E


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


def _finish(layer: Qwen3DecoderLayer, x_NC: torch.Tensor, mixed_NHE: torch.Tensor) -> torch.Tensor:
    """Add what attention found and what the feed-forward network makes of it."""
    x_NC = x_NC + layer.self_attn.o_proj(mixed_NHE.flatten(1))
    mlp = layer.mlp
    y_NC = _normalise(layer.post_attention_layernorm, x_NC)
    y_NC = silu(mlp.gate_proj(y_NC)) * mlp.up_proj(y_NC)
    out_NC: torch.Tensor = x_NC + mlp.down_proj(y_NC)
    return out_NC
