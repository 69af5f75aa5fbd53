import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from milepost.agents.llm import load_policy
from milepost.agents.template import Keeping, check_template

TURN = "{{ '<|' + m.role + '|>' + text + '<|end|>' }}"
EVERY = "{% for m in messages %}{% set text = m.content %}" + TURN + "{% endfor %}"
ASK = "{% if add_generation_prompt %}<|assistant|>{% endif %}"
TEMPLATES = {
    Keeping.ALL: EVERY + ASK,
    Keeping.ANSWERS: EVERY.replace("m.content", "m.content.split('</think>\n\n')[-1]") + ASK,
    Keeping.NOTHING: "{% set m = messages[-1] %}{% set text = m.content %}" + TURN + ASK,
    Keeping.REFUSED: "{% if messages | length > 1 %}{{ raise_exception('one message only') }}{% endif %}"
    + EVERY
    + ASK,
}


def make_tokenizer(template: str) -> PreTrainedTokenizerFast:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    model = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=model, eos_token="<|end|>", chat_template=template
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|user|>", "<|assistant|>"]})
    return tokenizer


@pytest.mark.parametrize("keeping", Keeping)
def test_the_verdict_says_what_becomes_of_earlier_turns(keeping: Keeping) -> None:
    verdict = check_template(make_tokenizer(TEMPLATES[keeping]))
    assert verdict.keeping is keeping
    assert str(verdict).startswith("the chat template ")


def test_a_line_after_the_end_of_a_turn_does_no_harm() -> None:
    after = EVERY.replace("'<|end|>'", "'<|end|>\n'") + ASK
    assert check_template(make_tokenizer(after)).keeping is Keeping.ALL


def test_the_built_in_policy_has_a_verdict() -> None:
    assert check_template(load_policy("tiny")[1]).keeping in Keeping
