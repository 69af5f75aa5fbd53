"""Lessons as ids and batches."""

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerBase

from milepost.agents.prompt import encode_decision, encode_observation
from milepost.agents.tiny.model import build_config, build_model
from milepost.agents.tiny.tokenizer import build_tokenizer
from milepost.sandbox.actions import Click
from milepost.sandbox.observation import Element, Observation
from milepost.training.examples import Example, collate, compute_logits, count_solved, encode_lesson
from milepost.training.lessons import Lesson

LESSON = Lesson(
    observation=Observation(
        goal="click Save",
        url="http://a.test/",
        title="t",
        elements=(
            Element(id="7", depth=0, role="button", name="Save"),
            Element(id="12", depth=0, role="link", name="Open the report"),
        ),
    ),
    action=Click("7"),
)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return build_tokenizer(["button", "link", "click", "Save", "Open", "the", "report"])


def test_an_example_is_the_very_prompt_and_decision_of_the_agent(tokenizer: PreTrainedTokenizerBase) -> None:
    example = encode_lesson(LESSON, tokenizer)
    prompt = encode_observation(LESSON.observation, tokenizer)
    decision = encode_decision('button "Save" [7] click("7")', tokenizer)
    assert example.ids == (*prompt, *decision)
    assert [example.ids[place] for place in example.scored] == list(decision)
    assert example.completion == len(decision)


def test_a_drill_asks_for_the_id_of_a_named_element_and_nothing_else(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    example = encode_lesson(LESSON, tokenizer, drilled=["12", "7"])
    drilled = [example.ids[place] for place in example.scored[example.completion :]]
    assert tokenizer.convert_ids_to_tokens(drilled) == ["12", "7"]
    text = str(tokenizer.decode(list(example.ids[: example.scored[example.completion]])))
    assert text.endswith('<|act|>link "Open the report" [')


def test_a_batch_predicts_each_scored_token_from_the_place_before_it() -> None:
    batch = collate(
        [
            Example(ids=(5, 6, 7, 8), scored=(2, 3), completion=2),
            Example(ids=(5, 9, 4), scored=(1, 2), completion=1),
        ]
    )
    assert batch.ids_BT.tolist() == [[5, 6, 7], [5, 9, 0]]
    assert batch.place_N.tolist() == [1, 2, 3, 4]
    assert batch.target_N.tolist() == [7, 8, 9, 4]
    assert batch.row_N.tolist() == [0, 0, 1, -1]


def test_padding_does_not_change_the_logits() -> None:
    model = build_model(build_config(30, pad=0, end=1), seed=0)
    short = Example(ids=(5, 9, 4), scored=(1, 2), completion=2)
    long = Example(ids=tuple(int(i) for i in np.arange(4, 24)), scored=(10,), completion=1)
    alone, together = compute_logits(model, collate([short])), compute_logits(model, collate([short, long]))
    torch.testing.assert_close(alone, together[:2], atol=1e-5, rtol=1e-5)


def test_an_example_is_solved_when_every_token_of_its_completion_is_the_likeliest() -> None:
    batch = collate(
        [
            Example(ids=(0, 1, 2), scored=(1, 2), completion=2),
            Example(ids=(0, 1, 2), scored=(1, 2), completion=1),
            Example(ids=(0, 2, 2), scored=(1, 2), completion=2),
        ]
    )
    says_1, says_2 = [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]
    # Row 0 is right, row 1 is right but for its drill, row 2 is wrong at its first token.
    logits_NV = torch.tensor([says_1, says_2, says_1, says_1, says_1, says_2])
    assert count_solved(logits_NV, batch) == 2
