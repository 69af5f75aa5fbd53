import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import (
    BloomConfig,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3Config,
    Qwen3NextConfig,
)
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from milepost.training.attention import PACKED, share_beginnings
from milepost.training.batch import Row, cut_batch
from milepost.training.policy import score_tokens

SIZES: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
}
TAKEN: dict[str, PreTrainedConfig] = {
    "qwen3": Qwen3Config(**SIZES),
    "llama": LlamaConfig(**SIZES),
    "gpt2": GPT2Config(vocab_size=60, n_embd=32, n_layer=2, n_head=4, n_positions=512),
}
LEFT: dict[str, tuple[PreTrainedConfig, str]] = {
    "mistral": (MistralConfig(**SIZES, sliding_window=16), "sees only the last 16 tokens"),
    "gemma2": (Gemma2Config(**SIZES), "layers of sliding_attention"),
    "qwen3_next": (
        Qwen3NextConfig(
            **SIZES,
            num_experts=2,
            num_experts_per_tok=1,
            moe_intermediate_size=16,
            linear_num_key_heads=2,
            linear_num_value_heads=2,
            linear_key_head_dim=8,
            linear_value_head_dim=8,
            layer_types=["linear_attention", "full_attention"],
        ),
        "layers of linear_attention",
    ),
    "bloom": (BloomConfig(vocab_size=60, hidden_size=32, n_layer=2, n_head=4), "cannot be exchanged"),
}


def make(config: PreTrainedConfig) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(copy.deepcopy(config))  # type: ignore[no-untyped-call]
    model.eval()  # type: ignore[no-untyped-call]
    # Small random weights hide what attention does.
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(3.0)
    return model


def draw_rows(seed: int, count: int = 14) -> list[Row]:
    """Turns of groups: shared pages, histories that grow, equal answers, strangers."""
    rng = np.random.default_rng(seed)
    prompts: list[tuple[int, ...]] = [()]
    rows = []
    for _ in range(count):
        base = prompts[int(rng.integers(len(prompts)))]
        kept = base[: int(rng.integers(len(base) + 1))]
        prompt = kept + tuple(rng.integers(2, 60, size=int(rng.integers(1, 30))).tolist())
        for _ in range(int(rng.integers(1, 4))):
            completion = tuple(rng.integers(2, 5, size=int(rng.integers(1, 6))).tolist())
            rows.append(
                Row(
                    prompt_ids=prompt,
                    completion_ids=completion,
                    sampler_logps=(0.0,) * len(completion),
                    advantage=float(rng.normal()),
                    weight=0.05,
                )
            )
            prompts.append(prompt + completion)
    return rows


def learn(model: PreTrainedModel, rows: list[Row], *, share: bool, budget: int) -> tuple[float, Tensor]:
    model.zero_grad()
    loss = 0.0
    for micro in cut_batch(rows, token_budget=budget, share_prompts=share):
        logp_N = score_tokens(model, micro).logp_U[micro.token_N]
        part = (logp_N.exp() * micro.advantage_N * micro.weight_N).sum()
        part.backward()  # type: ignore[no-untyped-call]
        loss += float(part.detach())
    return loss, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("seed", range(2))
def test_loss_and_gradient_are_those_of_every_row_alone(name: str, seed: int) -> None:
    model, rows = make(TAKEN[name]), draw_rows(seed)
    loss, gradient = learn(model, rows, share=False, budget=1)
    assert share_beginnings(model)
    for budget in (64, 10_000):
        packed_loss, packed_gradient = learn(model, rows, share=True, budget=budget)
        assert packed_loss == pytest.approx(loss, abs=1e-5)
        assert float((packed_gradient - gradient).norm() / gradient.norm()) < 1e-5


def test_a_row_does_not_feel_its_neighbours() -> None:
    model, rows = make(TAKEN["qwen3"]), draw_rows(5)
    row = rows[3]

    def score(among: list[Row]) -> list[float]:
        (micro,) = cut_batch(among, token_budget=10_000)
        logp_N = score_tokens(model, micro).logp_U[micro.token_N]
        return logp_N[micro.row_N == [id(one) for one in micro.rows].index(id(row))].tolist()

    assert score(rows) == pytest.approx(score([row]), abs=1e-5)


@pytest.mark.parametrize("name", LEFT)
def test_a_model_that_cannot_share_is_left_as_it_was_and_says_why(name: str) -> None:
    config, reason = LEFT[name]
    model = make(config)
    before = model.config._attn_implementation
    with pytest.warns(UserWarning, match=reason):
        assert not share_beginnings(model)
    assert model.config._attn_implementation == before


def test_a_model_that_was_switched_over_still_takes_plain_batches() -> None:
    model = make(TAKEN["llama"])
    ids_ST = torch.tensor([[5, 6, 7, 8], [9, 10, 0, 0]])
    mask_ST = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    with torch.no_grad():
        before = model(input_ids=ids_ST, attention_mask=mask_ST).logits
        assert share_beginnings(model)
        assert model.config._attn_implementation == PACKED
        after = model(input_ids=ids_ST, attention_mask=mask_ST).logits
    assert torch.allclose(before[mask_ST == 1], after[mask_ST == 1], atol=1e-6)
    assert PACKED not in str(model.config.to_dict())


def test_gradient_checkpointing_changes_nothing() -> None:
    model, rows = make(TAKEN["qwen3"]), draw_rows(1)
    loss, gradient = learn(model, rows, share=True, budget=200)
    model.activation_checkpointing_enable()
    model.train()
    again, same = learn(model, rows, share=True, budget=200)
    assert again == pytest.approx(loss, abs=1e-6)
    assert torch.allclose(gradient, same, atol=1e-6)
