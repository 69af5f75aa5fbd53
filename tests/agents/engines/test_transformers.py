"""The in-process engine: exact log-probabilities, reproducible tokens, batching, failures."""

import asyncio
import math
import threading
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen3ForCausalLM,
)

from milepost.agents.agent import Completion, Sampling
from milepost.agents.engines.engine import Deadlines, EngineError, Fault
from milepost.agents.engines.transformers import TransformersEngine
from milepost.agents.tiny.model import MAX_TOKENS, build_model

PROMPTS = [
    tuple(int(i) for i in np.random.default_rng(n).integers(4, 300, size=n)) for n in (5, 40, 17, 40, 3)
]


async def serve(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[tuple[tuple[int, ...], Sampling]],
    max_batch: int = 32,
) -> list[Completion]:
    engine = TransformersEngine(model, tokenizer, max_batch=max_batch)
    completions = await asyncio.gather(*(engine.generate(ids, sampling) for ids, sampling in requests))
    await engine.close()
    return list(completions)


def score(model: PreTrainedModel, completion: Completion, temperature: float) -> list[float]:
    """Log-probabilities by one plain forward pass over prompt and completion."""
    ids = torch.tensor([[*completion.prompt_ids, *completion.completion_ids]])
    with torch.inference_mode():
        logits = model(input_ids=ids).logits[0, len(completion.prompt_ids) - 1 : -1]
    logps = torch.log_softmax(logits.float() / temperature, dim=-1)
    return [float(row[i]) for row, i in zip(logps, completion.completion_ids, strict=True)]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
async def test_log_probabilities_are_those_of_a_plain_forward_pass(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase, temperature: float
) -> None:
    requests = [(p, Sampling(temperature=temperature, max_tokens=12, seed=i)) for i, p in enumerate(PROMPTS)]
    for completion in await serve(model, tokenizer, requests):
        assert completion.logps == pytest.approx(score(model, completion, temperature), abs=1e-5)


async def test_a_request_gets_the_same_tokens_alone_and_in_any_batch(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    requests = [(p, Sampling(max_tokens=10, seed=7 + i)) for i, p in enumerate(PROMPTS)]
    together = await serve(model, tokenizer, requests)
    alone = [(await serve(model, tokenizer, [request]))[0] for request in requests]
    pairs = await serve(model, tokenizer, requests[::-1], max_batch=2)
    ids = [c.completion_ids for c in together]
    assert [c.completion_ids for c in alone] == ids
    assert [c.completion_ids for c in pairs][::-1] == ids


async def test_equal_prompts_with_different_seeds_get_different_tokens(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    requests = [(PROMPTS[1], Sampling(max_tokens=8, seed=seed)) for seed in range(4)]
    completions = await serve(model, tokenizer, requests)
    assert len({c.completion_ids for c in completions}) == 4


async def test_temperature_zero_takes_the_likeliest_token_with_certainty(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    requests = [(PROMPTS[2], Sampling(temperature=0, max_tokens=6, seed=seed)) for seed in (1, 2)]
    first, second = await serve(model, tokenizer, requests)
    assert first.completion_ids == second.completion_ids
    ids = torch.tensor([[*first.prompt_ids, *first.completion_ids]])
    with torch.inference_mode():
        likeliest = model(input_ids=ids).logits[0].argmax(dim=-1)
    assert first.completion_ids == tuple(likeliest[len(first.prompt_ids) - 1 : -1].tolist())
    assert first.logps == (0.0,) * len(first.completion_ids)


async def test_a_completion_stops_at_the_end_of_turn_or_at_its_length(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    lengths = [1, 3, 200]
    requests = [(PROMPTS[0], Sampling(max_tokens=n, seed=n)) for n in lengths] * 8
    for completion in await serve(model, tokenizer, requests):
        ended = completion.completion_ids[-1] == tokenizer.eos_token_id
        assert completion.stop == ("stop" if ended else "length")
        assert tokenizer.eos_token_id not in completion.completion_ids[:-1]
        assert completion.text == tokenizer.decode(list(completion.completion_ids), skip_special_tokens=True)


async def test_sampling_follows_the_models_distribution(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    requests = [(PROMPTS[4], Sampling(max_tokens=1, temperature=0.2, seed=seed)) for seed in range(2000)]
    counts: dict[int, int] = {}
    probabilities: dict[int, float] = {}
    for completion in await serve(model, tokenizer, requests, max_batch=500):
        (token,), (logp,) = completion.completion_ids, completion.logps
        counts[token], probabilities[token] = counts.get(token, 0) + 1, math.exp(logp)
    token = max(counts, key=lambda t: counts[t])
    spread = math.sqrt(probabilities[token] * (1 - probabilities[token]) / 2000)
    assert abs(counts[token] / 2000 - probabilities[token]) < 4 * spread


async def test_an_update_raises_the_version_and_requests_under_way_end_with_the_old_one(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    engine = TransformersEngine(model, tokenizer)
    await engine.start(model, 3)
    early = asyncio.create_task(engine.generate(PROMPTS[0], Sampling(max_tokens=5)))
    await asyncio.sleep(0)
    await engine.pause()
    assert early.done()
    waiting = asyncio.create_task(engine.generate(PROMPTS[1], Sampling(max_tokens=5)))
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    assert not done
    await engine.update_weights(model, 4)
    await engine.resume()
    assert [(await request).policy_version for request in (early, waiting)] == [3, 4]
    await engine.close()


async def test_a_copy_takes_the_weights_of_the_policy_it_is_sent(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    policy = build_model(model.config, seed=8)
    engine = TransformersEngine(deepcopy(model), tokenizer)
    before = await engine.generate(PROMPTS[0], Sampling(max_tokens=8))
    assert before.logps == pytest.approx(score(model, before, 1.0), abs=1e-5)
    await engine.update_weights(policy, 1)
    after = await engine.generate(PROMPTS[0], Sampling(max_tokens=8))
    assert after.logps == pytest.approx(score(policy, after, 1.0), abs=1e-5)
    assert after.completion_ids != before.completion_ids
    with pytest.raises(EngineError, match="the weights do not fit") as wrong:
        await engine.update_weights(make_other_models()[0], 2)
    assert (wrong.value.fault, engine.policy_version) == (Fault.WEIGHTS, 1)
    await engine.close()


async def test_a_sleeping_engine_serves_when_it_wakes(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    engine = TransformersEngine(model, tokenizer)
    await engine.sleep()
    request = asyncio.create_task(engine.generate(PROMPTS[0], Sampling(max_tokens=2)))
    done, _ = await asyncio.wait({request}, timeout=0.05)
    assert not done
    await engine.wake()
    assert (await request).prompt_ids == PROMPTS[0]
    await engine.close()


async def test_calls_over_their_deadlines_fail_as_such_and_the_engine_goes_on(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    patient = TransformersEngine(model, tokenizer, deadlines=Deadlines(generate_s=0.05))
    hasty = TransformersEngine(model, tokenizer, deadlines=Deadlines(pause_s=0.05))
    held = threading.Event()
    hook = model.model.embed_tokens.register_forward_pre_hook(lambda *_: held.wait(60) and None)
    with pytest.raises(EngineError, match="generating a completion took longer") as late:
        await patient.generate(PROMPTS[0], Sampling(max_tokens=1))
    assert late.value.fault is Fault.TIMEOUT
    request = asyncio.create_task(hasty.generate(PROMPTS[0], Sampling(max_tokens=1)))
    await asyncio.sleep(0)
    with pytest.raises(EngineError, match="waiting for the requests under way took longer"):
        await hasty.pause()
    hook.remove()
    held.set()
    assert (await request).prompt_ids == PROMPTS[0]
    await patient.pause()  # the batch whose request was given up ends too
    await asyncio.gather(patient.close(), hasty.close())


async def test_a_cancelled_request_does_not_disturb_the_others(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    engine = TransformersEngine(model, tokenizer)
    tasks = [asyncio.create_task(engine.generate(p, Sampling(max_tokens=4))) for p in PROMPTS]
    await asyncio.sleep(0)
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(r) for r in results] == [
        Completion,
        asyncio.CancelledError,
        Completion,
        Completion,
        Completion,
    ]
    await engine.close()


async def test_a_prompt_that_does_not_fit_is_refused_with_the_limits(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    engine = TransformersEngine(model, tokenizer)
    with pytest.raises(
        EngineError, match=f"has {MAX_TOKENS} tokens; with 48 to sample, this model takes 1 to"
    ):
        await engine.generate((5,) * MAX_TOKENS, Sampling())
    with pytest.raises(EngineError, match="has 0 tokens"):
        await engine.generate((), Sampling())
    await engine.close()


async def test_a_model_that_fails_fails_a_batch_in_its_own_words_and_the_engine_goes_on(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no memory left")

    engine = TransformersEngine(model, tokenizer)
    hook = model.model.embed_tokens.register_forward_pre_hook(fail)
    with pytest.raises(EngineError, match="the model failed: no memory left") as failed:
        await engine.generate(PROMPTS[0], Sampling(max_tokens=1))
    assert failed.value.fault is Fault.BACKEND
    hook.remove()
    assert (await engine.generate(PROMPTS[0], Sampling(max_tokens=1))).stop in ("stop", "length")
    await engine.close()


async def test_a_tokenizer_whose_padding_is_its_end_of_turn_changes_nothing(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    requests = [(p, Sampling(max_tokens=30, seed=i, temperature=2.0)) for i, p in enumerate(PROMPTS * 8)]
    doubled = deepcopy(tokenizer)
    doubled.pad_token = doubled.eos_token
    policy = make_other_models()[0].eval()  # type: ignore[no-untyped-call]
    plain, same = await serve(policy, tokenizer, requests), await serve(policy, doubled, requests)
    assert same == plain
    for one in plain[:5]:
        assert one.logps == pytest.approx(score(policy, one, 2.0), abs=1e-5)
    assert doubled.pad_token_id == doubled.eos_token_id == 1
    assert any(one.completion_ids[-1] == 1 for one in same)


async def test_a_closed_engine_refuses_requests(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    engine = TransformersEngine(model, tokenizer)
    await engine.close()
    with pytest.raises(EngineError, match="closed"):
        await engine.generate(PROMPTS[0], Sampling())


def test_an_engine_serves_several_event_loops_one_after_the_other(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    engine = TransformersEngine(model, tokenizer)
    first, second = (asyncio.run(engine.generate(PROMPTS[0], Sampling(max_tokens=3))) for _ in range(2))
    assert first == second


def test_a_batch_of_no_requests_is_refused(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        TransformersEngine(model, tokenizer, max_batch=0)


SMALL: dict[str, Any] = {
    "vocab_size": 400,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


def make_other_models() -> list[PreTrainedModel]:
    torch.manual_seed(0)
    return [
        LlamaForCausalLM(LlamaConfig(**SMALL, intermediate_size=48, num_key_value_heads=2)),
        GPT2LMHeadModel(GPT2Config(vocab_size=400, n_embd=32, n_layer=2, n_head=4, n_positions=128)),
    ]
