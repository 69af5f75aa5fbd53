"""vLLM itself, in processes of its own. `make test-vllm` runs these tests in an environment that has it."""

import asyncio
import math
import os
import signal
from collections.abc import AsyncIterator, Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Qwen3ForCausalLM

from milepost.agents.agent import Completion, Sampling
from milepost.agents.engines.choice import make_engine
from milepost.agents.engines.engine import EngineError, Fault
from milepost.agents.engines.handover import Weights
from milepost.agents.engines.probe import score_completion
from milepost.agents.engines.transformers import TransformersEngine
from milepost.agents.engines.vllm import VllmEngine
from milepost.agents.tiny.model import build_model
from milepost.training.adapters import attach_adapter

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1800), pytest.mark.asyncio(loop_scope="module")]

LENGTHS = (1, 15, 16, 17, 40, 127, 128, 129, 300, 511, 640, 900)
"""Of prompts; vLLM's blocks on a CPU hold 128 tokens."""

PROMPT = tuple(range(4, 304))
"""Two blocks of the prefix cache and more."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[VllmEngine]:
    log = tmp_path_factory.mktemp("vllm") / "engine.log"
    engine = make_engine("vllm", model, tokenizer, max_batch=16, log=log)
    assert isinstance(engine, VllmEngine)
    await engine.start(model, 0)
    yield engine
    await engine.close()
    await wait_for_the_end()


def find_processes() -> dict[int, str]:
    """Give vLLM's processes below this one, by id."""
    found: dict[int, str] = {}
    parents = {os.getpid()}
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            status = (folder / "status").read_text().splitlines()
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue  # it has just ended
        parent = int(next(line for line in status if line.startswith("PPid:")).split()[1])
        if parent in parents:
            parents.add(int(folder.name))
            if words.startswith("VLLM::"):
                found[int(folder.name)] = words
    return found


async def wait_for_the_end() -> None:
    """Processes whose parent has ended take a moment more; the test's own deadline bounds the wait."""
    while find_processes():
        await asyncio.sleep(0.2)


def backend_of(engine: VllmEngine) -> "LocalVllm":  # type: ignore[name-defined]  # noqa: F821
    from milepost.agents.engines.vllm_local import LocalVllm  # noqa: PLC0415 - only this environment has vLLM

    assert isinstance(engine._backend, LocalVllm)
    return engine._backend


@torch.no_grad()
def learn_something(policy: PreTrainedModel, *, seed: int) -> None:
    drawn = torch.Generator().manual_seed(seed)
    for name, parameter in policy.named_parameters():
        if "lora_B" in name:
            parameter.add_(torch.randn(parameter.shape, generator=drawn), alpha=0.1)


def difference(model: PreTrainedModel, served: Completion, temperature: float = 1.0) -> float:
    own = score_completion(model, served.prompt_ids, served.completion_ids, temperature)
    return max(abs(a - b) for a, b in zip(own, served.logps, strict=True))


async def ask(engine: VllmEngine, samplings: Sequence[Sampling]) -> list[Completion]:
    return list(await asyncio.gather(*(engine.generate(PROMPT, sampling) for sampling in samplings)))


@pytest.mark.parametrize("temperature", [1.0, 0.7])
async def test_tokens_come_with_the_log_probabilities_of_the_policy(
    engine: VllmEngine, model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase, temperature: float
) -> None:
    served = await ask(engine, [Sampling(temperature=temperature, seed=n, max_tokens=24) for n in range(16)])
    assert max(difference(model, one, temperature) for one in served) < 1e-3
    assert len({one.completion_ids for one in served}) == 16
    for one in served:
        ended = one.completion_ids[-1] == tokenizer.eos_token_id
        assert one.stop == ("stop" if ended else "length")
        assert ended or len(one.completion_ids) == 24
        assert one.text == tokenizer.decode(list(one.completion_ids), skip_special_tokens=True)


async def test_both_engines_write_the_same_greedy_tokens_before_and_after_an_update(
    engine: VllmEngine, model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Prompts of many lengths together, so that batches, chunks and cache blocks are mixed as in a rollout."""
    drawn = np.random.default_rng(1)
    prompts = [tuple(map(int, drawn.integers(len(tokenizer), size=size))) for size in LENGTHS]
    greedy = Sampling(temperature=0, max_tokens=24)
    for version, policy in enumerate((model, build_model(model.config, seed=21), model), start=10):
        await engine.update_weights(policy, version)
        own = TransformersEngine(policy, tokenizer)
        for sampling in (greedy, greedy):  # the second time out of the prefix cache
            ours = await asyncio.gather(*(own.generate(prompt, sampling) for prompt in prompts))
            theirs = await asyncio.gather(*(engine.generate(prompt, sampling) for prompt in prompts))
            assert [(o.completion_ids, o.stop) for o in ours] == [(t.completion_ids, t.stop) for t in theirs]
        sampled = await asyncio.gather(
            *(engine.generate(prompt, Sampling(seed=n, max_tokens=24)) for n, prompt in enumerate(prompts))
        )
        assert max(difference(policy, one) for one in sampled) < 1e-3
        await own.close()


async def test_a_seed_gives_the_same_tokens_again_and_greedy_is_certain(engine: VllmEngine) -> None:
    first, again = await ask(engine, [Sampling(seed=2**64 - 5, max_tokens=12)] * 2)
    assert first.completion_ids == again.completion_ids
    greedy, other = await ask(engine, [Sampling(temperature=0, seed=n, max_tokens=4) for n in (1, 2)])
    assert greedy.completion_ids == other.completion_ids
    assert greedy.logps == (0.0,) * 4


async def test_sampling_follows_the_policys_distribution(engine: VllmEngine, model: Qwen3ForCausalLM) -> None:
    requests = 1000
    served = await ask(engine, [Sampling(seed=n, max_tokens=1, temperature=0.2) for n in range(requests)])
    ids = [one.completion_ids[0] for one in served]
    likeliest = max(set(ids), key=ids.count)
    share = math.exp(score_completion(model, PROMPT, (likeliest,), 0.2)[0])
    spread = math.sqrt(share * (1 - share) / requests)
    assert abs(ids.count(likeliest) / requests - share) < 4 * spread


async def test_an_update_changes_what_is_served_and_no_cached_prompt_outlives_it(
    engine: VllmEngine, model: Qwen3ForCausalLM
) -> None:
    sampling = Sampling(seed=3, max_tokens=12)
    await engine.update_weights(model, 0)  # whatever the tests before have served
    await engine.generate(PROMPT, sampling)
    cached = engine.counts.cached_tokens
    before = await engine.generate(PROMPT, sampling)
    assert engine.counts.cached_tokens > cached  # so there was something that could have gone stale
    policy = build_model(model.config, seed=11)
    await engine.update_weights(policy, 1)
    cached = engine.counts.cached_tokens
    after = await engine.generate(PROMPT, sampling)
    assert engine.counts.cached_tokens == cached
    assert (before.policy_version, after.policy_version) == (0, 1)
    assert after.completion_ids != before.completion_ids
    assert difference(policy, after) < 1e-3
    assert (engine.counts.reloads, engine.counts.probe_error < 1e-3) == (0, True)
    await engine.update_weights(model, 2)
    assert (await engine.generate(PROMPT, sampling)).completion_ids == before.completion_ids


async def test_without_salt_and_reset_the_cache_would_be_stale(
    engine: VllmEngine, model: Qwen3ForCausalLM, tmp_path: Path
) -> None:
    """What the two guard against is real: the same prompt, new weights, old keys and values."""
    vllm = backend_of(engine)
    build_model(model.config, seed=12).save_pretrained(tmp_path)
    sampling = Sampling(seed=4, max_tokens=4)
    await vllm.sample(PROMPT, sampling, stops=(), salt="same")
    assert vllm._llm is not None
    await vllm._llm.collective_rpc("receive_policy", args=(str(tmp_path),))
    stale = await vllm.sample(PROMPT, sampling, stops=(), salt="same")
    assert stale.cached > 0
    own = score_completion(build_model(model.config, seed=12), PROMPT, stale.ids)
    assert max(abs(a - b) for a, b in zip(own, stale.logps, strict=True)) > 1e-2
    await engine.update_weights(model, 3)
    assert difference(model, await engine.generate(PROMPT, sampling)) < 1e-3


async def test_a_sleeping_engine_lets_requests_wait(engine: VllmEngine) -> None:
    await engine.sleep()
    request = asyncio.create_task(engine.generate(PROMPT, Sampling(max_tokens=3)))
    done, _ = await asyncio.wait({request}, timeout=0.3)
    assert not done
    await engine.wake()
    assert len((await request).completion_ids) <= 3


async def test_what_vllm_refuses_is_told_in_its_own_words(engine: VllmEngine) -> None:
    vllm = backend_of(engine)
    with pytest.raises(EngineError, match=r"vLLM refuses the request: .*max_tokens") as refused:
        await vllm.sample(PROMPT, Sampling(max_tokens=0), stops=(), salt="x")
    assert refused.value.fault is Fault.REQUEST
    assert (await engine.generate(PROMPT, Sampling(max_tokens=1))).completion_ids


async def test_a_killed_process_is_started_again_and_the_request_gets_its_tokens(
    engine: VllmEngine, model: Qwen3ForCausalLM
) -> None:
    await engine.update_weights(model, 5)
    sampling = Sampling(seed=7, max_tokens=12)
    (before,) = await ask(engine, [sampling])
    revivals = engine.counts.revivals
    victim = next(pid for pid, name in find_processes().items() if "EngineCore" in name)
    os.kill(victim, signal.SIGKILL)
    after = await ask(engine, [sampling] * 4)
    assert engine.counts.revivals == revivals + 1
    assert [one.completion_ids for one in after] == [before.completion_ids] * 4
    assert after[0].policy_version == 5
    assert difference(model, after[0]) < 1e-3
    assert victim not in find_processes()


async def test_weights_that_do_not_fit_are_told_in_vllms_own_words(
    engine: VllmEngine, model: Qwen3ForCausalLM, tmp_path: Path
) -> None:
    """The last of this engine: it does not survive it."""
    with pytest.raises(EngineError, match=r"vLLM failed while taking new weights: .*none") as failed:
        await backend_of(engine).load(Weights(folder=tmp_path / "none"))
    assert failed.value.fault is Fault.WEIGHTS
    await engine.close()
    await wait_for_the_end()
    model.save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"head_dim": 32', '"head_dim": 16'))
    vllm = type(backend_of(engine))(dtype="float32", max_batch=2, threads=1, log=tmp_path / "engine.log")
    with pytest.raises(EngineError, match=r"vLLM does not start: \w*Error: .*32") as failed:
        await vllm.launch(Weights(folder=tmp_path))
    assert failed.value.fault is Fault.SETUP
    await vllm.close()


async def test_an_adapter_is_served_by_version_beside_weights_that_stay(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """Comes after the last of the other engine: one vLLM at a time is enough for a small machine."""
    policy = deepcopy(model)
    attach_adapter(policy, 2, seed=0)
    engine = make_engine("vllm", policy, tokenizer, max_batch=4, log=tmp_path / "engine.log")
    assert isinstance(engine, VllmEngine)
    sampling = Sampling(seed=3, max_tokens=12)
    try:
        await engine.start(policy, 0)
        start = await engine.generate(PROMPT, sampling)
        assert difference(model, start) < 1e-3  # an adapter begins as no change
        for version in (1, 2):
            before = await engine.generate(PROMPT, sampling)
            learn_something(policy, seed=version)
            assert difference(policy, before) > 1e-2
            cached = engine.counts.cached_tokens
            await engine.update_weights(policy, version)
            after = await engine.generate(PROMPT, sampling)
            assert engine.counts.cached_tokens == cached
            assert difference(policy, after) < 1e-3
            assert (after.policy_version, engine.counts.reloads) == (version, 0)
    finally:
        await engine.close()
