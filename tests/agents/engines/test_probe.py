from copy import deepcopy

import pytest
import torch
from transformers import PreTrainedTokenizerBase, Qwen3ForCausalLM

from milepost.agents.engines.bounds import Bounds, find_bounds
from milepost.agents.engines.engine import EngineError, Fault
from milepost.agents.engines.probe import PROMPT, compare, make_probe, score_completion


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
