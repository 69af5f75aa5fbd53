"""The tiny policy's tokenizer and architecture."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from milepost.agents.tiny.model import build_config, build_model
from milepost.agents.tiny.tokenizer import ACT, LONGEST, USER, build_tokenizer

TOKENIZER = build_tokenizer(["Save", "changes", "button", "click", "fill", "goal"], ["er", "ing"])
TRICKY = st.text(st.sampled_from(list('aZ19 #"[]().,:/-_=\n\t\x00\x7fé数💥\u00a0')), max_size=30)


def encode(text: str) -> list[int]:
    return list(TOKENIZER.encode(text, add_special_tokens=False))


@given(st.one_of(st.text(max_size=60), TRICKY))
def test_any_text_survives_a_round_trip_through_tokens(text: str) -> None:
    assert TOKENIZER.decode(encode(text)) == text


@pytest.mark.parametrize("length", [LONGEST - 1, LONGEST, LONGEST + 1, 2 * LONGEST, 1000])
@pytest.mark.parametrize("tail", ["", " b", "bbb", ".", " " + "c" * LONGEST + " d"])
def test_a_run_longer_than_a_word_survives_too(length: int, tail: str) -> None:
    text = "a" * length + tail
    assert TOKENIZER.decode(encode(text)) == text


def test_a_word_has_the_same_token_wherever_it_stands() -> None:
    texts = ["Save", 'goal: Save "Save"', 'button "Save changes" [12]', 'click("Save")']
    save = encode("Save")
    assert len(save) == 1
    assert [encode(text).count(save[0]) for text in texts] == [1, 2, 1, 1]


def test_an_element_id_is_one_token_in_the_tree_and_in_the_call() -> None:
    for number in range(400):
        (token,) = encode(str(number))
        assert encode(f'\nbutton "Save" [{number}]').count(token) == 1
        assert encode(f'click("{number}")').count(token) == 1


def test_an_action_is_a_handful_of_tokens() -> None:
    shown = TOKENIZER.convert_ids_to_tokens(encode('button "Save changes" [12] click("12")'))
    assert shown == ["button", 'Ġ"', "Save", "changes", '"Ġ[', "12", "]Ġ", "click", '("', "12", '")']


def test_a_word_that_is_not_letters_and_digits_is_refused() -> None:
    with pytest.raises(ValueError, match="letters and digits, got 'a b'"):
        build_tokenizer(["a b"])


def test_the_tokenizer_is_the_same_after_saving_and_loading(tmp_path: Path) -> None:
    TOKENIZER.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = 'goal: Save  changes\n [1] button "é"'
    assert loaded.encode(text, add_special_tokens=False) == encode(text)
    assert loaded.decode(encode(text)) == text
    assert loaded.chat_template == TOKENIZER.chat_template
    assert loaded.eos_token_id == TOKENIZER.eos_token_id


def test_the_template_drops_the_system_message(tokenizer: PreTrainedTokenizerBase) -> None:
    messages = [{"role": "system", "content": "Save"}, {"role": "user", "content": "goal"}]
    shown = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert shown == f"{USER}goal{ACT}"


def test_weights_follow_from_the_seed_and_leave_torchs_generator_alone() -> None:
    config = build_config(50, pad=0, end=1)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, again, other = (build_model(config, seed=s).lm_head.weight.detach() for s in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert 0.04 < float(first[1:].std()) < 0.06
