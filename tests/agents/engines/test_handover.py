from copy import deepcopy
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen3ForCausalLM

from milepost.agents.engines.engine import EngineError, Fault
from milepost.agents.engines.handover import Handover
from milepost.agents.llm import load_policy
from milepost.agents.sight import find_sight
from milepost.training.adapters import attach_adapter
from tests.agents.seeing import draw_picture, make_seeing


def test_the_newest_weights_can_be_loaded_and_older_ones_are_gone(
    model: Qwen3ForCausalLM, tmp_path: Path
) -> None:
    handover = Handover([tmp_path])
    first = handover.put(model)
    second = handover.put(model)
    assert not first.folder.exists()
    assert handover.weights == second
    loaded = AutoModelForCausalLM.from_pretrained(second.folder, dtype=torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))
    handover.close()
    assert list(tmp_path.iterdir()) == []


def test_the_eyes_of_a_policy_go_over_with_it(model: Qwen3ForCausalLM, tmp_path: Path) -> None:
    policy, _ = make_seeing("llava")
    handover = Handover([tmp_path])
    weights = handover.put(policy)
    assert weights.sees
    loaded, own = find_sight(load_policy(str(weights.folder))[0]), find_sight(policy)
    assert loaded is not None
    assert own is not None
    picture = draw_picture(7)
    assert torch.equal(loaded.look(picture)["pixel_values"], own.look(picture)["pixel_values"])
    handover.close()
    assert not Handover([tmp_path]).put(model).sees


def test_of_a_policy_with_an_adapter_the_rest_goes_over_once(model: Qwen3ForCausalLM, tmp_path: Path) -> None:
    policy = deepcopy(model)
    attach_adapter(policy, 2, seed=0)
    handover = Handover([tmp_path])
    first, second = handover.put(policy), handover.put(policy)
    assert first.folder == second.folder
    assert (first.rank, second.rank) == (2, 2)
    assert first.adapter is not None
    assert second.adapter is not None
    assert not first.adapter.exists()
    assert not (second.adapter / "model.safetensors").exists()
    loaded = AutoModelForCausalLM.from_pretrained(second.folder, dtype=torch.float32)
    assert loaded.generation_config.eos_token_id == 1
    own = dict(loaded.named_parameters())
    assert own.keys() == dict(model.named_parameters()).keys()
    assert all(torch.equal(parameter, own[name]) for name, parameter in model.named_parameters())
    handover.close()


def test_a_place_that_is_not_there_is_passed_over_and_no_room_is_told(
    model: Qwen3ForCausalLM, tmp_path: Path
) -> None:
    handover = Handover([tmp_path / "none", tmp_path])
    assert handover.put(model).folder.parent.parent == tmp_path
    with pytest.raises(EngineError, match=r"takes \d+ MB, and there is no room: ; free some") as full:
        Handover([tmp_path / "none"]).put(model)
    assert full.value.fault is Fault.WEIGHTS
