"""The engine with a model that sees: its log-probabilities are those of a plain pass over the processor's inputs."""

import asyncio
from collections.abc import Sequence

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from milepost.agents.agent import Completion, Sampling
from milepost.agents.engines.engine import EngineError, Fault
from milepost.agents.engines.transformers import TransformersEngine
from milepost.agents.sight import find_sight
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


async def serve(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    asked: Sequence[Request],
    temperature: float = 1.0,
) -> list[Completion]:
    engine = TransformersEngine(model, tokenizer)
    calls = [
        engine.generate(
            tuple(read(model, *one)["input_ids"][0].tolist()),
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
