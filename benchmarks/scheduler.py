"""Does the scheduler waste time? Rollouts against the bound that engine and browsers set, and against lock-step.

    python -m benchmarks.scheduler            # in virtual time: exact, and the same on every machine
    python -m benchmarks.scheduler --real     # part of it on the wall clock: what the event loop itself costs
    python -m benchmarks.scheduler --json

Browsers and engine are simulated, the scheduler is the package's own. The bound is the larger of two times: the
engine serving all requests in full batches, and all browser seconds shared out over the contexts, both as they were
really drawn. Lock-step plays the same episodes. First comes a mix of pages, each step or reset between 20 ms and 2 s,
then a sweep in which all are about as fast; every figure is the median of `--seeds` draws, with the least and the most.

What `sync` can do about the tail of its iterations follows: more groups, more contexts, or over-sampling, whose bound is that of the
episodes that were wanted, and which throws away what it has begun of the others.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.simulation import (
    TASK,
    Costs,
    SimulatedBackend,
    SimulatedEngine,
    SimulatedStage,
    draw_times,
    run_virtual,
)
from milepost.training.config import build_config
from milepost.training.display import SilentDisplay
from milepost.training.meter import Meter
from milepost.training.pipeline import Pipeline
from milepost.training.sampler import TaskSampler
from milepost.training.trajectory import EpisodeRequest

BATCH = 16
"""Most requests that the simulated engine serves together."""

CONTEXTS = 8 * BATCH
GROUPS, SIZE = 32, 8
LATENCIES_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
MIX_S = (0.02, 2.0)
MIX = "20 ms to 2 s"
MODES = {"sync": 0, "one_step_off": 1, "async": 3}
OVERSAMPLE = (0.0, 0.25, 0.5)
FIGURES = ("over_bound", "faster_than_lock_step", "over_bound_with_learner", "faster_with_learner")


@dataclass(frozen=True, slots=True)
class Plan:
    """What an iteration plays, and how far ahead."""

    staleness: int = 0
    groups: int = GROUPS
    oversample: float = 0.0
    contexts: int = CONTEXTS


def build_costs(latency_s: float | None, seed: int = 0) -> Costs:
    """Give the costs at a mean browser latency, or of the mix; the engine is one GPU's: 40 ms a batch and 4 ms a request."""
    if latency_s is None:
        return Costs(step_s=0.0, reset_s=0.0, batch_s=0.04, request_s=0.004, mix_s=MIX_S, seed=seed)
    return Costs(step_s=latency_s, reset_s=2 * latency_s, batch_s=0.04, request_s=0.004, seed=seed)


def name_latency(latency_s: float | None) -> str:
    """Name what a step takes."""
    if latency_s is None:
        return MIX
    return f"{latency_s * 1000:g} ms" if latency_s < 1 else f"{latency_s:g} s"


def build_stage(costs: Costs, clock: Callable[[], float], contexts: int = CONTEXTS) -> SimulatedStage:
    """Build a stage whose figures start at 0."""
    return SimulatedStage(
        SimulatedEngine(costs, max_batch=BATCH), SimulatedBackend(costs, contexts), Meter(clock)
    )


def find_bound(costs: Costs, stage: SimulatedStage) -> float:
    """Give the least seconds in which what was played can be played."""
    engine_s = stage.engine.requests / BATCH * (costs.batch_s + BATCH * costs.request_s)
    return max(engine_s, stage.backend.env_s / stage.backend.contexts)


async def play_pipeline(
    costs: Costs, clock: Callable[[], float], *, plan: Plan, iterations: int, learn_s: float
) -> SimulatedStage:
    """Run iterations through the package's own pipeline; learning takes its time and nothing else."""
    config = build_config(
        {
            "tasks": {"ids": [TASK]},
            "rollout": {
                "group_size": SIZE,
                "contexts": plan.contexts,
                "max_staleness": plan.staleness,
                "oversample": plan.oversample,
            },
            "train": {"iterations": iterations, "tasks_per_iteration": plan.groups},
        }
    )
    stage = build_stage(costs, clock, plan.contexts)
    sampler = TaskSampler([TASK], run_seed=0)
    pipeline = Pipeline(stage, config, sampler, np.random.default_rng(0), SilentDisplay())
    for number in range(1, iterations + 1):
        await pipeline.take(number)
        await asyncio.sleep(learn_s)
    return stage


async def play_lock_step(
    costs: Costs, clock: Callable[[], float], *, asked: Sequence[Sequence[EpisodeRequest]], learn_s: float
) -> SimulatedStage:
    """Play the same episodes as many trainers do: all contexts reset, then all ask, then all step."""
    stage = build_stage(costs, clock)
    for members in asked:
        for start in range(0, len(members), CONTEXTS):
            await _play_wave(costs, stage, members[start : start + CONTEXTS])
        await asyncio.sleep(learn_s)
    return stage


async def _play_wave(costs: Costs, stage: SimulatedStage, members: Sequence[EpisodeRequest]) -> None:
    drawn = [draw_times(costs, member) for member in members]
    stage.backend.env_s += sum(reset_s + sum(steps) for reset_s, steps in drawn)
    await asyncio.sleep(max(reset_s for reset_s, _ in drawn))
    left = [steps for _, steps in drawn]
    while left:
        await asyncio.gather(*(stage.engine.generate() for _ in left))
        await asyncio.sleep(max(steps.pop() for steps in left))
        left = [steps for steps in left if steps]


def measure(costs: Costs, *, iterations: int) -> Iterator[dict[str, Any]]:
    """Measure every mode in virtual time, without and with a learner that takes as long as the rollouts' bound."""
    plays = {
        mode: partial(play_pipeline, costs, plan=Plan(staleness), iterations=iterations)
        for mode, staleness in MODES.items()
    }
    played = {mode: run_virtual(partial(play, learn_s=0.0)) for mode, play in plays.items()}
    stage = played["sync"][0]
    learn_s = find_bound(costs, stage) / iterations
    lock_step = partial(play_lock_step, costs, asked=stage.asked)
    locked_s, locked_learning_s = (
        run_virtual(partial(lock_step, learn_s=seconds))[1] for seconds in (0.0, learn_s)
    )
    for mode, play in plays.items():
        stage, wall_s = played[mode]
        learning_s = run_virtual(partial(play, learn_s=learn_s))[1]
        bound_s = find_bound(costs, stage)
        yield {
            "mode": mode,
            "over_bound": wall_s / bound_s,
            "faster_than_lock_step": locked_s / wall_s,
            "over_bound_with_learner": learning_s / bound_s,
            "faster_with_learner": locked_learning_s / learning_s,
        }


def measure_modes(latency_s: float | None, *, iterations: int, seeds: int) -> Iterator[dict[str, Any]]:
    """Measure every mode on several draws; a figure is the median, the least and the most of them."""
    drawn = [list(measure(build_costs(latency_s, seed), iterations=iterations)) for seed in range(seeds)]
    for rows in zip(*drawn, strict=True):
        yield {
            "steps": name_latency(latency_s),
            "mode": rows[0]["mode"],
            **{name: spread([row[name] for row in rows]) for name in FIGURES},
        }


def measure_tail(latency_s: float | None, *, iterations: int, seeds: int) -> Iterator[dict[str, Any]]:
    """Measure what `sync` makes of over-sampling, of more contexts, and of more groups in fewer iterations.

    The bound is that of the episodes that were wanted, the same for every share of over-sampling.
    """
    plans = [Plan(oversample=share) for share in OVERSAMPLE] + [Plan(contexts=2 * CONTEXTS)]
    plans += [Plan(groups=n * GROUPS) for n in (2, 4)]
    bounds: dict[tuple[int, int, int], float] = {}
    for plan in plans:
        rows: list[dict[str, float]] = []
        for seed in range(seeds):
            costs, rounds = build_costs(latency_s, seed), iterations * GROUPS // plan.groups
            stage, wall_s = run_virtual(
                partial(play_pipeline, costs, plan=plan, iterations=rounds, learn_s=0.0)
            )
            if not plan.oversample:
                bounds[seed, plan.groups, plan.contexts] = find_bound(costs, stage)
            planned = rounds * plan.groups * SIZE
            rows.append(
                {
                    "over_bound": wall_s / bounds[seed, plan.groups, plan.contexts],
                    "turns_kept": statistics.fmean(stage.kept_turns),
                    "played_in_vain": (stage.meter.episodes - planned) / planned,
                    "given_up": stage.meter.cancelled / planned,
                }
            )
        yield {
            "steps": name_latency(latency_s),
            "contexts": plan.contexts,
            "groups": plan.groups,
            "oversample": plan.oversample,
            **{name: spread([row[name] for row in rows]) for name in rows[0]},
        }


def spread(values: Sequence[float]) -> list[float]:
    """Give the median, the least and the most."""
    return [statistics.median(values), min(values), max(values)]


def measure_real(latency_s: float | None, *, iterations: int) -> dict[str, Any]:
    """Measure a latency on the wall clock: what remains over virtual time is the event loop's own work."""
    costs = build_costs(latency_s)

    async def play() -> tuple[SimulatedStage, float]:
        start = time.perf_counter()
        stage = await play_pipeline(
            costs, time.perf_counter, plan=Plan(1), iterations=iterations, learn_s=0.0
        )
        return stage, time.perf_counter() - start

    stage, wall_s = asyncio.run(play())
    bound_s = find_bound(costs, stage)
    return {
        "steps": name_latency(latency_s),
        "wall_s": wall_s,
        "bound_s": bound_s,
        "over_bound": wall_s / bound_s,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", action="store_true", help="on the wall clock instead of in virtual time")
    parser.add_argument("--mix", action="store_true", help="the mix alone, without the sweep")
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    given = {"iterations": args.iterations, "seeds": args.seeds}
    measured: dict[str, list[dict[str, Any]]] = {}
    if args.real:
        measured["real"] = [measure_real(load, iterations=args.iterations) for load in (None, 0.02, 0.2)]
    else:
        loads = (None,) if args.mix else (None, *LATENCIES_S)
        measured["modes"] = [row for load in loads for row in measure_modes(load, **given)]
        measured["tail"] = list(measure_tail(None, **given))
    if args.json:
        print(json.dumps(measured))
        return
    print(
        f"{CONTEXTS} contexts, engine of {BATCH} requests a batch, {args.iterations} iterations of "
        f"{GROUPS} groups of {SIZE}, {args.seeds} seeds"
    )
    for name, rows in measured.items():
        print(f"\n{name}")
        for row in rows:
            print("  ".join(f"{key} {show(value):12}" for key, value in row.items()))


def show(value: object) -> str:
    """Write a figure, or a median with its least and most."""
    if isinstance(value, list):
        median, least, most = value
        return f"{median:.3g} ({least:.3g}-{most:.3g})"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
