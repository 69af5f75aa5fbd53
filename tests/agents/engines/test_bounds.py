import pytest
from transformers import PreTrainedTokenizerBase, Qwen3ForCausalLM

from milepost.agents.agent import Sampling
from milepost.agents.engines.bounds import Bounds, find_bounds
from milepost.agents.engines.engine import EngineError, Fault
from milepost.agents.tiny.model import MAX_TOKENS

BOUNDS = Bounds(longest=10, vocabulary=5, stops=frozenset({1}))


def test_a_models_bounds_are_read_from_the_model_and_its_tokenizer(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    assert find_bounds(model, tokenizer) == Bounds(
        longest=MAX_TOKENS, vocabulary=len(tokenizer), stops=frozenset({1})
    )


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ((), "has 0 tokens; with 4 to sample, this model takes 1 to 6"),
        ((2,) * 7, "has 7 tokens"),
        ((2, 5), "holds the token id 5; this model knows 0 to 4: encode it with the model's own tokenizer"),
        ((-1,), "holds the token id -1"),
    ],
)
def test_a_request_that_no_backend_should_see_is_refused(prompt: tuple[int, ...], reason: str) -> None:
    with pytest.raises(EngineError, match=reason) as refused:
        BOUNDS.check(prompt, Sampling(max_tokens=4))
    assert refused.value.fault is Fault.REQUEST
    BOUNDS.check((4,) * 6, Sampling(max_tokens=4))
