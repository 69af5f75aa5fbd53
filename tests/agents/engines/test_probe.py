from copy import deepcopy

import pytest
import torch
from transformers import PreTrainedTokenizerBase, Qwen3ForCausalLM

from milepost.agents.engines.bounds import Bounds, find_bounds
from milepost.agents.engines.engine import EngineError, Fault
from milepost.agents.engines.probe import PROMPT, compare, make_probe, make_seen_probe, score_completion
from milepost.agents.sight import find_sight
from tests.agents.seeing import FIRST, make_seeing


def test_a_probe_is_always_the_same_and_fits_the_model(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    bounds = find_bounds(model, tokenizer)
    probe = make_probe(bounds)
    assert probe == make_probe(bounds)
    assert (len(probe), max(probe) < bounds.vocabulary) == (PROMPT, True)
    assert len(make_probe(Bounds(longest=20, vocabulary=7, stops=frozenset()))) == 12


def test_scores_are_those_of_the_models_own_distribution(model: Qwen3ForCausalLM) -> None:
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[5, 6, 7, 8]])).logits[0, 1:3]
    expected = torch.log_softmax(logits / 0.5, dim=-1)
    scores = score_completion(model, (5, 6), (7, 8), temperature=0.5)
    assert scores == pytest.approx([float(expected[0, 7]), float(expected[1, 8])], abs=1e-5)


def test_weights_that_are_stale_in_one_layer_are_found(model: Qwen3ForCausalLM) -> None:
    prompt, completion = tuple(range(4, 40)), (7, 8, 9)
    served = score_completion(model, prompt, completion)
    assert compare(model, prompt, completion, served) == 0.0
    changed = deepcopy(model)
    with torch.no_grad():
        changed.model.layers[2].mlp.down_proj.weight.mul_(1.5)
    with pytest.raises(EngineError, match="does not serve the policy's weights") as stale:
        compare(changed, prompt, completion, served)
    assert stale.value.fault is Fault.WEIGHTS
    with pytest.raises(EngineError, match="differ by nan"):
        compare(model, prompt, completion, [float("nan")] * 3)


@pytest.mark.parametrize("name", FIRST)
def test_a_seen_probe_fits_and_needs_the_picture(name: str) -> None:
    model, tokenizer = make_seeing(name)
    sight = find_sight(model)
    assert sight is not None
    bounds = find_bounds(model, tokenizer)
    probe, picture = make_seen_probe(bounds, sight, tokenizer)
    assert (probe, picture) == make_seen_probe(bounds, sight, tokenizer)
    assert len(probe) > 128  # a block of vLLM's cache on a CPU
    small, _ = make_seen_probe(Bounds(longest=90, vocabulary=20, stops=frozenset()), sight, tokenizer)
    assert len(small) <= 90 - 8
    served = score_completion(model, probe, (7, 8, 9), picture=picture)
    assert compare(model, probe, (7, 8, 9), served, picture) == 0.0
    changed = deepcopy(model)
    with torch.no_grad():
        for part, parameter in changed.named_parameters():
            if "vis" in part:
                parameter.mul_(1.5)
    with pytest.raises(EngineError, match="does not serve the policy's weights"):
        compare(changed, probe, (7, 8, 9), served, picture)
