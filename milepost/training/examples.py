"""Lessons as token ids, in batches, and what a model makes of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from milepost.agents.prompt import encode_decision, encode_observation, render_decision
from milepost.sandbox.actions import Click
from milepost.training.lessons import Lesson


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A lesson as token ids."""

    ids: tuple[int, ...]
    """Prompt, completion and drills."""
    scored: tuple[int, ...]
    """Places in `ids` of the tokens to learn, the completion's first."""
    completion: int
    """How many of them are the completion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Examples as tensors. N is the number of tokens to learn in the batch."""

    ids_BT: torch.Tensor
    """All ids but the last, padded on the right (causal attention never sees that)."""
    place_N: torch.Tensor
    """Where in the flattened batch each of them is predicted."""
    target_N: torch.Tensor
    row_N: torch.Tensor
    """Which example each token belongs to; -1 for a drill."""


def encode_lesson(lesson: Lesson, tokenizer: PreTrainedTokenizerBase, drilled: Sequence[str] = ()) -> Example:
    """Turn a lesson into the very ids that the agent would read and write.

    Args:
        lesson: observation and action.
        tokenizer: the policy's own.
        drilled: ids of elements to drill after the completion: role and name are given, the element's id is
            to be found. Many lookups for the price of one page.
    """
    prompt = encode_observation(lesson.observation, tokenizer)
    completion = encode_decision(render_decision(lesson.action, lesson.observation), tokenizer)
    ids = [*prompt, *completion]
    scored = list(range(len(prompt), len(ids)))
    for element_id in drilled:
        ids += [
            prompt[-1],
            *encode_decision(render_decision(Click(element_id), lesson.observation), tokenizer),
        ]
        # The decision ends with `12`, `] `, `click`, `("`, `12`, `")` and the end of turn. The first `12` is the
        # lookup; the second is copied from it.
        scored.append(len(ids) - 7)
    return Example(ids=tuple(ids), scored=tuple(scored), completion=len(completion))


def collate(examples: Sequence[Example]) -> Batch:
    """Put examples of about the same length into one batch."""
    longest = max(len(example.ids) for example in examples) - 1
    ids_BT = torch.zeros(len(examples), longest, dtype=torch.long)
    places: list[int] = []
    targets: list[int] = []
    rows: list[int] = []
    for row, example in enumerate(examples):
        ids_BT[row, : len(example.ids) - 1] = torch.tensor(example.ids[:-1])
        places += [row * longest + place - 1 for place in example.scored]
        targets += [example.ids[place] for place in example.scored]
        rows += [row] * example.completion + [-1] * (len(example.scored) - example.completion)
    return Batch(
        ids_BT=ids_BT,
        place_N=torch.tensor(places),
        target_N=torch.tensor(targets),
        row_N=torch.tensor(rows),
    )


def compute_logits(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Give the logits that predict the tokens to learn, and no others, shape (N, V)."""
    hidden_BTD = model.model(input_ids=batch.ids_BT, use_cache=False).last_hidden_state
    logits_NV: torch.Tensor = model.lm_head(hidden_BTD.flatten(0, 1)[batch.place_N])
    return logits_NV


def count_solved(logits_NV: torch.Tensor, batch: Batch) -> int:
    """Count the examples whose every completion token is the likeliest one: greedy decoding gets them right."""
    own_N = batch.row_N >= 0
    wrong_N = (logits_NV.argmax(dim=-1) != batch.target_N).float()
    wrong_B = torch.zeros(batch.ids_BT.shape[0]).index_add_(0, batch.row_N[own_N], wrong_N[own_N])
    return int((wrong_B == 0).sum())
