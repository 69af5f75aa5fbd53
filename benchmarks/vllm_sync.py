"""How long new weights take to reach vLLM, and whether anything of the old ones is served afterwards.

`python -m benchmarks.vllm_sync [--requests 1000] [--updates 20] [--json]`, in an environment with vLLM (`make test-vllm`
makes one): the built-in policy is changed again and again, sent, and asked. Every prompt is asked for under every version, so
that its blocks lie in the prefix cache whenever they could be stale. A token is stale when its log-probability is not that
of the policy which was sent last, recomputed here.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.utils import logging

from milepost.agents.agent import Completion, Sampling
from milepost.agents.engines.choice import make_engine
from milepost.agents.engines.vllm import VllmEngine
from milepost.agents.llm import load_policy

PROMPTS, LENGTH, TOKENS = 10, 160, 4
NOISE = 0.01
"""Size of a change of the weights, relative to their own; log-probabilities move by about a nat."""

STALE = 0.01
"""Difference of log-probabilities (nats) from which a token counts as stale; rounding is a hundredth of that."""


@torch.no_grad()
def change(model: torch.nn.Module, generator: torch.Generator) -> None:
    """Change every weight a little."""
    for weight in model.parameters():
        weight.add_(torch.randn(weight.shape, generator=generator), alpha=NOISE)


@torch.inference_mode()
def compare_all(model: PreTrainedModel, served: Sequence[Completion]) -> list[float]:
    """Give the difference (nats) of every token's log-probability from the policy's own, in batches of one length."""
    found: list[float] = []
    for length in {len(one.completion_ids) for one in served}:
        alike = [one for one in served if len(one.completion_ids) == length]
        ids_RT = torch.tensor([[*one.prompt_ids, *one.completion_ids] for one in alike])
        logits_RTV = model(input_ids=ids_RT, logits_to_keep=length + 1).logits[:, :-1]
        logps_RTV = torch.log_softmax(logits_RTV.float(), dim=-1)
        own_RT = logps_RTV.gather(2, ids_RT[:, -length:, None])[:, :, 0]
        found += (own_RT - torch.tensor([one.logps for one in alike])).abs().flatten().tolist()
    return found


async def measure(requests: int, updates: int) -> dict[str, Any]:
    """Run everything."""
    model, tokenizer = load_policy("tiny")
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    prompts = [
        tuple(int(i) for i in rng.integers(4, model.config.vocab_size, size=LENGTH)) for _ in range(PROMPTS)
    ]
    seconds: list[float] = []
    differences: list[float] = []
    moved: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        engine = make_engine("vllm", model, tokenizer, max_batch=16, log=Path(folder) / "engine.log")
        assert isinstance(engine, VllmEngine)
        begun = time.perf_counter()
        await engine.start(model, 0)
        start_s = time.perf_counter() - begun
        last: Sequence[Completion] = ()
        for version in range(1, updates + 1):
            change(model, generator)
            moved += compare_all(model, last)
            begun = time.perf_counter()
            await engine.update_weights(model, version)
            seconds.append(time.perf_counter() - begun)
            served = await asyncio.gather(
                *(
                    engine.generate(prompts[n % PROMPTS], Sampling(seed=n, max_tokens=TOKENS))
                    for n in range(requests // updates)
                )
            )
            differences += compare_all(model, served)
            last = served[-1:]
        counts = engine.counts
        await engine.close()
    return {
        "start_s": start_s,
        "updates": updates,
        "update_median_s": statistics.median(seconds),
        "update_worst_s": max(seconds),
        "restarts": counts.reloads + counts.revivals,
        "requests": counts.requests,
        "tokens": len(differences),
        "stale_tokens": sum(difference > STALE for difference in differences),
        "worst_difference": max(differences),
        "median_change_by_an_update": statistics.median(moved),
        "cached_prompt_share": counts.cached_tokens / counts.prompt_tokens,
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    found = asyncio.run(measure(options.requests, options.updates))
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        print(f"{name:28} {value:.6g}")


if __name__ == "__main__":
    main()
