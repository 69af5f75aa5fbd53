"""The order of rollouts and updates, on the package's own scheduler with simulated browsers, in virtual time."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from benchmarks.simulation import Costs, SimulatedAgent, SimulatedBackend, SimulatedEngine, run_virtual
from milepost.agents.agent import Agent, Completion, Decision
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.observation import Observation
from milepost.training.backends.backend import Running
from milepost.training.config import build_config
from milepost.training.display import SilentDisplay
from milepost.training.meter import Meter
from milepost.training.pipeline import Pipeline, measure_staleness
from milepost.training.rollout import Group, MakeAgent, Rollout
from milepost.training.sampler import TaskSampler
from milepost.training.trajectory import EpisodeRequest, Trajectory

Clock = Callable[[], float]
COSTS = Costs(step_s=1.0, reset_s=1.0, batch_s=0.1, request_s=0.0)


class BreakingBackend:
    """Opens simulated episodes, and loses all of some seeds."""

    def __init__(self, contexts: int, lost: frozenset[int]) -> None:
        self._inner = SimulatedBackend(COSTS, contexts)
        self._lost = lost
        self.contexts = contexts
        self.places = self._inner.places
        self.opened: list[int] = []
        self.limits: list[tuple[str, int | None]] = []

    async def start(self) -> None:
        await self._inner.start()

    async def open(self, request: EpisodeRequest) -> tuple[Running, Observation]:
        self.opened.append(request.seed)
        self.limits.append((request.phase, request.max_steps))
        if request.seed in self._lost:
            raise SandboxError(Failure.INFRASTRUCTURE, "the machine is gone")
        return await self._inner.open(request)

    async def close(self) -> None:
        await self._inner.close()


class VersionedAgent:
    """Answers with the version that is served when it is asked."""

    def __init__(self, stage: "Stage") -> None:
        self._stage = stage
        self._agent = SimulatedAgent(stage.engine)

    async def act(self, observation: Observation) -> Decision:
        decision = await self._agent.act(observation)
        assert isinstance(decision.completion, Completion)
        return replace(decision, completion=replace(decision.completion, policy_version=self._stage.version))


class Stage:
    def __init__(self, clock: Clock, lost: frozenset[int] = frozenset(), contexts: int = 6) -> None:
        self.meter = Meter(clock)
        self.engine = SimulatedEngine(COSTS, max_batch=64)
        self.backend = BreakingBackend(contexts, lost)
        self.version = 0
        self.inflight = asyncio.Semaphore(2 * contexts)

    def policy_agents(self, temperature: float) -> MakeAgent:
        def make_agent(request: EpisodeRequest) -> Agent:
            return VersionedAgent(self)

        return make_agent

    async def play_groups(
        self,
        groups: Sequence[Group],
        make_agent: MakeAgent,
        *,
        wanted: int,
        refill: Callable[[Group], Group],
        record: bool = False,
    ) -> list[Trajectory]:
        rollout = Rollout(self.backend, max_inflight=self.inflight, meter=self.meter)
        return await rollout.run_groups(groups, wanted=wanted, make_agent=make_agent, refill=refill)


def build_pipeline(
    stage: Stage, *, flags: Sequence[str] = (), **rollout: float
) -> tuple[Pipeline, TaskSampler]:
    config = build_config(
        {
            "algorithm": {"flags": list(flags)},
            "tasks": {"ids": ["CatalogSearch-v0"]},
            "rollout": {"group_size": 2, "contexts": 6, **rollout},
            "train": {"iterations": 6, "tasks_per_iteration": 3},
        }
    )
    sampler = TaskSampler(["CatalogSearch-v0"], run_seed=0)
    return Pipeline(stage, config, sampler, np.random.default_rng(0), SilentDisplay()), sampler


async def train(clock: Clock, *, staleness: int, learn_s: float = 5.0) -> tuple[list[list[int]], list[float]]:
    """Give the seeds of each batch and the age of its oldest token."""
    stage = Stage(clock)
    pipeline, _ = build_pipeline(stage, max_staleness=staleness)
    seeds, ages = [], []
    for number in range(1, 7):
        played = (await pipeline.take(number)).trajectories
        seeds.append([t.seed for t in played])
        ages.append(measure_staleness(played, stage.version)["max"])
        await asyncio.sleep(learn_s)
        stage.version += 1
    return seeds, ages


BATCHES = [[3 * n, 3 * n, 3 * n + 1, 3 * n + 1, 3 * n + 2, 3 * n + 2] for n in range(6)]


def test_in_turn_nothing_is_stale_and_batches_hold_what_was_drawn_for_them() -> None:
    (seeds, ages), _ = run_virtual(lambda clock: train(clock, staleness=0))
    assert seeds == BATCHES
    assert ages == [0.0] * 6


def test_ahead_of_the_learner_batches_are_the_same_and_as_stale_as_allowed() -> None:
    for staleness in (1, 2, 4):
        (seeds, ages), _ = run_virtual(partial(train, staleness=staleness))
        assert seeds == BATCHES
        assert max(ages) <= staleness
        assert ages[1] == 1.0


def test_rollouts_go_on_while_the_learner_works() -> None:
    _, in_turn_s = run_virtual(lambda clock: train(clock, staleness=0, learn_s=8.0))
    _, rollouts_s = run_virtual(lambda clock: train(clock, staleness=0, learn_s=0.0))
    _, ahead_s = run_virtual(lambda clock: train(clock, staleness=1, learn_s=8.0))
    assert in_turn_s == pytest.approx(rollouts_s + 6 * 8.0)
    # Only the first rollout and the last update have nothing to overlap with.
    assert ahead_s < in_turn_s - 4 * 8.0


def test_what_is_under_way_is_given_up_and_drawn_again_after_a_resume() -> None:
    async def interrupt(clock: Clock) -> tuple[dict[str, object], list[int], int]:
        stage = Stage(clock)
        pipeline, _ = build_pipeline(stage, max_staleness=2)
        await pipeline.take(1)
        state = pipeline.state()
        await pipeline.stop()
        assert stage.backend.places._value == 6
        again, _ = build_pipeline(Stage(clock), max_staleness=2)
        again.restore(state)
        played = (await again.take(2)).trajectories
        await again.stop()
        return state, [t.seed for t in played], stage.meter.cancelled

    (state, seeds, cancelled), _ = run_virtual(interrupt)
    assert state["next"] == {"CatalogSearch-v0": 3}
    assert seeds == BATCHES[1]
    assert cancelled > 0


def test_a_lost_group_is_followed_by_another_in_its_place() -> None:
    async def lose(clock: Clock) -> tuple[list[tuple[int, bool]], Stage]:
        stage = Stage(clock, lost=frozenset({1}))
        pipeline, _ = build_pipeline(stage)
        return [(t.seed, t.scored) for t in (await pipeline.take(1)).trajectories], stage

    (played, stage), _ = run_virtual(lose)
    assert played == [
        (0, True),
        (0, True),
        (1, False),
        (1, False),
        (3, True),
        (3, True),
        (2, True),
        (2, True),
    ]
    assert stage.meter.refills == 1
    # Each member of the lost group was begun again once before it was given up.
    assert stage.backend.opened.count(1) == 4


def test_groups_beyond_those_wanted_spare_the_wait_for_the_slowest() -> None:
    async def play(clock: Clock) -> tuple[int, int]:
        stage = Stage(clock)
        pipeline, _ = build_pipeline(stage, oversample=1.0)
        played = (await pipeline.take(1)).trajectories
        return len({t.group for t in played}), stage.meter.episodes + stage.meter.cancelled

    (groups, accounted), _ = run_virtual(play)
    assert groups == 3
    assert accounted == 12


@pytest.mark.parametrize(("flags", "limits"), [((), [None] * 5), (("horizon",), [3, 3, 4, 4, 5])])
@pytest.mark.parametrize("staleness", [0, 2])
def test_with_a_horizon_the_episodes_of_an_iteration_are_as_long_as_its_number_says(
    flags: Sequence[str], limits: list[int | None], staleness: int
) -> None:
    """Those of the template may take 6 steps; the second group of the first iteration is lost and played again."""

    async def play(clock: Clock) -> list[tuple[str, int | None]]:
        stage = Stage(clock, lost=frozenset({1}), contexts=2)
        pipeline, _ = build_pipeline(stage, flags=flags, max_staleness=staleness)
        for number in range(1, 6):
            await pipeline.take(number)
        await pipeline.stop()
        return stage.backend.limits

    found, _ = run_virtual(play)
    planned = [(f"train-{number:04d}", limit) for number, limit in enumerate(limits, start=1)]
    # Three groups of two; the lost one's two members were begun twice, and another two took their place.
    assert [found.count(one) for one in planned] == [10, 6, 6, 6, 6]
    assert {one for one in found if one[0] < "train-0006"} == set(planned)


def test_contexts_serve_the_earliest_iteration_first() -> None:
    async def play(clock: Clock) -> list[int]:
        stage = Stage(clock, contexts=1)
        pipeline, _ = build_pipeline(stage, max_staleness=1)
        await pipeline.take(1)
        await pipeline.take(2)
        await pipeline.stop()
        return stage.backend.opened

    opened, _ = run_virtual(play)
    assert opened[:12] == BATCHES[0] + BATCHES[1]
