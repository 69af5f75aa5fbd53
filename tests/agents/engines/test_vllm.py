"""The engine's own part: salts, probes, revivals. Its backend here is this process; `test_vllm_local.py` has vLLM itself."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase, Qwen3ForCausalLM

from milepost.agents.agent import Sampling
from milepost.agents.engines.engine import Deadlines, EngineError, Fault
from milepost.agents.engines.handover import Weights
from milepost.agents.engines.probe import score_completion
from milepost.agents.engines.transformers import sample_batch
from milepost.agents.engines.vllm import VllmEngine
from milepost.agents.engines.vllm_backend import Served
from milepost.agents.llm import load_policy
from milepost.agents.tiny.model import build_model
from milepost.training.adapters import attach_adapter

PROMPT = tuple(range(4, 60))


def read_policy(weights: Weights) -> PreTrainedModel:
    if weights.sees:
        return load_policy(str(weights.folder))[0]
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(weights.folder, dtype=torch.float32)
    if weights.adapter is not None:
        model.load_adapter(str(weights.adapter))
    return model


class HereBackend:
    """Serves checkpoints as vLLM does, by `transformers`; and fails on demand."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.taken: list[Weights] = []
        self.salts: Counter[str] = Counter()
        self.deaths = 0
        self.deaf = False
        self.slow_s = 0.0
        self.silent: set[int] = set()
        self.more: tuple[int, ...] = ()
        self._model: PreTrainedModel | None = None

    async def launch(self, weights: Weights) -> None:
        self.calls.append("launch")
        self.taken.append(weights)
        self._model = read_policy(weights)

    async def load(self, weights: Weights) -> None:
        self.calls.append("load")
        self.taken.append(weights)
        if not self.deaf:
            self._model = read_policy(weights)

    async def sample(
        self,
        prompt_ids: Sequence[int],
        sampling: Sampling,
        *,
        stops: Sequence[int],
        salt: str,
        silent: Sequence[int] = (),
        picture: bytes | None = None,
    ) -> Served:
        await asyncio.sleep(self.slow_s)
        if self.deaths:
            self.deaths -= 1
            raise EngineError("it was killed", Fault.DIED)
        assert self._model is not None
        self.salts[salt] += 1
        self.silent |= set(silent)
        # As vLLM does it: one mark for the picture comes in, and becomes as many tokens as there are patches.
        image = getattr(self._model.config, "image_token_id", None)
        prompt = tuple(i for token in prompt_ids for i in [token] * (16 if token == image else 1))
        prompt += self.more
        (one,) = sample_batch(self._model, [prompt], [sampling], stops=frozenset(stops), pictures=[picture])
        return Served(ids=tuple(one.ids), logps=tuple(one.logps), stop=one.stop, cached=3, prompt=prompt)

    async def sleep(self) -> None:
        self.calls.append("sleep")

    async def wake(self) -> None:
        self.calls.append("wake")

    async def close(self) -> None:
        self.calls.append("close")


@pytest.fixture
def backend() -> HereBackend:
    return HereBackend()


@pytest.fixture
def engine(backend: HereBackend, tokenizer: PreTrainedTokenizerBase) -> VllmEngine:
    return VllmEngine(backend, tokenizer, revivals=2)


def assert_served_by(model: PreTrainedModel, ids: Sequence[int], logps: Sequence[float]) -> None:
    assert logps == pytest.approx(score_completion(model, PROMPT, ids), abs=1e-5)


async def test_an_update_changes_what_is_served_and_the_salt(
    engine: VllmEngine, backend: HereBackend, model: Qwen3ForCausalLM
) -> None:
    await engine.start(model, 3)
    sampling = Sampling(max_tokens=8, seed=1)
    old = await engine.generate(PROMPT, sampling)
    assert_served_by(model, old.completion_ids, old.logps)
    policy = build_model(model.config, seed=9)
    await engine.update_weights(policy, 4)
    new = await engine.generate(PROMPT, sampling)
    assert_served_by(policy, new.completion_ids, new.logps)
    assert (old.policy_version, new.policy_version, engine.policy_version) == (3, 4, 4)
    assert old.completion_ids != new.completion_ids
    assert backend.salts == {"1-0": 2, "1-1": 2}  # a probe and a request each
    assert (engine.counts.requests, engine.counts.cached_tokens, engine.counts.updates) == (2, 6, 1)
    await engine.close()
    assert backend.calls == ["launch", "load", "close"]


async def test_a_policy_with_an_adapter_sends_the_rest_of_its_weights_once(
    engine: VllmEngine, backend: HereBackend, model: Qwen3ForCausalLM
) -> None:
    policy = deepcopy(model)
    attach_adapter(policy, 2, seed=0)
    await engine.start(policy, 0)
    before = await engine.generate(PROMPT, Sampling(max_tokens=8))
    assert_served_by(model, before.completion_ids, before.logps)  # an adapter begins as no change
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.02)
    await engine.update_weights(policy, 1)
    after = await engine.generate(PROMPT, Sampling(max_tokens=8))
    assert_served_by(policy, after.completion_ids, after.logps)
    assert after.completion_ids != before.completion_ids
    await engine.close()
    assert [weights.folder for weights in backend.taken] == [backend.taken[0].folder] * 2
    assert len({weights.adapter for weights in backend.taken}) == 2
    assert [weights.rank for weights in backend.taken] == [2, 2]


async def test_weights_that_do_not_arrive_are_sent_again_by_a_restart(
    engine: VllmEngine, backend: HereBackend, model: Qwen3ForCausalLM
) -> None:
    await engine.start(model, 0)
    backend.deaf = True
    policy = build_model(model.config, seed=9)
    await engine.update_weights(policy, 1)
    assert backend.calls == ["launch", "load", "close", "launch"]
    assert engine.counts.reloads == 1
    served = await engine.generate(PROMPT, Sampling(max_tokens=8))
    assert_served_by(policy, served.completion_ids, served.logps)
    await engine.close()


async def test_what_serves_another_policy_is_refused_from_the_start(
    engine: VllmEngine, backend: HereBackend, model: Qwen3ForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = build_model(model.config, seed=9)

    async def launch(weights: Weights) -> None:
        backend._model = other

    monkeypatch.setattr(backend, "launch", launch)
    with pytest.raises(EngineError, match="does not serve the policy's weights") as wrong:
        await engine.start(model, 0)
    assert wrong.value.fault is Fault.WEIGHTS
    await engine.close()


async def test_a_death_is_answered_by_a_restart_and_every_request_gets_its_tokens(
    engine: VllmEngine, backend: HereBackend, model: Qwen3ForCausalLM
) -> None:
    await engine.start(model, 0)
    requests = [Sampling(max_tokens=4, seed=n) for n in range(3)]
    before = [await engine.generate(PROMPT, sampling) for sampling in requests]
    backend.deaths = 3
    after = await asyncio.gather(*(engine.generate(PROMPT, sampling) for sampling in requests))
    assert after == before
    assert (engine.counts.revivals, backend.calls) == (1, ["launch", "close", "launch"])
    await engine.close()


async def test_a_backend_that_keeps_dying_is_given_up_with_its_words(
    engine: VllmEngine, backend: HereBackend, model: Qwen3ForCausalLM
) -> None:
    await engine.start(model, 0)
    backend.deaths = 100
    with pytest.raises(EngineError, match="vLLM died 3 times; it was killed") as dead:
        await engine.generate(PROMPT, Sampling())
    assert dead.value.fault is Fault.DIED
    assert backend.calls.count("launch") == 3
    await engine.close()


async def test_requests_wait_while_the_engine_sleeps(
    engine: VllmEngine, backend: HereBackend, model: Qwen3ForCausalLM
) -> None:
    await engine.start(model, 0)
    await engine.sleep()
    await engine.update_weights(model, 1)
    request = asyncio.create_task(engine.generate(PROMPT, Sampling(max_tokens=2)))
    done, _ = await asyncio.wait({request}, timeout=0.05)
    assert not done
    await engine.wake()
    assert (await request).policy_version == 1
    assert backend.calls == ["launch", "sleep", "load", "wake"]
    await engine.close()


async def test_slow_calls_fail_at_their_deadlines_and_bad_requests_before_the_backend(
    backend: HereBackend, tokenizer: PreTrainedTokenizerBase, model: Qwen3ForCausalLM
) -> None:
    engine = VllmEngine(backend, tokenizer, deadlines=Deadlines(generate_s=0.02, update_s=0.02))
    with pytest.raises(EngineError, match="the engine is not started"):
        await engine.generate(PROMPT, Sampling())
    await engine.start(model, 0)
    backend.slow_s = 5.0
    with pytest.raises(EngineError, match="generating a completion took longer") as late:
        await engine.generate(PROMPT, Sampling())
    assert late.value.fault is Fault.TIMEOUT
    with pytest.raises(EngineError, match="sending weights of version 1 took longer"):
        await engine.update_weights(deepcopy(model), 1)
    assert engine.policy_version == 0
    with pytest.raises(EngineError, match="holds the token id 1000000"):
        await engine.generate((10**6,), Sampling())
    await engine.close()
    with pytest.raises(EngineError, match="the engine is closed"):
        await engine.generate(PROMPT, Sampling())


async def test_a_picture_for_a_policy_of_text_is_refused(engine: VllmEngine, model: Qwen3ForCausalLM) -> None:
    await engine.start(model, 0)
    with pytest.raises(EngineError, match="reads text and takes no picture") as refused:
        await engine.generate(PROMPT, Sampling(), b"a picture")
    assert refused.value.fault is Fault.REQUEST
    await engine.close()
