"""The learner's step against TRL 1.16's GRPO step, on the rows that computer use gives.

`python -m benchmarks.learner_speed [--model tiny|100m] [--rounds 3] [--turns 6] [--share 0 0.6 1] [--json]`: a group
of 8 members plays 6 turns; an observation has 300 to 3,000 tokens, an action 24, every turn is a row. `share` is the
part of the rows whose prompt other members of the group have too, as when they took the same path. Both learners run
in this process, one after the other in every round, from the same weights, in float32 and without gradient
checkpointing: forward, backward, clipping, AdamW. Both losses are the mean over tokens (DAPO), and their gradients
are compared first.

Peak memory is measured in a process of its own for each learner: the most that was resident during one step, less
what was resident before it. `--packing` adds what rows without any sharing cost when they are padded.
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Qwen3Config, Qwen3ForCausalLM

from milepost.agents.llm import load_policy
from milepost.training.batch import Row, cut_batch
from milepost.training.learner import Learner
from milepost.training.objective import Objective

GROUP, ACTION, SHORTEST, LONGEST = 8, 24, 300, 3000
MICRO_ROWS = {"tiny": 8, "100m": 2}
"""Rows of TRL's micro-batch: 8 is its own default, which did not fit into 23 GiB with the larger model."""
TOKEN_BUDGET = 8192
"""Tokens of ours."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A learner: a step that gives the gradient's norm, and the size of its vocabulary."""

    step: Callable[[Sequence[Row]], float]
    vocabulary: int


def make_rows(rng: np.random.Generator, *, turns: int, share: float, vocabulary: int) -> list[Row]:
    """Draw one group's rows; of each turn's, as many as `share` asks for have the same prompt."""
    rows: list[Row] = []
    wanted = 0.0
    for _ in range(turns):
        wanted += share * GROUP
        common = round(wanted)
        wanted -= common
        prompts = [draw_ids(rng, int(rng.integers(SHORTEST, LONGEST)), vocabulary) for _ in range(GROUP)]
        for member, prompt in enumerate(prompts):
            rows.append(
                Row(
                    prompt_ids=prompts[0] if member < common else prompt,
                    completion_ids=draw_ids(rng, ACTION, vocabulary),
                    sampler_logps=(-1.0,) * ACTION,
                    advantage=float(rng.normal()),
                )
            )
    weight = 1.0 / (len(rows) * ACTION)
    return [replace(rows[i], weight=weight) for i in rng.permutation(len(rows)).tolist()]


def draw_ids(rng: np.random.Generator, count: int, vocabulary: int) -> tuple[int, ...]:
    """Draw tokens, control tokens left out."""
    return tuple(rng.integers(8, vocabulary, size=count).tolist())


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


def make_ours(name: str) -> Peer:
    """Prepare our learner, without the correction for a sampler, which the rows have none of."""
    model = load_model(name)[0]
    objective = Objective(learning_rate=1e-4, importance_cap=0.0, token_budget=TOKEN_BUDGET)
    learner = Learner(model, objective)

    def step(rows: Sequence[Row]) -> float:
        return learner.update(rows, np.random.default_rng(0))["grad_norm"]

    return Peer(step, model.config.vocab_size)


def make_trl(name: str) -> Peer:
    """Prepare TRL's trainer, whose loss is then asked for directly: no generation takes part."""
    from datasets import Dataset  # type: ignore[import-untyped] # noqa: PLC0415 - slow to import, and only this peer needs it
    from trl.trainer.grpo_config import GRPOConfig  # noqa: PLC0415
    from trl.trainer.grpo_trainer import GRPOTrainer  # noqa: PLC0415

    micro = MICRO_ROWS[name]
    model, tokenizer = load_model(name)
    settings = GRPOConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=GROUP // micro,
        num_generations=GROUP,
        loss_type="dapo",
        epsilon=0.2,
        epsilon_high=0.28,
        beta=0.0,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
    )
    trainer: Any = GRPOTrainer(
        model=model,
        reward_funcs=pay_nothing,
        args=settings,
        train_dataset=Dataset.from_list([{"prompt": "x"}] * GROUP),
        processing_class=tokenizer,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0, betas=(0.9, 0.95))
    pad = int(tokenizer.pad_token_id)

    def step(rows: Sequence[Row]) -> float:
        model.train()
        parts = [rows[start : start + micro] for start in range(0, len(rows), micro)]
        trainer.current_gradient_accumulation_steps = trainer.args.steps_per_generation = len(parts)
        total = torch.tensor(sum(len(row.completion_ids) for row in rows))
        for part in parts:
            trainer.compute_loss(model, pad_rows(part, pad) | {"num_items_in_batch": total}).backward()
        norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return norm

    return Peer(step, model.config.vocab_size)


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


PEERS: dict[str, Callable[[str], Peer]] = {"milepost": make_ours, "trl": make_trl}


def measure_memory(peer: str, name: str, rows: Sequence[Row]) -> float:
    """Give the peak of one step over what was resident before, in MiB, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(watch_step, (peer, name, list(rows), torch.get_num_threads()))


def watch_step(peer: str, name: str, rows: Sequence[Row], threads: int) -> float:
    """Take one step and watch the resident memory meanwhile, every two milliseconds."""
    torch.set_num_threads(threads)
    made = PEERS[peer](name)
    made.step([replace(row, prompt_ids=row.prompt_ids[:64]) for row in rows[:8]])
    process, over = psutil.Process(), threading.Event()
    before = peak = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    made.step(rows)
    over.set()
    watcher.join()
    return float(peak - before) / 2**20


def compare(name: str, share: float, *, turns: int, rounds: int) -> dict[str, Any]:
    """Take steps on the same rows in turn, and give the figures."""
    peers = {peer: make(name) for peer, make in PEERS.items()}
    seconds: dict[str, list[float]] = {peer: [] for peer in peers}
    norms: list[float] = []
    first: list[Row] = []
    for number in range(rounds):
        drawn = np.random.default_rng([17, number])
        rows = make_rows(drawn, turns=turns, share=share, vocabulary=peers["milepost"].vocabulary)
        first = first or rows
        for peer in sorted(peers, reverse=number % 2 == 1):
            start = time.perf_counter()
            norm = peers[peer].step(rows)
            seconds[peer].append(time.perf_counter() - start)
            norms.append(norm)
    cut = list(cut_batch(first, token_budget=TOKEN_BUDGET))
    facts: dict[str, Any] = {
        "share": share,
        "rows": len(first),
        "tokens_of_rows": sum(micro.given for micro in cut),
        "tokens_computed": sum(micro.tokens for micro in cut),
        "grad_norms_differ": abs(norms[0] - norms[1]) / norms[1],
        "seconds": {peer: statistics.median(values) for peer, values in seconds.items()},
        "ratios": [b / a for a, b in zip(seconds["milepost"], seconds["trl"], strict=True)],
    }
    facts["ratio"] = statistics.median(facts["ratios"])
    facts["peak_mib"] = {peer: measure_memory(peer, name, first) for peer in PEERS}
    facts["memory_ratio"] = facts["peak_mib"]["milepost"] / facts["peak_mib"]["trl"]
    return facts


def measure_recorded(run: Path) -> dict[str, float]:
    """Find how much the turns of recorded episodes share: of `episodes/*/turns.jsonl`, group by group."""
    groups: dict[str, list[tuple[int, ...]]] = {}
    for file in sorted(run.glob("episodes/*/turns.jsonl")):
        group = file.parent.name.rsplit("-", 1)[0]
        for line in file.read_text(encoding="utf-8").splitlines():
            groups.setdefault(group, []).append(tuple(json.loads(line)["prompt_ids"]))
    prompts = [ids for members in groups.values() for ids in members]
    shared = sum(members.count(ids) > 1 for members in groups.values() for ids in members)
    rows = [Row(prompt_ids=ids, completion_ids=(0,), sampler_logps=(0.0,)) for ids in prompts]
    cut = list(cut_batch(rows, token_budget=TOKEN_BUDGET))
    return {
        "turns": float(len(prompts)),
        "shared_prompts": shared / len(prompts),
        "tokens_computed": sum(micro.tokens for micro in cut) / sum(micro.given for micro in cut),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The learner's step against TRL's.")
    parser.add_argument("--model", choices=("tiny", "100m"), default="tiny")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=6, help="turns of the group: rows are 8 times as many")
    parser.add_argument("--share", type=float, nargs="+", default=[0.0, 0.6, 1.0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--recorded", type=Path, help="a run's folder: report what its turns share, and stop")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.recorded is not None:
        print(json.dumps(measure_recorded(options.recorded)))
        return
    torch.set_num_threads(options.threads)
    results = []
    for share in options.share:
        facts = compare(options.model, share, turns=options.turns, rounds=options.rounds)
        results.append(facts)
        if not options.json:
            show(facts)
    if options.json:
        print(json.dumps({"model": options.model, "threads": options.threads, "results": results}, indent=1))


def show(facts: dict[str, Any]) -> None:
    """Print one line."""
    print(
        f"share {facts['share']:.0%}: milepost {facts['seconds']['milepost']:.2f} s, trl {facts['seconds']['trl']:.2f} s, "
        f"ratio {facts['ratio']:.2f} (rounds {', '.join(f'{r:.2f}' for r in facts['ratios'])}); tokens computed "
        f"{facts['tokens_computed']} of {facts['tokens_of_rows']}; gradient norms differ by {facts['grad_norms_differ']:.0e}; peak memory "
        f"{facts['peak_mib']['milepost']:.0f} of {facts['peak_mib']['trl']:.0f} MiB ({facts['memory_ratio']:.2f})",
        flush=True,
    )


if __name__ == "__main__":
    main()
