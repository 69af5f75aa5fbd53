"""The agent that a language model plays, and loading its model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerBase, Qwen3ForCausalLM

from milepost.agents.agent import ModelLoadError, Sampling
from milepost.agents.engines.transformers import TransformersEngine
from milepost.agents.llm import LLMAgent, load_policy, save_policy
from milepost.agents.prompt import encode_observation
from milepost.agents.sight import find_sight
from milepost.agents.tiny.tokenizer import build_tokenizer
from milepost.sandbox.actions import Click
from milepost.sandbox.dialect import parse_action
from milepost.sandbox.observation import Element, Observation
from tests.agents.seeing import TEMPLATE, draw_picture, make_seeing

PAGE = Observation(
    goal='click "Save"',
    url="http://a.test/",
    title="t",
    elements=tuple(
        Element(id=str(i), depth=0, role="button", name=name)
        for i, name in enumerate(("Open", "Save", "Export CSV"), start=1)
    ),
)


async def test_an_agent_keeps_the_exact_call_behind_its_decision(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    engine = TransformersEngine(model, tokenizer)
    decision = await LLMAgent(engine, tokenizer, Sampling(max_tokens=5)).act(PAGE)
    await engine.close()
    assert decision.completion is not None
    assert decision.completion.prompt_ids == encode_observation(PAGE, tokenizer)
    assert decision.text == decision.completion.text


async def test_turns_of_an_episode_draw_differently_and_reproducibly(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    engine = TransformersEngine(model, tokenizer)
    first, second = (LLMAgent(engine, tokenizer, Sampling(max_tokens=6, seed=3)) for _ in range(2))
    turns = [(await first.act(PAGE)).text for _ in range(3)]
    assert turns == [(await second.act(PAGE)).text for _ in range(3)]
    assert len(set(turns)) == 3
    await engine.close()


async def test_a_page_too_long_for_the_prompt_is_cut(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    engine = TransformersEngine(model, tokenizer)
    limit = len(encode_observation(PAGE, tokenizer, max_elements=1))
    agent = LLMAgent(engine, tokenizer, Sampling(max_tokens=1), max_prompt_tokens=limit)
    decision = await agent.act(PAGE)
    await engine.close()
    assert decision.completion is not None
    assert decision.completion.prompt_ids == encode_observation(PAGE, tokenizer, max_elements=1)


async def test_the_shipped_policy_presses_the_button_that_a_goal_names() -> None:
    torch.set_num_threads(1)
    model, tokenizer = load_policy("tiny")
    engine = TransformersEngine(model, tokenizer)
    agent = LLMAgent(engine, tokenizer, Sampling(temperature=0))
    decision = await agent.act(PAGE)
    await engine.close()
    assert parse_action(decision.text) == Click("2")


def test_a_saved_policy_is_loaded_as_it_was(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded, its_tokenizer = load_policy(str(tmp_path))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))
    assert encode_observation(PAGE, its_tokenizer) == encode_observation(PAGE, tokenizer)
    assert not loaded.training


def test_a_tokenizer_without_a_chat_template_is_refused_with_what_to_do(
    model: Qwen3ForCausalLM, tmp_path: Path
) -> None:
    bare = build_tokenizer(["goal"])
    bare.chat_template = None
    model.save_pretrained(tmp_path)
    bare.save_pretrained(tmp_path)
    with pytest.raises(
        ModelLoadError, match=r"has no chat template.* instruction-tuned .*chat_template\.jinja"
    ):
        load_policy(str(tmp_path))
    (tmp_path / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    _, loaded = load_policy(str(tmp_path))
    assert str(loaded.decode(list(encode_observation(PAGE, loaded)))).endswith('button "Export CSV" [3]')


def test_a_chat_endpoint_is_no_policy_that_can_be_loaded() -> None:
    with pytest.raises(ModelLoadError, match=r"no exact token ids .* \(milepost eval openai:m@http://a/v1\)"):
        load_policy("openai:m@http://a/v1")


def test_a_missing_model_is_reported_with_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    (tmp_path / "file.txt").write_text("hello")
    reasons = {"empty": "holds no config.json", "broken": "is not JSON", "file.txt": "is a file"}
    for name, reason in reasons.items():
        with pytest.raises(ModelLoadError, match=f'{reason}; expected "tiny", a folder with config.json'):
            load_policy(str(tmp_path / name))


@pytest.mark.parametrize(
    "name", ["./nothing", "runs/a/b", "~/nothing", str(Path(__file__).parent / "nothing")]
)
def test_a_mistyped_path_is_reported_at_once_and_not_sought_on_the_network(name: str) -> None:
    with pytest.raises(ModelLoadError, match=f"cannot load the model '{name}': no such folder; expected"):
        load_policy(name)


def test_damaged_weights_are_reported(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(np.random.default_rng(0).bytes(100))
    with pytest.raises(ModelLoadError, match="cannot load the model"):
        load_policy(str(tmp_path))


def test_a_policy_that_sees_is_saved_and_loaded_with_its_sight(tmp_path: Path) -> None:
    model, tokenizer = make_seeing("llava")
    save_policy(model, tokenizer, tmp_path)
    loaded, its_tokenizer = load_policy(str(tmp_path))
    before, after = find_sight(model), find_sight(loaded)
    assert before is not None
    assert after is not None
    seen = replace(PAGE, screenshot=draw_picture(70))
    assert after.encode_observation(seen) == before.encode_observation(seen)
    assert torch.equal(
        after.look(draw_picture(8))["pixel_values"], before.look(draw_picture(8))["pixel_values"]
    )
    assert its_tokenizer.chat_template == TEMPLATE


async def test_an_agent_that_sees_sends_its_picture_and_cuts_the_text_alone() -> None:
    model, tokenizer = make_seeing("llava")
    sight = find_sight(model)
    assert sight is not None
    engine = TransformersEngine(model, tokenizer)
    limit = len(sight.encode_observation(PAGE, max_elements=1, pictured=False))
    agent = LLMAgent(engine, tokenizer, Sampling(max_tokens=2), max_prompt_tokens=limit, sight=sight)
    seen = replace(PAGE, screenshot=draw_picture(70))
    shown, blind = [(await agent.act(view)).completion for view in (seen, PAGE)]
    await engine.close()
    assert agent.sees
    assert shown is not None
    assert blind is not None
    assert (shown.picture, blind.picture) == (seen.screenshot, None)
    assert shown.prompt_ids == sight.encode_observation(seen, max_elements=1)
    assert len(shown.prompt_ids) > limit >= len(blind.prompt_ids)


def test_a_model_that_takes_pictures_needs_a_processor_that_can_be_loaded(tmp_path: Path) -> None:
    model, tokenizer = make_seeing("llava")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(
        ModelLoadError,
        match="LlavaForConditionalGeneration takes pictures, so a processor is expected beside it",
    ):
        load_policy(str(tmp_path))
