"""What the learner computes in, and what it keeps: half precision, and activations that are computed again.

Weights that learn are float32 in either precision.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from milepost.training.config import Precision


def choose_precision(wanted: Precision, device: torch.device) -> Precision:
    """Fall back to float32, with a warning, where a processor only imitates bfloat16."""
    if wanted == "float32" or computes_bfloat16(device):
        return wanted
    warnings.warn(
        f"this {device.type} has no instructions for bfloat16 and would imitate them, slower than float32: "
        "learning in float32",
        stacklevel=2,
    )
    return "float32"


def computes_bfloat16(device: torch.device) -> bool:
    """Say whether a device has instructions for bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@contextmanager
def computing(model: PreTrainedModel, precision: Precision, *, recompute: bool) -> Iterator[None]:
    """Run what is inside in a precision; with `recompute` layers keep only their inputs for the backward pass.

    Only the layers themselves are told that they train: their dropout stays off, and the engine that shares them
    finds them as they were.

    Raises:
        ValueError: the model has no layers that can be computed again.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, GradientCheckpointingLayer)]
    if recompute and not layers:
        raise ValueError(
            f"{type(model).__name__} cannot compute its layers again: set optim.recompute = false"
        )
    for layer in layers:
        layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)  # type: ignore[assignment]
        layer.gradient_checkpointing = layer.training = recompute
    try:
        with torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            yield
    finally:
        for layer in layers:
            layer.gradient_checkpointing = layer.training = False
