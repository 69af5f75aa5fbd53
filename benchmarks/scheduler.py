"""Does the scheduler waste time? Rollouts against the bound that engine and browsers set, and against lock-step.

    python -m benchmarks.scheduler            # the sweep in virtual time: exact, and the same on every machine
    python -m benchmarks.scheduler --real     # part of it on the wall clock: what the event loop itself costs
    python -m benchmarks.scheduler --json

Browsers and engine are simulated, the scheduler is the package's own. The bound is the larger of two times: the
engine serving all requests in full batches, and all browser seconds shared out over the contexts.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from benchmarks.simulation import (
    TASK,
    Costs,
    SimulatedAgent,
    SimulatedBackend,
    SimulatedEngine,
    draw_times,
    plan_members,
    run_virtual,
)
from milepost.training.config import build_config
from milepost.training.display import SilentDisplay
from milepost.training.meter import Meter
from milepost.training.pipeline import Pipeline
from milepost.training.rollout import Group, MakeAgent, Rollout
from milepost.training.sampler import TaskSampler
from milepost.training.trajectory import EpisodeRequest, Trajectory

BATCH = 16
"""Most requests that the simulated engine serves together."""

CONTEXTS = 8 * BATCH
GROUPS, SIZE = 32, 8
LATENCIES_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
MODES = {"sync": 0, "one_step_off": 1, "async": 3}


def build_costs(latency_s: float) -> Costs:
    """Give the costs at a mean browser latency; the engine is one GPU's: 40 ms a batch and 4 ms a request."""
    return Costs(step_s=latency_s, reset_s=2 * latency_s, batch_s=0.04, request_s=0.004)


@dataclass(slots=True)
class SimulatedStage:
    """Plays groups with the real `Rollout` on simulated browsers and a simulated engine."""

    engine: SimulatedEngine
    backend: SimulatedBackend
    meter: Meter
    inflight: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.inflight = asyncio.Semaphore(2 * self.backend.contexts)

    def policy_agents(self, temperature: float) -> MakeAgent:
        """Give the maker of agents."""
        return lambda request: SimulatedAgent(self.engine)

    async def play_groups(
        self,
        groups: Sequence[Group],
        make_agent: MakeAgent,
        *,
        wanted: int,
        refill: Callable[[Group], Group],
        record: bool = False,
    ) -> list[Trajectory]:
        """Play groups until as many as wanted are final."""
        rollout = Rollout(self.backend, max_inflight=self.inflight, meter=self.meter)
        return await rollout.run_groups(groups, wanted=wanted, make_agent=make_agent, refill=refill)


def build_stage(costs: Costs, clock: Callable[[], float]) -> SimulatedStage:
    """Build a stage whose figures start at 0."""
    return SimulatedStage(
        SimulatedEngine(costs, max_batch=BATCH), SimulatedBackend(costs, CONTEXTS), Meter(clock)
    )


def find_bound(costs: Costs, stage: SimulatedStage) -> float:
    """Give the least seconds in which what was played can be played."""
    engine_s = stage.engine.requests / BATCH * (costs.batch_s + BATCH * costs.request_s)
    return max(engine_s, stage.backend.env_s / stage.backend.contexts)


async def play_pipeline(
    costs: Costs, clock: Callable[[], float], *, staleness: int, iterations: int, learn_s: float
) -> SimulatedStage:
    """Run iterations through the package's own pipeline; learning takes its time and nothing else."""
    config = build_config(
        {
            "tasks": {"ids": [TASK]},
            "rollout": {"group_size": SIZE, "contexts": CONTEXTS, "max_staleness": staleness},
            "train": {"iterations": iterations, "tasks_per_iteration": GROUPS},
        }
    )
    stage = build_stage(costs, clock)
    sampler = TaskSampler([TASK], run_seed=0)
    pipeline = Pipeline(stage, config, sampler, np.random.default_rng(0), SilentDisplay())
    for number in range(1, iterations + 1):
        await pipeline.take(number)
        await asyncio.sleep(learn_s)
    return stage


async def play_lock_step(
    costs: Costs, clock: Callable[[], float], *, iterations: int, learn_s: float
) -> SimulatedStage:
    """Play the same episodes as many trainers do: all contexts reset, then all ask, then all step."""
    stage = build_stage(costs, clock)
    for number in range(iterations):
        members = [one for group in plan_members(number, groups=GROUPS, size=SIZE) for one in group]
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


def measure(latency_s: float, *, iterations: int) -> Iterator[dict[str, Any]]:
    """Measure a latency in virtual time, without and with a learner that takes as long as the rollouts' bound."""
    costs = build_costs(latency_s)
    stage, locked_s = run_virtual(
        lambda clock: play_lock_step(costs, clock, iterations=iterations, learn_s=0.0)
    )
    bound_s = find_bound(costs, stage)
    learn_s = bound_s / iterations
    _, locked_learning_s = run_virtual(
        lambda clock: play_lock_step(costs, clock, iterations=iterations, learn_s=learn_s)
    )
    for mode, staleness in MODES.items():
        walls = [
            run_virtual(
                partial(play_pipeline, costs, staleness=staleness, iterations=iterations, learn_s=seconds)
            )[1]
            for seconds in (0.0, learn_s)
        ]
        yield {
            "latency_s": latency_s,
            "mode": mode,
            "bound_s": bound_s,
            "over_bound": walls[0] / bound_s,
            "faster_than_lock_step": locked_s / walls[0],
            "over_bound_with_learner": walls[1] / bound_s,
            "faster_with_learner": locked_learning_s / walls[1],
        }


def measure_real(latency_s: float, *, iterations: int) -> dict[str, Any]:
    """Measure a latency on the wall clock: what remains over virtual time is the event loop's own work."""
    costs = build_costs(latency_s)

    async def play() -> tuple[SimulatedStage, float]:
        start = time.perf_counter()
        stage = await play_pipeline(costs, time.perf_counter, staleness=1, iterations=iterations, learn_s=0.0)
        return stage, time.perf_counter() - start

    stage, wall_s = asyncio.run(play())
    bound_s = find_bound(costs, stage)
    return {"latency_s": latency_s, "wall_s": wall_s, "bound_s": bound_s, "over_bound": wall_s / bound_s}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", action="store_true", help="on the wall clock instead of in virtual time")
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.real:
        rows = [measure_real(latency_s, iterations=args.iterations) for latency_s in (0.02, 0.2)]
    else:
        rows = [row for latency_s in LATENCIES_S for row in measure(latency_s, iterations=args.iterations)]
    if args.json:
        print(json.dumps(rows))
        return
    print(
        f"{CONTEXTS} contexts, engine of {BATCH} requests a batch, {args.iterations} iterations of "
        f"{GROUPS} groups of {SIZE}"
    )
    for row in rows:
        print(
            "  ".join(
                f"{name} {value:.3g}" if isinstance(value, float) else f"{value:12}"
                for name, value in row.items()
            )
        )


if __name__ == "__main__":
    main()
