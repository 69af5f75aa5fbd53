import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM

from milepost.training.batch import Row, cut_batch
from milepost.training.policy import UnsupportedModelError, check_head, score_tokens, takes_dense_mask
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


def test_a_full_attention_model_takes_a_dense_mask_and_a_sliding_one_does_not() -> None:
    model = make_model()
    assert takes_dense_mask(model)
    model.config.layer_types = ["full_attention", "sliding_attention"]
    assert not takes_dense_mask(model)


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
