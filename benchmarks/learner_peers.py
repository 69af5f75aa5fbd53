"""Our learner and TRL 1.16's GRPO trainer on the same rows, each in a process of its own with a limit to its memory."""

import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Qwen3Config, Qwen3ForCausalLM

from milepost.agents.llm import load_policy
from milepost.envs.certification import end_with_parent
from milepost.training.batch import Row, cut_batch
from milepost.training.learner import Learner
from milepost.training.objective import Objective

_STATUS = Path("/proc/self/status")
_FORGET_PEAK = Path("/proc/self/clear_refs")
"""Linux forgets the most that was resident when 5 is written here."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A learner and what its memory depends on."""

    learner: str
    """`milepost` or `trl`."""
    size: int
    """Of a micro-batch: tokens for milepost, rows for TRL."""
    recompute: bool
    """Gradient checkpointing, which is off by default in milepost and on in TRL."""
    model: str = "tiny"

    def __str__(self) -> str:
        """Name it as tables do."""
        unit = "tokens" if self.learner == "milepost" else "rows"
        return f"{self.learner}, {self.size} {unit}, checkpointing {'on' if self.recompute else 'off'}"

    def pick_largest(self, rows: Sequence[Row]) -> list[Row]:
        """Give the rows of the largest micro-batch."""
        if self.learner == "milepost":
            micro = max(cut_batch(rows, token_budget=self.size), key=lambda micro: micro.tokens)
            return list(micro.rows)
        return sorted(rows, key=lambda row: -len(row.prompt_ids))[: self.size]


@dataclass(frozen=True, slots=True)
class Took:
    """What a step took."""

    seconds: float
    grad_norm: float
    peak_mib: float
    """The most that was resident during the step, over what was before."""
    before_mib: float
    """Resident before the step: weights, the optimiser's moments, the interpreter and its libraries."""
    cpu_s: float
    """Processor time of all threads, which other work on the machine disturbs less than `seconds`."""


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The step did not fit."""

    more_than_mib: float
    """What it took at least, over what was there before."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A learner: a step that gives the gradient's norm, and its optimiser."""

    step: Callable[[Sequence[Row]], float]
    optimizer: torch.optim.Optimizer

    def warm_up(self, rows: Sequence[Row]) -> None:
        """Take a step of length 0, which makes the optimiser's moments and leaves the weights."""
        rates = [group["lr"] for group in self.optimizer.param_groups]
        for group in self.optimizer.param_groups:
            group["lr"] = 0.0
        self.step(rows)
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate


def load_model(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Give the built-in policy, or a Qwen3 of a hundred million random weights with its tokenizer."""
    tiny, tokenizer = load_policy("tiny")
    if name == "tiny":
        return tiny, tokenizer
    config = Qwen3Config(
        vocab_size=32_000,
        hidden_size=768,
        intermediate_size=2304,
        num_hidden_layers=12,
        num_attention_heads=12,
        num_key_value_heads=4,
        head_dim=64,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    return Qwen3ForCausalLM(config), tokenizer


def make_ours(setting: Setting) -> Peer:
    """Prepare our learner, without the correction for a sampler, which the rows have none of."""
    objective = Objective(
        learning_rate=1e-4, importance_cap=0.0, token_budget=setting.size, recompute=setting.recompute
    )
    learner = Learner(load_model(setting.model)[0], objective)

    def step(rows: Sequence[Row]) -> float:
        return learner.update(rows, np.random.default_rng(0))["grad_norm"]

    return Peer(step, learner.optimizer)


def make_trl(setting: Setting) -> Peer:
    """Prepare TRL's trainer, whose loss is then asked for directly: no generation takes part."""
    from datasets import Dataset  # type: ignore[import-untyped] # noqa: PLC0415 - slow to import, and only this peer needs it
    from trl.trainer.grpo_config import GRPOConfig  # noqa: PLC0415
    from trl.trainer.grpo_trainer import GRPOTrainer  # noqa: PLC0415

    model, tokenizer = load_model(setting.model)
    settings = GRPOConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=setting.size,
        num_generations=2,
        gradient_accumulation_steps=2,
        loss_type="dapo",
        epsilon=0.2,
        epsilon_high=0.28,
        beta=0.0,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=setting.recompute,
        report_to=[],
    )
    trainer: Any = GRPOTrainer(
        model=model,
        reward_funcs=pay_nothing,
        args=settings,
        train_dataset=Dataset.from_list([{"prompt": "x"}] * 8),
        processing_class=tokenizer,
    )
    if setting.recompute:
        # What its `train` does before the first step.
        model.gradient_checkpointing_enable(settings.gradient_checkpointing_kwargs)  # type: ignore[no-untyped-call]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0, betas=(0.9, 0.95))
    pad = int(tokenizer.pad_token_id)

    def step(rows: Sequence[Row]) -> float:
        model.train()
        parts = [rows[start : start + setting.size] for start in range(0, len(rows), setting.size)]
        trainer.current_gradient_accumulation_steps = trainer.args.steps_per_generation = len(parts)
        total = torch.tensor(sum(len(row.completion_ids) for row in rows))
        for part in parts:
            trainer.compute_loss(model, pad_rows(part, pad) | {"num_items_in_batch": total}).backward()
        norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return norm

    return Peer(step, optimizer)


def pay_nothing(completions: Sequence[Any], **_: Any) -> list[float | None]:
    """Stand in for the reward that TRL's trainer wants when it is made."""
    return [0.0] * len(completions)


def pad_rows(rows: Sequence[Row], pad: int) -> dict[str, Tensor]:
    """Lay rows out as TRL does: prompts padded on the left."""
    width = max(len(row.prompt_ids) for row in rows)
    prompt_ids = torch.full((len(rows), width), pad)
    prompt_mask = torch.zeros(len(rows), width, dtype=torch.long)
    for index, row in enumerate(rows):
        prompt_ids[index, width - len(row.prompt_ids) :] = torch.tensor(row.prompt_ids)
        prompt_mask[index, width - len(row.prompt_ids) :] = 1
    completion_ids = torch.tensor([row.completion_ids for row in rows])
    return {
        "prompt_ids": prompt_ids,
        "prompt_mask": prompt_mask,
        "completion_ids": completion_ids,
        "completion_mask": torch.ones_like(completion_ids),
        "advantages": torch.tensor([row.advantage for row in rows]),
    }


PEERS: dict[str, Callable[[Setting], Peer]] = {"milepost": make_ours, "trl": make_trl}


@dataclass(frozen=True, slots=True)
class Worker:
    """A learner in another process, which takes steps when it is asked to."""

    pipe: Connection

    def step(self, rows: Sequence[Row]) -> Took | TooLarge:
        """Take a step on the rows.

        Raises:
            RuntimeError: the process died without a word, as when the system kills it.
        """
        self.pipe.send(list(rows))
        try:
            answer: Took | TooLarge = self.pipe.recv()
        except EOFError as ended:
            raise RuntimeError("the learner's process died; was it killed for its memory?") from ended
        return answer


@contextmanager
def run_peer(setting: Setting, *, threads: int, limit_gib: float) -> Iterator[Worker]:
    """Keep a learner in a process of its own, whose data may not exceed the limit.

    Its C library has one arena, so that what is freed by one thread is there for the others.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    arenas = os.environ.get("MALLOC_ARENA_MAX")
    os.environ["MALLOC_ARENA_MAX"] = "1"
    process = context.Process(target=serve, args=(theirs, setting, threads, limit_gib), daemon=True)
    process.start()
    if arenas is None:
        del os.environ["MALLOC_ARENA_MAX"]
    else:
        os.environ["MALLOC_ARENA_MAX"] = arenas
    theirs.close()
    try:
        yield Worker(ours)
    finally:
        ours.close()
        process.join(timeout=5)
        process.kill()
        process.join()


def serve(pipe: Connection, setting: Setting, threads: int, limit_gib: float) -> None:
    """Take steps until the other side hangs up or one does not fit."""
    end_with_parent()
    torch.set_num_threads(threads)
    limit = int(limit_gib * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    peer = PEERS[setting.learner](setting)
    warmed = False
    while True:
        try:
            rows: list[Row] = pipe.recv()
        except EOFError:
            return
        if not warmed:
            peer.warm_up([replace(row, prompt_ids=row.prompt_ids[:64]) for row in rows[:8]])
            warmed = True
        held = read_status("VmData")
        try:
            answer: Took | TooLarge = watch_step(peer, rows)
        except (MemoryError, RuntimeError) as broken:
            if not isinstance(broken, MemoryError) and "allocate memory" not in str(broken):
                raise
            answer = TooLarge(limit_gib * 1024 - held)
        pipe.send(answer)
        if isinstance(answer, TooLarge):
            return


def watch_step(peer: Peer, rows: Sequence[Row]) -> Took:
    """Take a step, its time, and the most that was resident meanwhile."""
    _FORGET_PEAK.write_text("5")
    before = read_status("VmRSS")
    start, worked = time.perf_counter(), time.process_time()
    norm = peer.step(rows)
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - worked
    return Took(seconds, norm, read_status("VmHWM") - before, before, cpu_s)


def read_status(name: str) -> float:
    """Read a size of this process, in MiB; Linux only."""
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines[name].split()[0]) / 1024
