"""The words of lessons."""

import re

import numpy as np
import pytest

from milepost.agents.tiny.tokenizer import build_tokenizer
from milepost.training.wordbook import Wordbook, build_wordbook, pick

BOOK = build_wordbook(["Quarterly zeppelin zeppelin report!"])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_words_of_given_texts_are_in_the_book() -> None:
    assert {"Quarterly", "zeppelin", "report"} <= set(BOOK.words)
    assert "zeppelin" not in build_wordbook().words


def test_every_word_is_one_token_and_no_word_comes_twice() -> None:
    assert len(set(BOOK.words)) == len(BOOK.words)
    tokenizer = build_tokenizer(BOOK.words, BOOK.pieces)
    assert all(len(tokenizer.encode(word, add_special_tokens=False)) == 1 for word in BOOK.words)


def test_the_vocabulary_stays_small() -> None:
    assert len(build_tokenizer(BOOK.words, BOOK.pieces)) <= 4000


def test_a_plain_book_draws_single_words_and_no_filler(rng: np.random.Generator) -> None:
    plain = BOOK.plain()
    drawn = [draw(rng) for draw in (plain.name, plain.value) for _ in range(50)]
    assert all(word in BOOK.words for word in drawn)
    assert {plain.filler(rng) for _ in range(20)} == {""}


def test_a_varied_name_differs_in_at_most_a_word(rng: np.random.Generator) -> None:
    name = "Annual sales report"
    for _ in range(100):
        varied = BOOK.vary(rng, name).split(" ")
        assert abs(len(varied) - 3) <= 1
        assert len(set(name.split(" ")) & set(varied)) >= 2


@pytest.mark.parametrize(
    ("draw", "pattern"),
    [
        (Wordbook.amount, r"\d{1,3}(,\d{3})*(\.\d\d)?|\d+(\.\d\d)?"),
        (Wordbook.date, r"20[12]\d-[01]\d-[0-2]\d"),
        (Wordbook.email, r"[a-z]+\.[a-z]+@[a-z0-9]+\.(test|com|org)"),
        (Wordbook.number, r"[1-9]\d{0,3}"),
        (Wordbook.code, r"[A-Z]{1,3}[-_ ]?\d{2,4}"),
        (Wordbook.person, r"\w+ \w+"),
    ],
)
def test_values_look_like_what_they_are(draw: object, pattern: str, rng: np.random.Generator) -> None:
    assert callable(draw)
    values = [draw(BOOK, rng) for _ in range(200)]
    assert [value for value in values if not re.fullmatch(pattern, value)] == []
    assert len(set(values)) > 50


def test_names_are_different(rng: np.random.Generator) -> None:
    assert all(len(set(BOOK.names(rng, 5))) == 5 for _ in range(50))


def test_a_pick_keeps_the_type_of_the_option(rng: np.random.Generator) -> None:
    assert {type(pick(rng, ("a", "b"))) for _ in range(5)} == {str}
