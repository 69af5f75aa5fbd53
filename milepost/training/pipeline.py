"""When the rollouts of which iteration are played: in turn with the learner, or ahead of it."""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from milepost.training.algorithm import Flag
from milepost.training.arena import Played
from milepost.training.config import Config
from milepost.training.display import Display
from milepost.training.horizon import find_limits
from milepost.training.meter import Meter, describe_pace
from milepost.training.refill import REFILLS, play_groups
from milepost.training.rollout import Group, MakeAgent
from milepost.training.sampler import TaskSampler, plan_groups
from milepost.training.trajectory import Trajectory


class Stage(Protocol):
    """Where groups are played; an `Arena` in a run."""

    @property
    def meter(self) -> Meter:
        """Counts what is done."""
        ...

    def policy_agents(self, temperature: float) -> MakeAgent:
        """Give the maker of agents that the policy plays at a sampling temperature."""
        ...

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
        ...


class Pipeline:
    """Plays iterations in their order, and begins the next ones early where staleness is allowed.

    The rollouts of iteration n begin when n - 1 - `max_staleness` updates are learnt, so no token of a batch is older
    than that by construction; nothing is dropped for its age, and a batch holds the groups that were drawn for it,
    not those that happened to be fast. Contexts serve the earliest iteration first.
    """

    def __init__(
        self, stage: Stage, config: Config, sampler: TaskSampler, rng: np.random.Generator, display: Display
    ) -> None:
        """Prepare the rollouts of a run."""
        self._stage = stage
        self._config = config
        self._sampler = sampler
        self._rng = rng
        self._display = display
        self._ahead: deque[tuple[int, asyncio.Task[list[Trajectory]], dict[str, Any]]] = deque()
        """Iterations under way: number, work, and where the sampler stood before."""
        self._read: Mapping[str, float] | None = None

    @property
    def overlaps(self) -> bool:
        """Whether rollouts go on while the learner works."""
        return self._config.rollout.max_staleness > 0

    async def take(self, number: int) -> Played:
        """Give an iteration's rollouts; begin those of the next ones that may begin now.

        Raises:
            EngineError: the engine could not serve the policy.
            FailureBudgetError: too many episodes failed for reasons that are not the policy's.
        """
        rollout = self._config.rollout
        label = f"iteration {number}: rollouts" + (" run ahead" if self.overlaps else "")
        self._display.begin(label, self._config.train.tasks_per_iteration * rollout.group_size)
        before = self._read if self._read is not None and self.overlaps else self._stage.meter.read()
        last = max(number, min(number + rollout.max_staleness, self._config.train.iterations))
        for later in range(self._ahead[-1][0] + 1 if self._ahead else number, last + 1):
            state = self._sampler.state()
            self._ahead.append((later, asyncio.create_task(self._roll_out(later)), state))
            await asyncio.sleep(0)  # it draws its tasks now, before the next one does
        trajectories = await self._ahead[0][1]
        self._ahead.popleft()
        self._read = self._stage.meter.read()
        speed = describe_pace(before, self._read, contexts=rollout.contexts)
        return Played(trajectories=trajectories, speed=speed)

    async def stop(self) -> None:
        """Give up what is under way."""
        tasks = [task for _, task, _ in self._ahead]
        self._ahead.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def state(self) -> dict[str, Any]:
        """Give the sampler's position from which a resumed run draws what is not learnt yet."""
        now = self._sampler.state()
        return {**self._ahead[0][2], "estimates": now["estimates"]} if self._ahead else now

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a saved position."""
        self._sampler.restore(state)

    async def _roll_out(self, number: int) -> list[Trajectory]:
        """Play the groups of an iteration, and more for those that teach nothing where that is asked for."""
        config = self._config
        refills = REFILLS if Flag.DYNAMIC_SAMPLING in config.algorithm.flags else 0
        agents = self._stage.policy_agents(config.policy.temperature)

        async def play(missing: int) -> list[Trajectory]:
            count = math.ceil(missing * (1.0 + config.rollout.oversample))
            groups = [self._plan(task, number) for task in self._sampler.draw(count, self._rng)]
            return await self._stage.play_groups(
                groups,
                agents,
                wanted=missing,
                refill=lambda lost: self._plan(self._sampler.draw_again(lost[0].task_id), number),
                record=bool(config.rollout.record_every) and number % config.rollout.record_every == 0,
            )

        return await play_groups(play, config.train.tasks_per_iteration, refills=refills)

    def _plan(self, task: tuple[str, int], number: int) -> Group:
        return plan_groups(
            [task],
            size=self._config.rollout.group_size,
            run_seed=self._config.run.seed,
            phase=f"train-{number:04d}",
            limits=find_limits(self._config, number),
        )


def measure_staleness(trajectories: list[Trajectory], version: int) -> dict[str, float]:
    """Say by how many updates the weights that played turns are behind `version`: mean and largest."""
    ages = [
        version - turn.completion.policy_version
        for trajectory in trajectories
        for turn in trajectory.turns
        if trajectory.scored
    ]
    return {"mean": sum(ages) / max(1, len(ages)), "max": float(max(ages, default=0))}
