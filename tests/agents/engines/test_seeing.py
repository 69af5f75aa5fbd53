"""Engines with a model that sees: their log-probabilities are those of a plain pass over the processor's inputs."""

import asyncio
import copy
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from milepost.agents.agent import Completion, Sampling
from milepost.agents.engines.choice import make_engine
from milepost.agents.engines.engine import EngineError, Fault
from milepost.agents.engines.probe import score_completion
from milepost.agents.engines.transformers import TransformersEngine
from milepost.agents.engines.vllm import VllmEngine
from milepost.agents.llm import save_policy
from milepost.agents.sight import find_sight
from tests.agents.engines.test_vllm import HereBackend
from tests.agents.seeing import FIRST, MAKERS, draw_picture, make_seeing

QUESTION, LONGER = "Which button?", "Which button is it, and where on the page?"
ASKED = [
    (QUESTION, draw_picture(10)),
    (LONGER, draw_picture(200, (40, 80))),
    (QUESTION, draw_picture(10)),
    (QUESTION, None),
    (QUESTION, draw_picture(240)),
]

Request = tuple[str, bytes | None]


def read(model: PreTrainedModel, question: str, picture: bytes | None) -> dict[str, torch.Tensor]:
    sight = find_sight(model)
    assert sight is not None
    return sight.process([{"role": "user", "content": question}], picture)


def encode(model: PreTrainedModel, question: str, picture: bytes | None) -> tuple[int, ...]:
    return tuple(read(model, question, picture)["input_ids"][0].tolist())


async def serve(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    asked: Sequence[Request],
    temperature: float = 1.0,
) -> list[Completion]:
    engine = TransformersEngine(model, tokenizer)
    calls = [
        engine.generate(
            encode(model, *one),
            Sampling(max_tokens=9, seed=n, temperature=temperature),
            one[1],
        )
        for n, one in enumerate(asked)
    ]
    completions = list(await asyncio.gather(*calls))
    await engine.close()
    return completions


@torch.inference_mode()
def score(model: PreTrainedModel, one: Request, completion: Completion, temperature: float) -> list[float]:
    """One plain pass of the whole model over the processor's own inputs and what was sampled."""
    made = read(model, *one)
    sampled = torch.tensor([completion.completion_ids])
    start = made["input_ids"].shape[1]
    made["input_ids"] = torch.cat([made["input_ids"], sampled], dim=1)
    for name in {"mm_token_type_ids", "token_type_ids"} & set(made):
        made[name] = torch.cat([made[name], torch.zeros_like(sampled)], dim=1)
    logits_TV = model(**made).logits[0, start - 1 : -1].float() / temperature
    sight = find_sight(model)
    assert sight is not None
    logits_TV[:, sight.placeholders] = -torch.inf
    return [float(x) for x in logits_TV.log_softmax(-1).gather(1, sampled.T)[:, 0]]


@pytest.mark.parametrize("name", MAKERS)
async def test_log_probabilities_are_those_of_a_plain_pass(name: str) -> None:
    model, tokenizer = make_seeing(name)
    temperature = 0.7
    completions = await serve(model, tokenizer, ASKED, temperature)
    for one, completion in zip(ASKED, completions, strict=True):
        assert completion.logps == pytest.approx(score(model, one, completion, temperature), abs=1e-5)
        assert completion.picture == one[1]


@pytest.mark.parametrize("name", MAKERS)
async def test_another_picture_gives_other_log_probabilities(name: str) -> None:
    model, tokenizer = make_seeing(name)
    (completion, *_) = await serve(model, tokenizer, ASKED[:1])
    own = score(model, ASKED[0], completion, 1.0)
    other = score(model, ASKED[4], completion, 1.0)
    assert max(abs(a - b) for a, b in zip(own, other, strict=True)) > 1e-3


@pytest.mark.parametrize("name", FIRST)
async def test_what_is_sampled_does_not_depend_on_the_neighbours(name: str) -> None:
    model, tokenizer = make_seeing(name)
    together = await serve(model, tokenizer, ASKED)
    alone = (await serve(model, tokenizer, ASKED[:1]))[0]
    assert together[0].completion_ids == alone.completion_ids
    assert together[0].logps == pytest.approx(alone.logps, abs=1e-5)


async def test_a_placeholder_is_never_sampled() -> None:
    model, tokenizer = make_seeing("llava")
    sight = find_sight(model)
    assert sight is not None
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        head.weight.zero_()
        head.weight[sight.placeholders] = 50.0 * torch.ones(head.weight.shape[1])
    for completion in await serve(model, tokenizer, ASKED):
        assert not set(completion.completion_ids) & set(sight.placeholders)


async def test_a_picture_for_a_model_of_text_is_refused(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    engine = TransformersEngine(model, tokenizer)
    with pytest.raises(EngineError, match="Qwen3ForCausalLM reads text and takes no picture") as caught:
        await engine.generate((5, 6), Sampling(), draw_picture(1))
    assert caught.value.fault is Fault.REQUEST
    await engine.close()


async def test_a_policy_that_sees_is_served_with_its_pictures() -> None:
    backend = HereBackend()
    model, tokenizer = make_seeing("llava")
    engine = VllmEngine(backend, tokenizer)
    await engine.start(model, 0)
    for version, policy in enumerate((model, make_seeing("llava", seed=4)[0])):
        await engine.update_weights(policy, version)
        for picture in (draw_picture(10), draw_picture(240), None):
            prompt = encode(model, QUESTION, picture)
            served = await engine.generate(prompt, Sampling(max_tokens=6), picture)
            own = score_completion(policy, prompt, served.completion_ids, picture=picture)
            assert served.logps == pytest.approx(own, abs=1e-5)
            assert (served.picture, served.prompt_ids) == (picture, prompt)
    sight = find_sight(model)
    assert sight is not None
    assert backend.silent == set(sight.placeholders)
    await engine.close()


async def test_a_stale_vision_tower_is_found_by_the_probe() -> None:
    backend = HereBackend()
    model, tokenizer = make_seeing("llava")
    engine = VllmEngine(backend, tokenizer)
    await engine.start(model, 0)
    policy = copy.deepcopy(model)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if "vision_tower" in name:
                parameter.mul_(1.5)
    backend.deaf = True
    await engine.update_weights(policy, 1)
    assert (engine.counts.reloads, engine.counts.probe_error < 1e-5) == (1, True)
    await engine.close()


async def test_other_tokens_for_a_picture_than_the_learners_are_refused() -> None:
    backend = HereBackend()
    model, tokenizer = make_seeing("llava")
    engine = VllmEngine(backend, tokenizer)
    backend.more = (5,)
    with pytest.raises(EngineError, match="it would be trained on what was not sampled") as refused:
        await engine.start(model, 0)
    assert refused.value.fault is Fault.SETUP
    await engine.close()


async def ask(engine: VllmEngine, policy: PreTrainedModel, temperature: float = 1.0) -> list[Completion]:
    """Ask for a dozen completions of prompts with pictures and without; check them against the policy."""
    asked = [(f"{LONGER} {n % 2}" * 6, picture) for n, (_, picture) in enumerate(ASKED)] * 2
    calls = [
        engine.generate(
            encode(policy, *one), Sampling(max_tokens=12, seed=n, temperature=temperature), one[1]
        )
        for n, one in enumerate(asked)
    ]
    served = list(await asyncio.gather(*calls))
    for one in served:
        own = score_completion(policy, one.prompt_ids, one.completion_ids, temperature, one.picture)
        assert one.logps == pytest.approx(own, abs=1e-4)
    return served


@torch.no_grad()
def strain(policy: PreTrainedModel) -> PreTrainedModel:
    """Give a copy with another vision tower and the same language model."""
    changed = copy.deepcopy(policy)
    for name, parameter in changed.named_parameters():
        if "vision" in name and parameter.ndim > 1:
            parameter.mul_(1.5)
    return changed


@pytest.fixture(scope="module")
def seeing() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Of the families here the one that vLLM loads without torchvision, which its CPU build does not bring."""
    return make_seeing("idefics3")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vllm(
    seeing: tuple[PreTrainedModel, PreTrainedTokenizerBase], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[VllmEngine]:
    engine = make_engine("vllm", *seeing, max_batch=8, log=tmp_path_factory.mktemp("vllm") / "engine.log")
    assert isinstance(engine, VllmEngine)
    await engine.start(seeing[0], 0)
    yield engine
    await engine.close()


@pytest.mark.vllm
@pytest.mark.timeout(1800)
@pytest.mark.asyncio(loop_scope="module")
async def test_vllm_serves_pictures_and_forgets_them_with_the_weights(
    vllm: VllmEngine, seeing: tuple[PreTrainedModel, PreTrainedTokenizerBase]
) -> None:
    model, _ = seeing
    sight = find_sight(model)
    assert sight is not None
    await ask(vllm, model)
    await ask(vllm, model, temperature=0.7)
    assert vllm.counts.cached_tokens > 0
    # The same token ids with another picture: a cache that knew ids only would serve the first one's.
    pictures = (ASKED[0][1], ASKED[4][1])
    one, other = (encode(model, LONGER * 8, picture) for picture in pictures)
    assert one == other
    for picture in pictures:
        served = await vllm.generate(one, Sampling(max_tokens=12), picture)
        own = score_completion(model, one, served.completion_ids, picture=picture)
        assert served.logps == pytest.approx(own, abs=1e-4)
    # Only the vision tower changes: what was cached of pictures is old.
    policy = strain(model)
    await vllm.update_weights(policy, 1)
    await ask(vllm, policy)
    # A policy that would write nothing but placeholders.
    head = policy.get_output_embeddings()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        head.weight.zero_()
        head.weight[sight.placeholders] = 50.0
    await vllm.update_weights(policy, 2)
    for served in await ask(vllm, policy):
        assert not set(served.completion_ids) & set(sight.placeholders)
    assert vllm.counts.reloads == 0


@pytest.mark.vllm
@pytest.mark.timeout(1800)
@pytest.mark.asyncio(loop_scope="module")
async def test_without_salts_a_picture_would_be_stale_or_the_end_of_vllm(
    vllm: VllmEngine, seeing: tuple[PreTrainedModel, PreTrainedTokenizerBase], tmp_path: Path
) -> None:
    """What they guard against is real. The last of this vLLM: it dies of it."""
    model, tokenizer = seeing
    sight = find_sight(model)
    assert sight is not None
    policy, picture = strain(model), draw_picture(10)
    prompt = encode(model, LONGER * 8, picture)
    backend: Any = vllm._backend

    async def differ() -> float:
        served = await backend.sample(
            sight.fold(prompt),
            Sampling(max_tokens=4),
            stops=(),
            salt="same",
            silent=sight.placeholders,
            picture=picture,
        )
        own = score_completion(policy, prompt, served.ids, picture=picture)
        return max(abs(a - float(b)) for a, b in zip(own, served.logps, strict=True))

    await vllm.update_weights(model, 3)
    assert await differ() > 1e-2  # it is another policy
    save_policy(policy, tokenizer, tmp_path)
    await backend._llm.collective_rpc("receive_policy", args=(str(tmp_path),))
    assert await differ() > 1e-2  # the keys and values of the prompt are old
    assert await backend._llm.reset_prefix_cache()
    with pytest.raises(EngineError, match="Encoder cache miss"):
        await differ()  # half of vLLM still believes that it has what the vision tower made of the picture
