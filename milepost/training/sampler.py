"""Chooses what to practise: templates by turn or by need, and a seed that was never used before."""

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from milepost.training.algorithm import Flag
from milepost.training.trajectory import EpisodeRequest, Trajectory

SEEDS_PER_RUN = 1_000_000
"""Training seeds set aside for each run seed, so that runs of different seeds practise different tasks."""

_MEMORY = 0.8
"""How much of the old estimate of a template survives an iteration."""
_FLOOR = 0.35
"""Least weight of a template, so that none is forgotten."""

PASSES = 4
"""The k of pass@k, by which `band` tells how hard a template is."""
BAND = 0.25, 0.97
"""Between these values of pass@4 a template is worth practising: success of one attempt from 7 to 58 percent."""


def find_selection(flags: Sequence[Flag]) -> str:
    """Say how templates are drawn: `frontier` or `band` where a flag asks for it, else `uniform`."""
    return next((flag.value for flag in flags if flag in (Flag.FRONTIER, Flag.BAND)), "uniform")


class TaskSampler:
    """Draws training tasks."""

    def __init__(self, ids: Sequence[str], *, run_seed: int, selection: str = "uniform") -> None:
        """Prepare a sampler.

        Args:
            ids: the templates.
            run_seed: seed of the run.
            selection: `uniform` takes templates in turn; `frontier` weighs them by the share of their groups
                whose members did not all fare alike, for only these teach anything; `band` prefers those that
                are neither easy nor out of reach, by pass@4.
        """
        self._ids = tuple(ids)
        self._selection = selection
        self._next = dict.fromkeys(self._ids, run_seed * SEEDS_PER_RUN)
        self._estimates: dict[str, float] = {}
        self._turn = 0

    def draw(self, count: int, rng: np.random.Generator) -> list[tuple[str, int]]:
        """Draw `count` tasks as template and seed; no seed comes twice."""
        if self._selection != "uniform" and self._estimates:
            weights = np.array([self._weigh(task_id) for task_id in self._ids])
            drawn = rng.choice(len(self._ids), size=count, p=weights / weights.sum()).tolist()
        else:
            drawn = [(self._turn + i) % len(self._ids) for i in range(count)]
            self._turn = (self._turn + count) % len(self._ids)
        return [(self._ids[i], self._take_seed(self._ids[i])) for i in drawn]

    def draw_again(self, task_id: str) -> tuple[str, int]:
        """Draw another task of a template, for one that was lost."""
        return task_id, self._take_seed(task_id)

    def _weigh(self, task_id: str) -> float:
        estimate = self._estimates.get(task_id)
        if estimate is None:
            return 1.0  # not tried yet
        if self._selection == "band":
            return 1.0 if BAND[0] <= estimate <= BAND[1] else _FLOOR
        return max(_FLOOR, estimate)

    def _take_seed(self, task_id: str) -> int:
        seed = self._next[task_id]
        self._next[task_id] = seed + 1
        return seed

    def observe(self, trajectories: Sequence[Trajectory]) -> None:
        """Take in the iteration that ended, as far as the selection goes by it."""
        self.note(measure_pass(trajectories) if self._selection == "band" else measure_mixed(trajectories))

    def note(self, measured: Mapping[str, float]) -> None:
        """Take in what was measured of each template: the share of mixed groups, or pass@4."""
        for task_id, value in measured.items():
            old = self._estimates.get(task_id, value)
            self._estimates[task_id] = _MEMORY * old + (1.0 - _MEMORY) * value

    def state(self) -> dict[str, Any]:
        """Give the position, as JSON values."""
        return {"next": dict(self._next), "estimates": dict(self._estimates), "turn": self._turn}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a saved position; templates that are new since begin at the start."""
        self._next |= {key: value for key, value in state["next"].items() if key in self._next}
        self._estimates = {key: value for key, value in state["estimates"].items() if key in self._next}
        self._turn = state["turn"] % len(self._ids)


def measure_mixed(trajectories: Iterable[Trajectory]) -> dict[str, float]:
    """Give, for each template, the share of groups whose scored members have different returns."""
    returns: dict[str, dict[str, set[float]]] = {}
    for trajectory in trajectories:
        if trajectory.scored:
            groups = returns.setdefault(trajectory.task_id, {})
            groups.setdefault(trajectory.group, set()).add(trajectory.ret)
    return {
        task_id: sum(len(values) > 1 for values in groups.values()) / len(groups)
        for task_id, groups in returns.items()
    }


def estimate_pass(solved: int, played: int, k: int) -> float:
    """Estimate pass@k, the probability that one of k attempts succeeds, without bias (Chen et al. 2021, equation 1).

    1 - C(n - c, k) / C(n, k) with c of n attempts solved. With fewer than k attempts it is pass@n.
    """
    k = min(k, played)
    return 1.0 - math.comb(played - solved, k) / math.comb(played, k)


def measure_pass(trajectories: Iterable[Trajectory]) -> dict[str, float]:
    """Give each template's pass@4, the mean over its groups with a score."""
    groups: dict[str, dict[str, list[bool]]] = {}
    for trajectory in trajectories:
        if trajectory.scored:
            own = groups.setdefault(trajectory.task_id, {})
            own.setdefault(trajectory.group, []).append(trajectory.success)
    return {
        task_id: sum(estimate_pass(sum(one), len(one), PASSES) for one in own.values()) / len(own)
        for task_id, own in groups.items()
    }


def find_mixed(trajectories: Iterable[Trajectory]) -> set[str]:
    """Find the groups whose scored members have different returns."""
    returns: dict[str, set[float]] = {}
    for trajectory in trajectories:
        if trajectory.scored:
            returns.setdefault(trajectory.group, set()).add(trajectory.ret)
    return {group for group, values in returns.items() if len(values) > 1}


def draw_seed(*parts: int | str) -> int:
    """Derive a sampling seed (63 bits) from what it is for; the same parts give the same seed."""
    words = [part if isinstance(part, int) else int.from_bytes(part.encode(), "big") for part in parts]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))


def plan_groups(
    tasks: Sequence[tuple[str, int]],
    *,
    size: int,
    run_seed: int,
    phase: str,
    limits: Mapping[str, int] = MappingProxyType({}),
) -> list[EpisodeRequest]:
    """Plan the episodes of training tasks: `size` members for each, which draw differently.

    Args:
        tasks: template and seed of each.
        size: members of a group.
        run_seed: seed of the run.
        phase: what the episodes are for.
        limits: most steps by template, where that is not the template's own limit.
    """
    return [
        EpisodeRequest(
            task_id=task_id,
            seed=seed,
            split="train",
            group=f"{task_id}/train/{seed}",
            member=member,
            sampling_seed=draw_seed(run_seed, "train", task_id, seed, member),
            phase=phase,
            max_steps=limits.get(task_id),
        )
        for task_id, seed in tasks
        for member in range(size)
    ]
