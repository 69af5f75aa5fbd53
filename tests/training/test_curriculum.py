"""Pre-training: it learns, follows from its seed, and writes a checkpoint that loads."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from milepost.agents.llm import TINY_FOLDER, load_policy
from milepost.agents.tiny.model import build_config, build_model
from milepost.agents.tiny.tokenizer import build_tokenizer
from milepost.training.curriculum import (
    STAGES,
    Course,
    Progress,
    measure_accuracy,
    pretrain,
    read_app_texts,
    scale_rate,
    train,
)
from milepost.training.lessons import Difficulty, draw_lesson
from milepost.training.wordbook import build_wordbook


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_stages_start_plain_and_small_and_only_grow() -> None:
    sizes = [(not s.plain, s.steps, s.elements) for s in STAGES]
    assert sizes[0] == (False, 1, 3)
    assert [s[0] for s in sizes] == sorted(s[0] for s in sizes)
    assert [s[1] for s in sizes] == sorted(s[1] for s in sizes)
    assert max(s.elements for s in STAGES) == STAGES[-1].elements


def test_rates_rise_stay_and_fall_to_zero() -> None:
    course = Course(steps=100, warmup=10, decay=0.5)
    assert [scale_rate(step, course) for step in (0, 4, 9, 40, 50, 75, 99)] == [
        0.1,
        0.5,
        1.0,
        1.0,
        1.0,
        0.5,
        0.02,
    ]


def test_a_stage_ends_when_it_is_mastered_or_worn_out() -> None:
    course = Course(window=2, mastery=0.8, patience=5)
    assert not Progress(solved=[1.0]).is_over(course)
    assert not Progress(solved=[1.0, 0.5]).is_over(course)
    assert Progress(solved=[0.0, 0.7, 0.9]).is_over(course)
    assert Progress(solved=[0.0, 0.0], step=15, entered=10).is_over(course)
    assert not Progress(solved=[1.0, 1.0], stage=len(STAGES) - 1).is_over(course)


def test_training_lowers_the_loss_and_follows_from_its_seed() -> None:
    book = build_wordbook()
    tokenizer = build_tokenizer(book.words[:300], book.pieces)

    def run(steps: int, lines: list[str]) -> tuple[float, torch.Tensor]:
        model = build_model(build_config(len(tokenizer), pad=0, end=1), seed=0)
        course = Course(steps=steps, batch=2)
        progress = train(model, tokenizer, book, np.random.default_rng(0), course, lines.append)
        return progress.loss, model.lm_head.weight.detach().clone()

    lines: list[str] = []
    # A running mean that begins at 0 would be near the logarithm of the vocabulary, times its share, were nothing learnt.
    untrained = math.log(len(tokenizer)) * (1 - 0.98**50)
    assert run(50, lines)[0] < 0.75 * untrained
    (line,) = lines
    assert line.startswith("step 50: 3 elements, 1 steps, plain: loss ")
    first, second = run(4, lines), run(4, lines)
    assert first[0] == second[0]
    assert torch.equal(first[1], second[1])


def test_pre_training_writes_a_checkpoint_that_loads(tmp_path: Path) -> None:
    report = pretrain(tmp_path / "new", course=Course(steps=2, batch=2), held_out=2)
    assert len(report) == len(STAGES)
    assert all(0 <= accuracy <= 1 for accuracy in report.values())
    model, tokenizer = load_policy(str(tmp_path / "new"))
    assert model.config.vocab_size == len(tokenizer)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_the_words_of_the_apps_are_read_without_their_markup() -> None:
    text = " ".join(read_app_texts())
    assert "Expense" in text
    assert "<button" not in text
    assert "{{" not in text


def test_the_shipped_policy_is_small_and_has_mastered_its_lessons() -> None:
    size = sum(p.stat().st_size for p in TINY_FOLDER.iterdir() if p.is_file())
    assert size <= 5 * 2**20
    model, tokenizer = load_policy("tiny")
    assert json.loads((TINY_FOLDER / "config.json").read_text())["vocab_size"] == len(tokenizer) <= 4000
    rng, book = np.random.default_rng(123), build_wordbook(read_app_texts())
    lessons = [draw_lesson(rng, book, Difficulty(elements=12, steps=3)) for _ in range(100)]
    assert measure_accuracy(model, tokenizer, lessons) >= 0.8
