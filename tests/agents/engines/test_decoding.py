"""The two decoders compute the same numbers."""

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Qwen3Config, Qwen3ForCausalLM

from milepost.agents.agent import Sampling
from milepost.agents.engines.decoding import CachedDecoder, Decoder, LeanDecoder, make_decoder
from tests.agents.engines.test_transformers import PROMPTS, SMALL, make_other_models, score, serve


@pytest.mark.parametrize("other", make_other_models(), ids=["llama", "gpt2"])
async def test_models_of_other_kinds_are_served_as_exactly(
    other: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    assert isinstance(make_decoder(other), CachedDecoder)
    requests = [(p, Sampling(max_tokens=12, seed=i)) for i, p in enumerate(PROMPTS)]
    together = await serve(other, tokenizer, requests)
    for request, completion in zip(requests, together, strict=True):
        assert completion.logps == pytest.approx(score(other, completion, 1.0), abs=1e-5)
        assert (await serve(other, tokenizer, [request]))[0].completion_ids == completion.completion_ids


def decode(decoder: Decoder) -> torch.Tensor:
    """Start, take rows twice and in another order, and go on: every logit on the way."""
    with torch.inference_mode():
        logits = [decoder.start(PROMPTS, 4)]
        logits.append(decoder.advance([5, 6, 7, 8, 9]))
        decoder.select([3, 0, 0])
        logits += [decoder.advance([9, 10, 11]), decoder.advance([9, 9, 9])]
    return torch.cat(logits)


@pytest.mark.parametrize("key_value_heads", [4, 2, 1])
def test_the_lean_decoder_computes_what_the_model_computes(key_value_heads: int) -> None:
    config = Qwen3Config(**SMALL, intermediate_size=48, num_key_value_heads=key_value_heads, head_dim=16)
    torch.manual_seed(1)
    small = Qwen3ForCausalLM(config)
    for name, parameter in small.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    lean = make_decoder(small)
    assert isinstance(lean, LeanDecoder)
    torch.testing.assert_close(decode(lean), decode(CachedDecoder(small)), atol=1e-5, rtol=1e-5)


def test_a_model_that_is_not_plain_is_left_to_its_own_forward(model: Qwen3ForCausalLM) -> None:
    assert isinstance(make_decoder(model), LeanDecoder)
    sliding = Qwen3Config(
        **SMALL, intermediate_size=48, num_key_value_heads=2, use_sliding_window=True, max_window_layers=0
    )
    assert isinstance(make_decoder(Qwen3ForCausalLM(sliding)), CachedDecoder)
    adapted = Qwen3ForCausalLM(Qwen3Config(**SMALL, intermediate_size=48, num_key_value_heads=2))
    adapted.model.layers[0].self_attn.q_proj = torch.nn.Sequential(torch.nn.Linear(32, 512))
    assert isinstance(make_decoder(adapted), CachedDecoder)
