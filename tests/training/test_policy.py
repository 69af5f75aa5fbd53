import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM

from milepost.training import policy
from milepost.training.batch import Row, cut_batch
from milepost.training.policy import UnsupportedModelError, check_head, score_tokens
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
