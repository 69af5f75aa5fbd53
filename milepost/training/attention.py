"""Attention over a forest of tokens, for any `transformers` model that lets its attention be exchanged.

A model is switched over once, by its configuration, and then takes a forest as one more argument of its forward;
without one it computes plain SDPA as before, so the engine that shares the model does not notice.
"""

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from milepost.agents.sight import find_sight
from milepost.training.packing import Forest, build_forest, measure_shared, sort_sequences

PACKED = "milepost_packed"
"""Name under which the attention is registered with `transformers`."""

_TOLERANCE = 1e-3
"""Largest difference of a hidden state, relative to the largest one, that is put down to rounding (16 times that in
half precision)."""

_UNSUPPORTED = ("sliding_window", "softcap", "position_bias", "s_aux")
"""What an attention may do besides, which blocks do not do."""


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    forest: Forest | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Compute attention as `transformers` asks for it.

    Args:
        module: the attention layer.
        query: (1, heads, T, size).
        key: (1, key heads, T, size).
        value: (1, key heads, T, size).
        attention_mask: for plain attention; a forest says itself who sees whom.
        forest: the T tokens, or None for plain attention.
        options: what else the layer wants.

    Raises:
        ValueError: the layer wants something that cannot be done in blocks.
    """
    if forest is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    unsupported = [name for name in _UNSUPPORTED if options.get(name) is not None]
    if unsupported:
        raise ValueError(f"attention with {', '.join(unsupported)} cannot be computed over a forest")
    return attend_blocks(query, key, value, forest, scale=options.get("scaling")).transpose(1, 2), None


def attend_blocks(
    query: Tensor, key: Tensor, value: Tensor, forest: Forest, *, scale: float | None
) -> Tensor:
    """Let every token see its ancestors and itself, block by block; shapes as in `attend`, (1, heads, T, size)."""
    # Split and joined by pieces, not sliced: the backward of a slice is as large as the whole.
    queries = torch.split(query, [block.end - block.start for block in forest.blocks], dim=2)
    keys, values = (torch.split(one, forest.key_lengths, dim=2) for one in (key, value))
    seen = []
    for own, pieces, mask in zip(queries, forest.key_pieces, forest.masks, strict=True):
        seen.append(
            scaled_dot_product_attention(
                own,
                torch.cat([keys[i] for i in pieces], dim=2),
                torch.cat([values[i] for i in pieces], dim=2),
                attn_mask=mask,
                is_causal=mask is None,
                scale=scale,
                enable_gqa=query.shape[1] != key.shape[1],
            )
        )
    return torch.cat(seen, dim=2)


AttentionInterface.register(PACKED, attend)
AttentionMaskInterface.register(PACKED, sdpa_mask)


def run_forest(trunk: torch.nn.Module, forest: Forest) -> Tensor:
    """Run a model's trunk over a forest; gives the hidden states, shape (T, D)."""
    # A mask of four dimensions is taken as it is, so the trunk builds none of its own.
    nothing_1111 = torch.zeros(1, 1, 1, 1, dtype=torch.bool, device=forest.ids_T.device)
    hidden_1TD: Tensor = trunk(
        input_ids=forest.ids_T[None],
        attention_mask=nothing_1111,
        position_ids=forest.position_T[None],
        use_cache=False,
        forest=forest,
    ).last_hidden_state
    return hidden_1TD[0]


def share_beginnings(model: PreTrainedModel) -> bool:
    """Switch a model over to attention in blocks, if that gives what it gave before.

    A model for which it does not is left as it was, with a warning that says why: its rows are then computed one
    beside the other. So are those of a model that sees, as pictures are no part of a forest.
    """
    if find_sight(model) is not None:
        return False
    if model.config._attn_implementation == PACKED:
        return True
    reason = _find_obstacle(model)
    if reason:
        warnings.warn(
            f"{type(model).__name__} cannot share the beginnings of its sequences ({reason}); learning is slower",
            stacklevel=2,
        )
    return not reason


def _find_obstacle(model: PreTrainedModel) -> str:
    """Say why a model cannot be switched over; empty when it has been."""
    layers = set(getattr(model.config, "layer_types", None) or ["full_attention"])
    if layers != {"full_attention"}:
        return f"it has layers of {', '.join(sorted(layers - {'full_attention'}))}"
    if getattr(model.config, "sliding_window", None) and getattr(model.config, "use_sliding_window", True):
        return f"it sees only the last {model.config.sliding_window} tokens"
    before = model.config._attn_implementation
    try:
        worst = _compare(model)
    except (TypeError, ValueError, RuntimeError, KeyError, AttributeError) as broken:
        model.config._attn_implementation = before
        return f"its attention cannot be exchanged: {str(broken).splitlines()[0]}"
    if not worst <= _TOLERANCE * (1 if model.dtype == torch.float32 else 16):
        model.config._attn_implementation = before
        return f"its hidden states would change by {worst:.2g} of the largest"
    return ""


@torch.no_grad()
def _compare(model: PreTrainedModel) -> float:
    """Switch over, and give the largest difference this makes to a few sequences."""
    size = min(model.config.vocab_size, 50)
    trunk = model.base_model
    sequences = [
        torch.tensor([3, 7, 5, 11, *rest]).remainder(size) for rest in ([13, 17], [13, 2, 9], [19], [4, 6, 8])
    ]
    plain = [
        trunk(input_ids=ids_T[None].to(model.device), use_cache=False).last_hidden_state[0]
        for ids_T in sequences
    ]
    model.config._attn_implementation = PACKED
    order = sort_sequences([ids_T.numpy() for ids_T in sequences])
    laid = [sequences[i].numpy() for i in order]
    forest, places = build_forest(laid, measure_shared(laid))
    hidden_TD = run_forest(trunk, forest.to(model.device))
    scale = max(float(states_TD.abs().max()) for states_TD in plain)
    return max(
        float((hidden_TD[torch.from_numpy(own)] - plain[i]).abs().max()) / max(scale, 1e-9)
        for i, own in zip(order, places, strict=True)
    )
