"""What does a plan of docs/scaling.md come to? A discrete-event simulation with the package's own scheduler.

    python -m benchmarks.scaling                        # all plans, times measured elsewhere
    python -m benchmarks.scaling --calibrate            # the smallest plan, with times measured on this machine now
    python -m benchmarks.scaling --plan 8-gpus --json

A plan says how many browsers there are, how long a step takes, and how fast an engine serves and learns. The sizing
rules give a forecast by Little's law; the simulation plays a steady run in virtual time, where episodes differ in
length, steps differ in time, and things wait for one another. A plan of n engines is n equal parts that meet at every
update, so one part is simulated and the slowest of n is estimated from the spread of its iterations.
"""

import argparse
import asyncio
import json
import math
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.simulation import (
    TASK,
    Costs,
    SimulatedBackend,
    SimulatedEngine,
    SimulatedStage,
    run_virtual,
)
from milepost.training.config import build_config
from milepost.training.display import SilentDisplay
from milepost.training.meter import Meter
from milepost.training.pipeline import Pipeline
from milepost.training.sampler import TaskSampler

GROUP = 8
ITERATIONS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A set of machines, and what each part of the work takes on them; times in seconds."""

    name: str
    engines: int
    """GPUs that serve; the parts into which a plan falls."""
    contexts: int
    """Browser contexts of one engine."""
    max_batch: int
    """Requests that an engine serves together."""
    step_s: float
    """A browser's step."""
    reset_s: float
    batch_s: float
    """What a batch costs whatever its size."""
    request_s: float
    """What each request of it costs."""
    learn_s: float
    """What learning from one engine's share of an episode costs, learners taken together."""
    staleness: int
    groups: int
    """Groups of an iteration, for each engine."""
    dollars_per_hour: float
    """Of one engine's share: GPUs, and CPUs of the browsers."""
    turns: tuple[int, int] = (4, 12)
    """Fewest and most turns of an episode."""

    @property
    def mean_turns(self) -> float:
        """Turns of an episode."""
        return sum(self.turns) / 2


PLANS = (
    # The built-in policy on a laptop: step, reset and batch times measured on two cores, see docs/scaling.md.
    Plan(name="2-cores", engines=1, contexts=12, max_batch=20, step_s=0.05, reset_s=0.15, batch_s=0.05,
         request_s=0.012, learn_s=0.03, staleness=0, groups=18, dollars_per_hour=0.08),
    # A 1 B policy: a turn of 600 new prompt tokens and 40 sampled ones; one GPU serves and learns by turns.
    Plan(name="1-gpu", engines=1, contexts=128, max_batch=64, step_s=0.5, reset_s=1.5, batch_s=0.45,
         request_s=0.012, learn_s=0.08, staleness=1, groups=64, dollars_per_hour=2.0 + 16 * 0.04),
    # The same with seven GPUs that serve and one that learns.
    Plan(name="8-gpus", engines=7, contexts=160, max_batch=64, step_s=0.5, reset_s=1.5, batch_s=0.45,
         request_s=0.012, learn_s=0.03, staleness=1, groups=64, dollars_per_hour=8 / 7 * 2.0 + 20 * 0.04),
    # A 30 B policy on live sites: 800 GPUs serve, 200 learn, 100,000 browsers.
    Plan(name="1000-gpus", engines=800, contexts=125, max_batch=48, step_s=2.0, reset_s=5.0, batch_s=0.9,
         request_s=0.02, learn_s=0.12, staleness=2, groups=64, dollars_per_hour=1000 / 800 * 2.5 + 32 * 0.04),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the sizing rules say about one engine's share."""

    engine_eps: float
    """Episodes a second that the engine can serve in full batches."""
    browser_eps: float
    """Episodes a second by Little's law: contexts over the time of a turn, in batches as large as they then get."""
    learner_eps: float

    @property
    def episodes_per_s(self) -> float:
        """The least of the three."""
        return min(self.engine_eps, self.browser_eps, self.learner_eps)

    @property
    def bottleneck(self) -> str:
        """Who sets it."""
        parts = {"engine": self.engine_eps, "browser": self.browser_eps, "learner": self.learner_eps}
        return min(parts, key=lambda name: parts[name])


def forecast(plan: Plan) -> Forecast:
    """Apply the sizing rules: throughput is what is in flight over how long it stays (Little 1961)."""
    full_s = plan.batch_s + plan.max_batch * plan.request_s
    away_s = plan.step_s + plan.reset_s / plan.mean_turns
    batch, turns_per_s = float(plan.max_batch), 0.0
    for _ in range(200):
        # An answer comes with the batch after the one under way, of which half is left on average.
        serve_s = plan.batch_s + batch * plan.request_s
        turns_per_s = plan.contexts / (away_s + 1.5 * serve_s)
        batch = min(plan.max_batch, max(1.0, turns_per_s * serve_s))
    return Forecast(
        engine_eps=plan.max_batch / full_s / plan.mean_turns,
        browser_eps=turns_per_s / plan.mean_turns,
        learner_eps=1.0 / plan.learn_s,
    )


async def _simulate(plan: Plan, clock: Callable[[], float]) -> tuple[list[float], SimulatedStage]:
    costs = Costs(
        step_s=plan.step_s,
        reset_s=plan.reset_s,
        batch_s=plan.batch_s,
        request_s=plan.request_s,
        turns=plan.turns,
    )
    engine = SimulatedEngine(costs, max_batch=plan.max_batch)
    stage = SimulatedStage(engine, SimulatedBackend(costs, plan.contexts), Meter(clock))
    rollout = {"group_size": GROUP, "contexts": plan.contexts, "max_staleness": plan.staleness}
    config = build_config(
        {
            "tasks": {"ids": [TASK]},
            "rollout": rollout,
            "train": {"iterations": ITERATIONS, "tasks_per_iteration": plan.groups},
        }
    )
    sampler = TaskSampler([TASK], run_seed=0)
    pipeline = Pipeline(stage, config, sampler, np.random.default_rng(0), SilentDisplay())
    ends = []
    for number in range(1, ITERATIONS + 1):
        await pipeline.take(number)
        await asyncio.sleep(plan.learn_s * plan.groups * GROUP)
        ends.append(clock())
    return ends, stage


def measure(plan: Plan) -> dict[str, Any]:
    """Simulate a plan and put it beside its forecast; rates are of the whole plan."""
    (ends, stage), seconds = run_virtual(lambda clock: _simulate(plan, clock))
    # The first iterations fill the pipeline, and the last ones drain it.
    steady = [b - a for a, b in pairwise(ends[1:-1])]
    mean_s, spread_s = statistics.fmean(steady), statistics.stdev(steady)
    # The largest of n normal numbers lies about sqrt(2 ln n) deviations above their mean.
    slowest_s = mean_s + spread_s * math.sqrt(2.0 * math.log(plan.engines))
    rate = plan.engines * plan.groups * GROUP / slowest_s
    rules = forecast(plan)
    # In turn, the learner's time adds to the rollouts'.
    eps = rules.episodes_per_s
    if plan.staleness == 0:
        eps = 1.0 / (1.0 / min(rules.engine_eps, rules.browser_eps) + 1.0 / rules.learner_eps)
    return {
        "plan": plan.name,
        "gpus_serving": plan.engines,
        "browsers": plan.engines * plan.contexts,
        "forecast_episodes_per_s": plan.engines * eps,
        "simulated_episodes_per_s": rate,
        "simulated_over_forecast": rate / (plan.engines * eps),
        "bottleneck": rules.bottleneck,
        "engine_busy": stage.engine.busy_s / seconds,
        "browser_busy": stage.backend.env_s / (seconds * plan.contexts),
        "dollars_per_1000_episodes": plan.engines * plan.dollars_per_hour / 3600.0 / rate * 1000.0,
    }


def calibrate(plan: Plan) -> tuple[Plan, float]:
    """Take times from a short run of the built-in policy on this machine; give its episodes a second too."""
    from benchmarks.calibration import measure_times  # noqa: PLC0415 (starts a browser)

    times = measure_times(contexts=plan.contexts, max_batch=plan.max_batch)
    here = replace(
        plan,
        name=f"{plan.name} (measured here)",
        step_s=times["step_s"],
        reset_s=times["reset_s"],
        batch_s=times["batch_s"],
        request_s=times["request_s"],
        turns=(1, max(1, round(2 * times["turns"]) - 1)),
    )
    return here, times["episodes_per_s"]


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plan", choices=[plan.name for plan in PLANS], help="one plan only")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    plans = [plan for plan in PLANS if args.plan in (None, plan.name)]
    rows = []
    if args.calibrate:
        plan, rate = calibrate(PLANS[0])
        # A run that does not learn, as the one that was measured.
        played = measure(replace(plan, learn_s=1e-6, staleness=1))
        rows.append({**played, "measured_episodes_per_s": rate, **asdict(plan)})
    else:
        rows = [measure(plan) for plan in plans]
    if args.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print("  ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))


if __name__ == "__main__":
    main()
