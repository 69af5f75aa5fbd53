from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen3ForCausalLM

from milepost.agents.engines.engine import EngineError, Fault
from milepost.agents.engines.handover import Handover


def test_the_newest_weights_can_be_loaded_and_older_ones_are_gone(
    model: Qwen3ForCausalLM, tmp_path: Path
) -> None:
    handover = Handover([tmp_path])
    first = handover.put(model)
    second = handover.put(model)
    assert not first.exists()
    assert handover.folder == second
    loaded = AutoModelForCausalLM.from_pretrained(second, dtype=torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))
    handover.close()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_not_there_is_passed_over_and_no_room_is_told(
    model: Qwen3ForCausalLM, tmp_path: Path
) -> None:
    handover = Handover([tmp_path / "none", tmp_path])
    assert handover.put(model).parent.parent == tmp_path
    with pytest.raises(EngineError, match=r"takes \d+ MB, and there is no room: ; free some") as full:
        Handover([tmp_path / "none"]).put(model)
    assert full.value.fault is Fault.WEIGHTS
