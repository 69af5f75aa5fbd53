from pathlib import Path

import pytest
from transformers import Qwen3Config

from milepost.agents.llm import load_policy, save_policy
from milepost.training.config import Config, build_config
from milepost.training.memory import (
    ModelTooLargeError,
    check_memory,
    estimate_memory,
    find_memory,
)
from milepost.training.trainer import train
from tests.agents.seeing import make_seeing


@pytest.fixture
def large(tmp_path: Path) -> Path:
    folder = tmp_path / "large"
    Qwen3Config(
        vocab_size=100_000, hidden_size=65_536, intermediate_size=262_144, num_hidden_layers=2, head_dim=128
    ).save_pretrained(folder)
    return folder


def make_config(model: str, *overrides: str) -> Config:
    return build_config({"policy": {"model": model}}, overrides)


def test_the_estimate_counts_every_weight_and_what_learning_it_needs() -> None:
    weights = 4 * sum(p.numel() for p in load_policy("tiny")[0].parameters())
    plain = estimate_memory(make_config("tiny"))
    assert plain is not None
    assert (plain.weights, plain.gradients, plain.optimizer, plain.copies) == (
        weights,
        weights,
        2 * weights,
        0,
    )
    # 16,384 tokens x 4 layers x (10 x 128 + 3 x 256) numbers
    assert plain.activations == 16_384 * 4 * (1280 + 768) * 4
    assert plain.total == 4 * weights + plain.activations


def test_adapters_references_critics_and_recomputing_are_counted() -> None:
    plain = estimate_memory(make_config("tiny"))
    assert plain is not None
    adapter = estimate_memory(make_config("tiny", "policy.lora_rank=4", "algorithm.kl_coef=0.1"))
    reference = estimate_memory(make_config("tiny", "algorithm.kl_coef=0.1"))
    critic = estimate_memory(make_config("tiny", "algorithm.preset=ppo"))
    less = estimate_memory(make_config("tiny", "optim.recompute=true"))
    assert adapter is not None
    assert reference is not None
    assert critic is not None
    assert less is not None
    assert adapter.copies == 0
    assert adapter.optimizer == 2 * adapter.gradients < plain.optimizer / 10
    assert reference.copies == plain.weights
    assert critic.copies >= 4 * plain.weights
    priced = estimate_memory(
        make_config("tiny", "algorithm.kl_coef=0.1", "algorithm.kl_place=reward"), parts=4
    )
    shared = estimate_memory(make_config("tiny", "algorithm.kl_coef=0.1"), parts=4)
    assert priced is not None
    assert shared is not None
    # The process that leads has the whole policy beside its part; a reference that prices rewards stays whole.
    assert shared.weights == plain.weights + plain.weights // 4
    assert (shared.gradients, shared.optimizer) == (plain.gradients // 4, plain.optimizer // 4)
    assert (shared.copies, priced.copies) == (plain.weights // 4, plain.weights)
    assert less.activations == 16_384 * (4 * 128 + 1280 + 768) * 4


def test_a_policy_larger_than_memory_is_refused_before_it_is_loaded(large: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ModelTooLargeError,
        match=r"takes about \d+\.\d GiB \(weights .* are free; take a smaller policy, policy\.lora",
    ):
        train(make_config(str(large), "tasks.ids=['CatalogSearch-v0']"), tmp_path / "run")


def test_what_is_not_known_is_not_refused(tmp_path: Path) -> None:
    config = make_config(str(tmp_path / "nothing"))
    assert estimate_memory(config) is None
    check_memory(config, 1, needed=None)
    check_memory(make_config("tiny"), None, needed=estimate_memory(make_config("tiny")))


def test_the_machine_says_how_much_is_free() -> None:
    free = find_memory()
    assert free is None or 2**20 < free < 2**50


def test_a_policy_that_sees_is_estimated_with_its_vision_tower(tmp_path: Path) -> None:
    model, tokenizer = make_seeing("llava")
    save_policy(model, tokenizer, tmp_path)
    found = estimate_memory(make_config(str(tmp_path)))
    assert found is not None
    assert found.weights == 4 * sum(p.numel() for p in model.parameters())
