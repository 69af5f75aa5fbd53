"""What trajectories say about a policy: success with its interval, returns, how far they came."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from milepost.training.sampler import draw_seed
from milepost.training.trajectory import EpisodeRequest, Trajectory

_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """Successes out of trials, with a 95 % Wilson interval."""

    successes: int
    trials: int

    @property
    def value(self) -> float:
        """The share of successes; 0 without trials."""
        return self.successes / self.trials if self.trials else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval (Wilson 1927); (0, 1) without trials."""
        n = self.trials
        if n == 0:
            return 0.0, 1.0
        z2 = _Z95**2
        centre = (self.value + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z95 / (1 + z2 / n) * math.sqrt(self.value * (1 - self.value) / n + z2 / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)

    def to_record(self) -> dict[str, Any]:
        """Give the JSON form."""
        low, high = self.interval
        return {"successes": self.successes, "n": self.trials, "value": self.value, "low": low, "high": high}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskScore:
    """One template's part of an evaluation."""

    success: Proportion
    ret: float
    """Mean return."""
    turns: float
    """Mean turns."""
    reach: dict[str, float]
    """For each milestone that paid at least once, the share of episodes in which it did."""
    routes: dict[str, int]
    """Of what rules left open: how often which tier decided, and how often none did."""
    unscored: int
    """Episodes without a score, which count nowhere else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a set of trajectories says; those without a score count as failures of the harness only."""

    success: Proportion
    """Over all scored episodes."""
    mean_success: float
    """Mean over tasks of each task's success."""
    ret: float
    turns: float
    unscored: int
    statuses: dict[str, int]
    routes: dict[str, int]
    """As `TaskScore.routes`, over all tasks."""
    tasks: dict[str, TaskScore]

    def to_record(self) -> dict[str, Any]:
        """Give the JSON form, as `metrics.jsonl` has it."""
        return {
            "success": self.mean_success,
            "proportion": self.success.to_record(),
            "return": self.ret,
            "turns": self.turns,
            "unscored": self.unscored,
            "statuses": self.statuses,
            "routes": self.routes,
            "tasks": {
                name: {
                    "success": task.success.value,
                    "proportion": task.success.to_record(),
                    "return": task.ret,
                    "turns": task.turns,
                    "reach": task.reach,
                    "routes": task.routes,
                    "unscored": task.unscored,
                }
                for name, task in self.tasks.items()
            },
        }


def summarize(trajectories: Sequence[Trajectory]) -> Score:
    """Sum trajectories up, task by task."""
    by_task: dict[str, list[Trajectory]] = {}
    for trajectory in trajectories:
        by_task.setdefault(trajectory.task_id, []).append(trajectory)
    every = {name: _summarize_task(by_task[name]) for name in sorted(by_task)}
    # A task without a single score has no success, which is not success 0.
    tasks = {name: task for name, task in every.items() if task.success.trials}
    scored = [t for t in trajectories if t.scored]
    return Score(
        success=Proportion(successes=sum(t.success for t in scored), trials=len(scored)),
        mean_success=_mean([task.success.value for task in tasks.values()]),
        ret=_mean([t.ret for t in scored]),
        turns=_mean([len(t.turns) for t in scored]),
        unscored=len(trajectories) - len(scored),
        statuses=dict(sorted(Counter(t.status.value for t in trajectories).items())),
        routes=_count_routes(trajectories),
        tasks=tasks,
    )


def _summarize_task(members: Sequence[Trajectory]) -> TaskScore:
    scored = [t for t in members if t.scored]
    reached = Counter(name for t in scored for name in {n for turn in t.turns for n in turn.rewards})
    return TaskScore(
        success=Proportion(successes=sum(t.success for t in scored), trials=len(scored)),
        ret=_mean([t.ret for t in scored]),
        turns=_mean([len(t.turns) for t in scored]),
        reach={name: count / len(scored) for name, count in sorted(reached.items())},
        routes=_count_routes(members),
        unscored=len(members) - len(scored),
    )


def _count_routes(trajectories: Sequence[Trajectory]) -> dict[str, int]:
    return dict(sorted(Counter(tier for t in trajectories for tier in t.routes.values()).items()))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def plan_evaluation(
    ids: Sequence[str], *, split: str, episodes: int, run_seed: int, phase: str, first_seed: int = 0
) -> list[EpisodeRequest]:
    """Plan an evaluation: seeds of a split one after the other, the same in every evaluation of every run.

    Args:
        ids: the templates.
        split: `validation` or `test`.
        episodes: seeds of each template.
        run_seed: seed of the run, which the agent's draws depend on.
        phase: names the evaluation; draws do not depend on it, so two policies face the same luck.
        first_seed: where the seeds begin; seeds that were looked at while settings were chosen are not held out
            any more.
    """
    return [
        EpisodeRequest(
            task_id=task_id,
            seed=seed,
            split=split,
            group=f"{task_id}/{split}/{seed}",
            member=0,
            sampling_seed=draw_seed(run_seed, split, task_id, seed),
            phase=phase,
        )
        for seed in range(first_seed, first_seed + episodes)
        for task_id in ids
    ]


def measure_forks(trajectories: Sequence[Trajectory]) -> float:
    """Give the share of turns, first ones aside, whose prompt does not go on from the turn before.

    Only an exact match of token ids goes on: then both turns are computed as one sequence.
    """
    forks = []
    for trajectory in trajectories:
        for before, turn in pairwise(trajectory.turns):
            ids = before.completion.prompt_ids + before.completion.completion_ids
            forks.append(turn.completion.prompt_ids[: len(ids)] != ids)
    return _mean(forks)


def describe_turns(trajectories: Sequence[Trajectory]) -> dict[str, float]:
    """Give shares of turns that went wrong (`errors`), were cut off (`cut`) or forked, and mean token counts."""
    turns = [turn for trajectory in trajectories for turn in trajectory.turns]
    return {
        "errors": _mean([bool(turn.error) for turn in turns]),
        "cut": _mean([turn.completion.stop == "length" for turn in turns]),
        "forked": measure_forks(trajectories),
        "prompt_tokens": _mean([len(turn.completion.prompt_ids) for turn in turns]),
        "completion_tokens": _mean([len(turn.completion.completion_ids) for turn in turns]),
    }
