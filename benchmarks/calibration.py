"""Times of this machine for the simulation of `benchmarks.scaling`: steps, resets, batches, and a real throughput."""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import TypedDict

from milepost.agents.agent import Sampling
from milepost.agents.engines.transformers import sample_batch
from milepost.agents.llm import load_policy
from milepost.training.arena import Arena, Limits
from milepost.training.display import SilentDisplay
from milepost.training.records import list_episodes, read_episode
from milepost.training.sampler import plan_groups

TASKS = ("ExpenseForm-v0", "ReportExport-v0", "CatalogSearch-v0")


class Times(TypedDict):
    """Seconds, and how many episodes a second a real run of this many contexts plays."""

    step_s: float
    reset_s: float
    batch_s: float
    request_s: float
    episodes_per_s: float
    turns: float


async def _play(
    contexts: int, max_batch: int, episodes: int
) -> tuple[dict[str, float], list[tuple[int, ...]]]:
    model, tokenizer = load_policy("tiny")
    limits = Limits(contexts=contexts, max_inflight=max_batch, drawn=False)
    with tempfile.TemporaryDirectory() as folder:
        async with Arena(model, tokenizer, limits=limits, run=Path(folder), display=SilentDisplay()) as arena:
            tasks = [(task, seed) for seed in range(episodes) for task in TASKS]
            requests = plan_groups(tasks, size=1, run_seed=0, phase="calibration")
            await arena.play("warm up", requests[:contexts], arena.policy_agents(1.0))
            played = await arena.play("measure", requests, arena.policy_agents(1.0), record=True)
        turns = [
            turn.completion.prompt_ids
            for episode in list_episodes(Path(folder) / "episodes", "calibration")
            for turn in read_episode(episode).trajectory.turns
        ]
    mean_turns = played.speed["steps"] / len(requests)
    return {**played.speed, "turns": mean_turns}, turns


def _time_batches(prompts: list[tuple[int, ...]], *, sizes: tuple[int, int]) -> tuple[float, float]:
    """Fit what a batch costs: so much whatever its size, and so much for each request."""
    model, tokenizer = load_policy("tiny")
    seconds = []
    for size in sizes:
        best = float("inf")
        for round_ in range(3):
            chosen = [prompts[(round_ * size + i) % len(prompts)] for i in range(size)]
            samplings = [Sampling(max_tokens=40, seed=i) for i in range(size)]
            start = time.perf_counter()
            sample_batch(model, chosen, samplings, stops=frozenset({tokenizer.eos_token_id}))
            best = min(best, time.perf_counter() - start)
        seconds.append(best)
    request_s = max(1e-4, (seconds[1] - seconds[0]) / (sizes[1] - sizes[0]))
    return max(1e-4, seconds[0] - sizes[0] * request_s), request_s


def measure_times(*, contexts: int, max_batch: int, episodes: int = 16) -> Times:
    """Play episodes of the built-in policy in so many contexts.

    A step's time is what it takes while the other contexts and the engine want the same processor. The engine's
    batches are timed on their own, on the prompts that were played.
    """
    many, prompts = asyncio.run(_play(contexts, max_batch, episodes))
    batch_s, request_s = _time_batches(prompts, sizes=(2, max(3, max_batch // 2)))
    browsers_s = many["browser_busy"] * contexts * many["rollout_s"]
    # A reset costs about what two steps do; the two are not timed apart.
    step_s = browsers_s / (many["steps"] * (1.0 + 2.0 / many["turns"]))
    return Times(
        step_s=step_s,
        reset_s=2.0 * step_s,
        batch_s=batch_s,
        request_s=request_s,
        episodes_per_s=many["episodes_per_s"],
        turns=many["turns"],
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contexts", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    times = measure_times(contexts=args.contexts, max_batch=2 * args.contexts)
    print(json.dumps(times) if args.json else "  ".join(f"{k} {v:.4g}" for k, v in times.items()))


if __name__ == "__main__":
    main()
