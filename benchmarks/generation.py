"""How fast the in-process engine serves many episodes, against plain `generate` of the same model.

`python -m benchmarks.generation [--inflight 16] [--rounds 8] [--json]`: as many requests at once as episodes are in flight, of
different lengths, as pages are. Plain `generate` serves them in two ways: one after the other, as they come, and as one padded
batch, which no rollout can arrange but which is the most that batching alone gives. All three sample the same number of
tokens and take turns in one run. Completions end at their length, never earlier, so that the work is the same.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from milepost.agents.agent import Sampling
from milepost.agents.engines.transformers import TransformersEngine
from milepost.agents.llm import load_policy

TOKENS = 24
SHORTEST, LONGEST = 150, 450

Prompts = Sequence[tuple[int, ...]]


async def serve(engine: TransformersEngine, prompts: Prompts) -> int:
    """Serve a round by the engine."""
    served = await asyncio.gather(
        *(engine.generate(p, Sampling(max_tokens=TOKENS, seed=n)) for n, p in enumerate(prompts))
    )
    return sum(len(one.completion_ids) for one in served)


@torch.inference_mode()
def generate(model: PreTrainedModel, prompts: Prompts) -> int:
    """Serve prompts by one call of `generate`, padded on the left."""
    longest = max(map(len, prompts))
    ids = torch.zeros(len(prompts), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    found = model.generate(  # type: ignore[operator]
        input_ids=ids, attention_mask=mask, do_sample=True, min_new_tokens=TOKENS, max_new_tokens=TOKENS
    )
    return int((found.shape[1] - longest) * len(prompts))


async def measure(inflight: int, rounds: int, threads: int) -> dict[str, Any]:
    """Run everything."""
    torch.set_num_threads(threads)
    model, tokenizer = load_policy("tiny")
    rng = np.random.default_rng(0)
    tokenizer.eos_token = None
    model.generation_config.eos_token_id = None
    engine = TransformersEngine(model, tokenizer, max_batch=inflight)
    speeds: dict[str, list[float]] = {"engine": [], "generate, one by one": [], "generate, one batch": []}
    for number in range(rounds + 1):
        prompts = [
            tuple(int(i) for i in rng.integers(4, model.config.vocab_size, size=length))
            for length in rng.integers(SHORTEST, LONGEST, size=inflight)
        ]
        for name in speeds:
            begun = time.perf_counter()
            if name == "engine":
                tokens = await serve(engine, prompts)
            elif name == "generate, one batch":
                tokens = generate(model, prompts)
            else:
                tokens = sum(generate(model, [prompt]) for prompt in prompts)
            assert tokens == inflight * TOKENS
            if number:  # the first round warms up
                speeds[name].append(tokens / (time.perf_counter() - begun))
    await engine.close()
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    return {
        "inflight": inflight,
        "rounds": rounds,
        "threads": threads,
        "tokens_per_s": medians,
        "ratio": {
            name: statistics.median(a / b for a, b in zip(speeds["engine"], values, strict=True))
            for name, values in speeds.items()
            if name != "engine"
        },
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inflight", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = asyncio.run(measure(options.inflight, options.rounds, options.threads))
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for name, speed in found["tokens_per_s"].items():
        ratio = found["ratio"].get(name)
        print(f"{name:22} {speed:8.0f} tokens/s" + (f"   the engine is {ratio:.1f}x" if ratio else ""))


if __name__ == "__main__":
    main()
