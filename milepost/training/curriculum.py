"""Pre-trains the tiny policy on synthetic lessons, from random weights, on a CPU.

Looking an element up by the name a goal gives it is a circuit that forms only among few candidates with
short names; once there, it carries over to long pages. So lessons start with three elements and one-word
names and grow whenever the policy masters them. Everything follows from the seed.
"""

import ast
import functools
import re
import time
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Qwen3ForCausalLM

from milepost.agents.tiny.model import build_config, build_model
from milepost.agents.tiny.tokenizer import build_tokenizer
from milepost.envs import apps
from milepost.training.examples import Example, collate, compute_logits, count_solved, encode_lesson
from milepost.training.lessons import Difficulty, Lesson, draw_lesson
from milepost.training.muon import Muon
from milepost.training.wordbook import Wordbook, build_wordbook

STAGES: tuple[Difficulty, ...] = (
    *(Difficulty(elements=n, steps=1, plain=True) for n in (3, 6, 10)),
    Difficulty(elements=6, steps=2),
    Difficulty(elements=10, steps=3),
    Difficulty(elements=15, steps=4),
    Difficulty(elements=20, steps=5),
)
"""What lessons look like, from the first to the last."""

DRILLS = 6
"""Most lookups drilled after a lesson."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How the policy is pre-trained."""

    steps: int = 5000
    """Optimiser steps."""
    batch: int = 32
    """Lessons a step."""
    matrix_rate: float = 0.02
    """Learning rate of the layers' matrices (Muon)."""
    rate: float = 3e-3
    """Learning rate of embeddings and norms (AdamW)."""
    warmup: int = 50
    """Steps over which the rates rise."""
    decay: float = 0.3
    """Last part of the steps, over which the rates fall to zero."""
    mastery: float = 0.8
    """Share of lessons solved, over the last `window` steps, that leads to the next stage."""
    window: int = 25
    patience: int = 900
    """Most steps a stage lasts; the harder ones come all the same."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """Where pre-training stands."""

    step: int = 0
    stage: int = 0
    entered: int = 0
    """Step at which the stage began."""
    tokens: int = 0
    loss: float = 0.0
    solved: list[float] = field(default_factory=list)
    """Share of lessons solved, by step of this stage."""

    @property
    def accuracy(self) -> float:
        """Mean share of lessons solved over the last steps of the stage."""
        return float(np.mean(self.solved[-25:])) if self.solved else 0.0

    def is_over(self, course: Course) -> bool:
        """Whether the next stage begins: this one is mastered, or has lasted long enough."""
        if self.stage == len(STAGES) - 1 or len(self.solved) < course.window:
            return False
        worn_out = self.step - self.entered >= course.patience
        return worn_out or float(np.mean(self.solved[-course.window :])) >= course.mastery


@torch.inference_mode()
def measure_accuracy(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, lessons: Sequence[Lesson]
) -> float:
    """Give the share of lessons that greedy decoding solves exactly."""
    examples = sorted((encode_lesson(lesson, tokenizer) for lesson in lessons), key=_length)
    batches = [collate(examples[i : i + 32]) for i in range(0, len(examples), 32)]
    return sum(count_solved(compute_logits(model, b), b) for b in batches) / len(examples)


def pretrain(
    folder: Path,
    *,
    seed: int = 0,
    course: Course = Course(),
    held_out: int = 400,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, float]:
    """Pre-train the tiny policy and write its checkpoint.

    Args:
        folder: where the checkpoint goes; made if missing.
        seed: draws the weights and the lessons.
        course: how it is trained.
        held_out: lessons of each stage that the policy is measured on.
        report: is told a line about progress now and then.

    Returns:
        Held-out accuracy by stage, keyed such as `25 elements, 5 steps`.
    """
    book = build_wordbook(read_app_texts())
    tokenizer = build_tokenizer(book.words, book.pieces)
    config = build_config(len(tokenizer), pad=tokenizer.pad_token_id, end=tokenizer.eos_token_id)
    model = build_model(config, seed=seed)
    lesson_seed, held_out_seed = np.random.SeedSequence(seed).spawn(2)
    save = functools.partial(save_policy, model, tokenizer, folder)
    train(model, tokenizer, book, np.random.default_rng(lesson_seed), course, report, save)
    save()
    rng = np.random.default_rng(held_out_seed)
    return {
        f"{stage.elements} elements, {stage.steps} steps{', plain' * stage.plain}": measure_accuracy(
            model, tokenizer, [draw_lesson(rng, book, stage) for _ in range(held_out)]
        )
        for stage in STAGES
    }


def read_app_texts() -> Iterator[str]:
    """Read the words that the built-in apps may show: their templates without markup, their string constants.

    Words alone: the tokenizer gets a token for each, and pre-training never sees a task.
    """
    folder = Path(apps.__file__).parent
    read = [path for path in sorted(folder.rglob("*")) if path.relative_to(folder).parts[0] in _READ]
    for path in (path for path in read if path.suffix == ".html"):
        yield _MARKUP.sub(" ", path.read_text(encoding="utf-8"))
    for path in (path for path in read if path.suffix == ".py"):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                yield node.value


_READ = frozenset(
    ("__init__.py", "pages.py", "words.py", "frame.html", "notice.html", "catalog", "expenses", "reports")
)
"""What is read of the apps: those of the first configuration and the parts they share.

The shipped checkpoint has a token for each word of these. An app that is added later must not change them, or
pre-training would no longer build the vocabulary that reproduces it.
"""

_MARKUP = re.compile(r"<script.*?</script>|<style.*?</style>|<[^>]*>|\{[{%].*?[%}]\}", re.DOTALL)


def train(
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    book: Wordbook,
    rng: np.random.Generator,
    course: Course,
    report: Callable[[str], None],
    save: Callable[[], None] = lambda: None,
) -> Progress:
    """Run the course on a model, in place; `save` is called at the end of every stage."""
    optimizers = _make_optimizers(model, course)
    progress = Progress()
    pool: list[list[Example]] = []
    start = time.perf_counter()
    while progress.step < course.steps:
        if not pool:
            pool = _draw_batches(rng, book, tokenizer, STAGES[progress.stage], course.batch)
        batch = collate(pool.pop())
        logits_NV = compute_logits(model, batch)
        loss = cross_entropy(logits_NV, batch.target_N)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        _step(optimizers, scale_rate(progress.step, course))
        progress.step += 1
        progress.tokens += batch.ids_BT.numel()
        progress.loss = 0.98 * progress.loss + 0.02 * float(loss.detach())
        progress.solved.append(count_solved(logits_NV, batch) / batch.ids_BT.shape[0])
        if progress.step % 50 == 0:
            report(_describe(progress, time.perf_counter() - start))
        if progress.is_over(course):
            save()
            progress.stage, progress.entered, progress.solved, pool = (
                progress.stage + 1,
                progress.step,
                [],
                [],
            )
    return progress


def _describe(progress: Progress, elapsed_s: float) -> str:
    stage = STAGES[progress.stage]
    return (
        f"step {progress.step}: {stage.elements} elements, {stage.steps} steps{', plain' * stage.plain}: "
        f"loss {progress.loss:.3f}, solved {progress.accuracy:.3f}, "
        f"{progress.tokens / elapsed_s:.0f} tokens/s, {elapsed_s:.0f} s"
    )


def _draw_batches(
    rng: np.random.Generator,
    book: Wordbook,
    tokenizer: PreTrainedTokenizerBase,
    difficulty: Difficulty,
    size: int,
) -> list[list[Example]]:
    """Draw eight batches of lessons, each of lessons of about one length, in random order."""
    examples = []
    for _ in range(8 * size):
        lesson = draw_lesson(rng, book, difficulty)
        examples.append(encode_lesson(lesson, tokenizer, _draw_drills(rng, lesson)))
    examples.sort(key=_length)
    return [examples[int(i) * size : (int(i) + 1) * size] for i in rng.permutation(8)]


def _length(example: Example) -> int:
    return len(example.ids)


def _draw_drills(rng: np.random.Generator, lesson: Lesson) -> list[str]:
    ids = [e.id for e in lesson.observation.elements if e.id]
    return [ids[int(i)] for i in rng.permutation(len(ids))[:DRILLS]]


def _make_optimizers(model: Qwen3ForCausalLM, course: Course) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the rest; no weight decay, which would undo lookups."""
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    inside = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in inside]
    return [
        Muon(matrices, lr=course.matrix_rate),
        torch.optim.AdamW(others, lr=course.rate, weight_decay=0.0, betas=(0.9, 0.98)),
    ]


def scale_rate(step: int, course: Course) -> float:
    """Give the factor of the learning rates: warm-up, plateau, then a straight line to zero."""
    rising = (step + 1) / course.warmup
    falling = (course.steps - step) / max(1.0, course.decay * course.steps)
    return min(1.0, rising, falling)


def _step(optimizers: Sequence[torch.optim.Optimizer], scale: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group.setdefault("peak", group["lr"])
            group["lr"] = group["peak"] * scale
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def save_policy(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a checkpoint in half precision, which halves the file and costs no accuracy; the model keeps its own."""
    folder.mkdir(parents=True, exist_ok=True)
    half = deepcopy(model).half()  # type: ignore[no-untyped-call]
    half.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
