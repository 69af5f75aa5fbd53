"""The decoders: both compute the same numbers, and with the lean one a row depends on nobody else, to the last bit."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Qwen3Config, Qwen3ForCausalLM

from milepost.agents.agent import Sampling
from milepost.agents.engines.decoding import CachedDecoder, Decoder, LeanDecoder, make_decoder
from milepost.agents.engines.transformers import Sampled, sample_batch
from milepost.agents.tiny.model import build_config, build_model
from tests.agents.engines.test_transformers import PROMPTS as FIVE
from tests.agents.engines.test_transformers import SMALL, make_other_models, score, serve

MODEL = build_model(build_config(512, pad=0, end=1), seed=0)
PROMPTS = [
    tuple(np.random.default_rng(n).integers(2, 512, size=size).tolist())
    for n, size in enumerate([9, 33, 40, 5, 71, 16, 64, 23])
]


def sample(which: Sequence[int]) -> list[Sampled]:
    samplings = [Sampling(max_tokens=4 + n, seed=n) for n in which]
    return sample_batch(MODEL, [PROMPTS[n] for n in which], samplings, stops=frozenset({1}))


def multiplies_rows_alike() -> bool:
    """Whether this machine's matrix product gives a row the same bits among any number of four rows and more."""
    generator = torch.Generator().manual_seed(0)
    for inner, outer in ((128, 512), (256, 128)):
        x_NC = torch.randn(64, inner, generator=generator)
        w_DC = torch.randn(outer, inner, generator=generator)
        whole_ND = torch.nn.functional.linear(x_NC, w_DC)
        for n in range(4, 64):
            if not torch.equal(torch.nn.functional.linear(x_NC[:n], w_DC), whole_ND[:n]):
                return False
    return True


@pytest.mark.parametrize("together", [[0], [3, 1], [2, 4, 7], [0, 1, 2, 3, 4], [7, 6, 5, 4, 3, 2, 1, 0]])
def test_a_completion_has_the_same_bits_whoever_it_is_batched_with(together: list[int]) -> None:
    assert isinstance(make_decoder(MODEL), LeanDecoder)
    alone = dict(enumerate(sample(range(len(PROMPTS)))))
    found = sample(together)
    assert [one.ids for one in found] == [alone[n].ids for n in together]
    if multiplies_rows_alike():
        assert [one.logps for one in found] == [alone[n].logps for n in together]
    else:  # a processor whose products depend on how many rows there are
        for one, n in zip(found, together, strict=True):
            assert one.logps == pytest.approx(alone[n].logps, abs=1e-5)


@pytest.mark.parametrize("other", make_other_models(), ids=["llama", "gpt2"])
async def test_models_of_other_kinds_are_served_as_exactly(
    other: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    assert isinstance(make_decoder(other), CachedDecoder)
    requests = [(p, Sampling(max_tokens=12, seed=i)) for i, p in enumerate(FIVE)]
    together = await serve(other, tokenizer, requests)
    for request, completion in zip(requests, together, strict=True):
        assert completion.logps == pytest.approx(score(other, completion, 1.0), abs=1e-5)
        assert (await serve(other, tokenizer, [request]))[0].completion_ids == completion.completion_ids


def decode(decoder: Decoder) -> torch.Tensor:
    """Start, take rows twice and in another order, and go on: every logit on the way."""
    with torch.inference_mode():
        logits = [decoder.start(FIVE, 4)]
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
