from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from milepost.training.adapters import as_reference, attach_adapter, check_adapter, has_adapter
from milepost.training.config import build_config
from milepost.training.learner import Learner
from milepost.training.objective import Objective
from milepost.training.overrides import ConfigError
from tests.training.test_learner import ROWS
from tests.training.trajectories import make_model

OBJECTIVE = Objective(learning_rate=1e-2, kl_coef=0.1, importance_cap=0.0)


def adapted(seed: int = 0) -> PreTrainedModel:
    model = make_model()
    attach_adapter(model, 2, seed=seed)
    return model


def logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=torch.arange(2, 12)[None]).logits
    return found


def test_an_adapter_starts_as_no_change_and_is_all_that_learns() -> None:
    model = adapted()
    assert torch.equal(logits(model), logits(make_model()))
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learning
    assert all("lora_" in name for name in learning)
    assert not any("lm_head" in name for name in learning)


def test_the_seed_draws_the_adapter() -> None:
    def draw(seed: int) -> list[float]:
        return [float(p.detach().sum()) for name, p in adapted(seed).named_parameters() if "lora_A" in name]

    assert draw(1) == draw(1) != draw(2)


def test_the_policy_without_its_adapter_is_the_reference() -> None:
    model, before = adapted(), logits(make_model())
    learner = Learner(model, OBJECTIVE, reference=model)
    first = learner.update(ROWS, np.random.default_rng(0))
    assert first["kl_reference"] == pytest.approx(0.0, abs=1e-7)
    assert learner.update(ROWS, np.random.default_rng(0))["kl_reference"] > 1e-6
    assert not torch.allclose(logits(model), before)
    with as_reference(model, model) as reference:
        assert torch.equal(logits(reference), before)
    assert not torch.allclose(logits(model), before)


def test_an_adapted_policy_learns_what_packing_computes_once() -> None:
    def learn(share: bool) -> torch.Tensor:
        learner = Learner(adapted(), OBJECTIVE, reference=None if share is None else make_model())
        learner._share_prompts = share
        learner.update(ROWS, np.random.default_rng(0))
        return torch.cat([p.detach().flatten() for p in learner.model.parameters() if p.requires_grad])

    assert torch.allclose(learn(True), learn(False), atol=1e-5)


def test_an_adapter_is_saved_alone_and_goes_on_learning(tmp_path: Path) -> None:
    make_model().save_pretrained(tmp_path / "policy")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "policy")
    attach_adapter(model, 2, seed=0)
    Learner(model, OBJECTIVE, reference=model).update(ROWS, np.random.default_rng(0))
    model.save_pretrained(tmp_path / "checkpoint")
    assert not (tmp_path / "checkpoint" / "model.safetensors").exists()
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "checkpoint")
    attach_adapter(again, 2, seed=5)
    assert torch.equal(logits(again), logits(model))
    assert all(p.requires_grad == ("lora_" in name) for name, p in again.named_parameters())
    with pytest.raises(ValueError, match=r"has an adapter of rank 2, policy\.lora_rank is 3"):
        attach_adapter(again, 3, seed=0)


def test_a_policy_without_an_adapter_is_not_its_own_reference() -> None:
    model = make_model()
    assert not has_adapter(model)
    with pytest.raises(ValueError, match="cannot be its own reference"):
        Learner(model, OBJECTIVE, reference=model)


@pytest.mark.parametrize("other", ["preference.method=dpo", "algorithm.reference_every=2"])
def test_what_needs_a_second_set_of_weights_is_refused(other: str) -> None:
    config = build_config({}, ["policy.lora_rank=4", "algorithm.kl_coef=0.1", other])
    with pytest.raises(ConfigError, match=r"policy\.lora_rank is 4 and"):
        check_adapter(config)


def test_a_server_is_sent_no_adapter() -> None:
    for engine in ("transformers", "vllm"):
        check_adapter(build_config({}, ["policy.lora_rank=4", f"policy.engine={engine}"]))
    config = build_config({}, ["policy.lora_rank=4", "policy.engine='vllm@http://127.0.0.1:8000'"])
    with pytest.raises(ConfigError, match=r"a server is sent whole weights, not adapters; set the engine to"):
        check_adapter(config)
