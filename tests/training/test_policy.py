import asyncio

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM, PreTrainedModel

from milepost.agents.agent import Completion, Sampling
from milepost.agents.engines.transformers import TransformersEngine
from milepost.agents.sight import find_sight
from milepost.training import policy
from milepost.training.batch import Row, cut_batch
from milepost.training.policy import UnsupportedModelError, check_head, check_sight, score_tokens
from tests.agents.seeing import FIRST, MAKERS, draw_picture, make_seeing
from tests.training.trajectories import make_model

PROMPT, OTHER = (3, 9, 4, 7), (5, 6)
ROWS = [
    Row(prompt_ids=prompt, completion_ids=completion, sampler_logps=(-1.0,) * len(completion))
    for prompt, completion in [
        (PROMPT, (10, 11, 12)),
        (PROMPT, (10, 13)),
        (PROMPT, (14,)),
        (OTHER, (10, 11)),
        (PROMPT, (10, 11, 12)),
    ]
]


@torch.no_grad()
def score_alone(row: Row, temperature: float) -> list[float]:
    """The slow way: one row, the whole logits, a plain log-softmax."""
    model = make_model()
    ids_1T = torch.tensor([row.prompt_ids + row.completion_ids])
    logps_TV = (model(input_ids=ids_1T).logits[0].float() / temperature).log_softmax(-1)
    start = len(row.prompt_ids)
    return [float(logps_TV[start + k - 1, token]) for k, token in enumerate(row.completion_ids)]


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("budget", [7, 12, 1000])
def test_scores_are_those_of_each_row_alone(share: bool, budget: int) -> None:
    model = make_model()
    expected = sorted(logp for row in ROWS for logp in score_alone(row, 0.7))
    found: list[float] = []
    for micro in cut_batch(ROWS, token_budget=budget, share_prompts=share):
        found += score_tokens(model, micro, temperature=0.7).logp_U[micro.token_N].tolist()
    assert sorted(found) == pytest.approx(expected, abs=2e-6)


def test_entropy_is_that_of_the_whole_distribution() -> None:
    model = make_model()
    (micro,) = cut_batch(ROWS[:1], token_budget=100)
    logits_TV = model(input_ids=micro.ids_ST).logits[0]
    expected = torch.distributions.Categorical(logits=logits_TV[3:]).entropy()  # type: ignore[no-untyped-call]
    assert score_tokens(model, micro).entropy_U.tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_entropy_has_a_gradient_only_when_asked_for() -> None:
    model = make_model()
    (micro,) = cut_batch(ROWS[:1], token_budget=100)
    assert not score_tokens(model, micro).entropy_U.requires_grad
    assert score_tokens(model, micro, entropy_gradient=True).entropy_U.requires_grad


@pytest.mark.parametrize("entropy_gradient", [True, False])
def test_a_head_in_chunks_gives_the_same_scores_and_gradients(
    entropy_gradient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(least: int) -> tuple[list[float], torch.Tensor]:
        monkeypatch.setattr(policy, "_LEAST_CHUNK", least)
        monkeypatch.setattr(policy, "_CHUNK_LOGITS", 1)
        model = make_model()
        (micro,) = cut_batch(ROWS, token_budget=1000)
        scores = score_tokens(model, micro, temperature=0.7, entropy_gradient=entropy_gradient)
        loss = (scores.logp_U * torch.arange(len(micro.target_U))).sum()
        if entropy_gradient:
            loss = loss + scores.entropy_U.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        found = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        return [*scores.logp_U.tolist(), *scores.entropy_U.tolist()], torch.cat(found)

    whole, whole_gradient = run(1000)
    parts, parts_gradient = run(2)
    assert parts == pytest.approx(whole, abs=1e-6)
    assert torch.allclose(parts_gradient, whole_gradient, rtol=1e-5, atol=1e-5)


def test_a_head_in_chunks_keeps_no_logits_of_all_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.shape[-1:] == (40,):
            kept.append(tensor.shape[0])
        return tensor

    monkeypatch.setattr(policy, "_CHUNK_LOGITS", 1)
    (micro,) = cut_batch(ROWS, token_budget=1000)
    for least, expected in ((1000, True), (2, False)):
        kept.clear()
        monkeypatch.setattr(policy, "_LEAST_CHUNK", least)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            score_tokens(make_model(), micro)
        assert any(size > 2 for size in kept) is expected


def test_a_forest_needs_a_model_that_takes_one() -> None:
    model = make_model()
    model.config.layer_types = ["full_attention", "sliding_attention"]
    (micro,) = cut_batch(ROWS, token_budget=1000)
    with (
        pytest.warns(UserWarning, match="cannot share the beginnings"),
        pytest.raises(UnsupportedModelError, match="share_prompts=False"),
    ):
        score_tokens(model, micro)


def test_a_head_that_does_more_than_a_linear_map_is_refused() -> None:
    check_head(make_model())
    capped = Gemma2Config(
        vocab_size=40,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        final_logit_softcapping=0.05,
    )
    with pytest.raises(UnsupportedModelError, match="changes its logits after the output head"):
        check_head(Gemma2ForCausalLM(capped))


def sample_seen(name: str, temperature: float) -> tuple[PreTrainedModel, list[Completion]]:
    """Let the engine answer questions about pictures of several sizes, one of them asked twice, and one without."""
    model, tokenizer = make_seeing(name)
    sight = find_sight(model)
    assert sight is not None
    engine = TransformersEngine(model, tokenizer)

    async def ask() -> list[Completion]:
        asked = [
            ("Which?", 10),
            ("Which button is it?", 200),
            ("Which?", 10),
            ("Which?", None),
            ("Which?", 90),
        ]
        calls = []
        for seed, (question, shade) in enumerate(asked):
            picture = None if shade is None else draw_picture(shade, (40, 80) if shade == 200 else (64, 48))
            ids = sight.encode([{"role": "user", "content": question}], picture)
            sampling = Sampling(max_tokens=6, seed=seed, temperature=temperature)
            calls.append(engine.generate(ids, sampling, picture))
        found = await asyncio.gather(*calls)
        await engine.close()
        return list(found)

    return model, asyncio.run(ask())


def make_rows(completions: list[Completion]) -> list[Row]:
    return [
        Row(
            prompt_ids=c.prompt_ids, completion_ids=c.completion_ids, sampler_logps=c.logps, picture=c.picture
        )
        for c in completions
    ]


@pytest.mark.parametrize(("name", "budget"), [*((name, 10_000) for name in MAKERS), ("qwen2_vl", 1)])
def test_the_learner_agrees_with_the_engine_about_pictures(name: str, budget: int) -> None:
    model, completions = sample_seen(name, temperature=0.8)
    rows = make_rows(completions)
    scored = 0
    for micro in cut_batch(rows, token_budget=budget, share_prompts=False):
        logps_N = score_tokens(model, micro, temperature=0.8).logp_U[micro.token_N]
        assert logps_N.tolist() == pytest.approx(micro.sampler_logp_N.tolist(), abs=1e-5)
        scored += len(logps_N)
    assert scored == sum(len(row.completion_ids) for row in rows)


@pytest.mark.parametrize("name", FIRST)
def test_only_completions_have_a_loss_and_pictures_have_a_gradient(name: str) -> None:
    model, completions = sample_seen(name, temperature=1.0)
    rows = make_rows(completions)
    (micro,) = cut_batch(rows, token_budget=10_000, share_prompts=False)
    sight = find_sight(model)
    assert sight is not None
    assert not {*micro.target_U.tolist()} & {*sight.placeholders}
    assert len(micro.token_N) == sum(len(row.completion_ids) for row in rows)
    scores = score_tokens(model, micro)
    assert torch.isfinite(scores.entropy_U).all()
    scores.logp_U.sum().backward()  # type: ignore[no-untyped-call]
    tower = [p.grad.abs().sum() for n, p in model.named_parameters() if "vis" in n and p.grad is not None]
    assert float(torch.stack(tower).max()) > 0.0
    words = model.get_input_embeddings().get_parameter("weight")
    assert words.grad is not None
    assert float(words.grad[sight.placeholders].abs().max()) == 0.0


def test_a_model_that_sees_passes_its_check_and_a_blind_one_does_not() -> None:
    for name in MAKERS:
        check_sight(make_seeing(name)[0])
    check_sight(make_model())
    blind, _ = make_seeing("llava")
    with torch.no_grad():
        for own, parameter in blind.named_parameters():
            if "projector" in own:
                parameter.zero_()
    with pytest.raises(UnsupportedModelError, match="the same logits for two different pictures"):
        check_sight(blind)


def test_rows_with_pictures_share_no_beginnings_and_need_a_model_that_sees() -> None:
    row = Row(prompt_ids=(3,), completion_ids=(4,), sampler_logps=(0.0,), picture=draw_picture(1))
    with pytest.raises(ValueError, match="rows with pictures share no beginnings"):
        list(cut_batch([row], token_budget=9))
    (micro,) = cut_batch([row], token_budget=9, share_prompts=False)
    with pytest.raises(UnsupportedModelError, match="reads text, and a row has a picture"):
        score_tokens(make_model(), micro)
