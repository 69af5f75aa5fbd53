"""The tiny policy's architecture: a Qwen3 of about a million parameters, made for two CPU cores."""

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

MAX_TOKENS = 4096
"""Longest prompt and completion together."""


def build_config(vocabulary: int, *, pad: int, end: int) -> Qwen3Config:
    """Give the architecture for a vocabulary size and the ids of the padding and end-of-turn tokens."""
    return Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=MAX_TOKENS,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        tie_word_embeddings=True,
        # Small initial weights never form the lookup circuit; .05 does (the library's default is .02).
        initializer_range=0.05,
        pad_token_id=pad,
        eos_token_id=end,
        bos_token_id=None,
    )


def build_model(config: Qwen3Config, *, seed: int) -> Qwen3ForCausalLM:
    """Build the model with random weights drawn from a seed, leaving torch's own generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen3ForCausalLM(config)
