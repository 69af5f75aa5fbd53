"""Episodes in the browsers of this machine, in this very process."""

import asyncio
from dataclasses import replace
from pathlib import Path

from milepost.envs.conditions import Conditions
from milepost.envs.episode import Episode, Outcome
from milepost.envs.registry import get_template
from milepost.envs.task import Split
from milepost.milestones import RewardMode
from milepost.sandbox.events import Event
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool
from milepost.training.trajectory import EpisodeRequest


class LocalEpisode:
    """An episode of this process."""

    def __init__(self, episode: Episode) -> None:
        """Run `episode`."""
        self._episode = episode

    @property
    def goal(self) -> str:
        """The goal text as the agent sees it."""
        return self._episode.goal

    @property
    def over(self) -> bool:
        """Whether the episode is over."""
        return self._episode.over

    @property
    def reached(self) -> frozenset[str]:
        """Names of the milestones reached so far."""
        return self._episode.reached

    @property
    def success(self) -> bool:
        """Whether the goal is reached."""
        return self._episode.success

    async def step(self, text: str) -> Outcome:
        """Carry out one action and judge what it caused."""
        return await self._episode.step(text)

    async def save(self, folder: Path) -> None:
        """Write the record of events and rewards."""
        self._episode.save(folder)

    async def recall(self) -> tuple[Event, ...]:
        """Give the episode's log."""
        return self._episode.events

    async def close(self) -> None:
        """Dispose of the episode's world."""
        await self._episode.close()


class LocalBackend:
    """Opens episodes in a pool of browser contexts."""

    def __init__(
        self,
        pool: Pool,
        *,
        contexts: int,
        mode: RewardMode = RewardMode.MILESTONES,
        conditions: Conditions = Conditions(),
    ) -> None:
        """Take a pool, which stays its owner's until `close`.

        Args:
            pool: where sessions come from.
            contexts: how many it gives at once.
            mode: how rewards are paid.
            conditions: how episodes are run, with screenshots for example.
        """
        self.pool = pool
        self._mode = mode
        self._conditions = conditions
        self.contexts = contexts
        self.places = asyncio.Semaphore(contexts)

    async def start(self) -> None:
        """Launch the browser now."""
        await self.pool.warm_up()

    async def open(self, request: EpisodeRequest) -> tuple[LocalEpisode, Observation]:
        """Open an episode.

        Raises:
            SandboxError: its world could not be made.
        """
        template = get_template(request.task_id)
        if request.max_steps is not None:
            template = replace(template, max_steps=request.max_steps)
        episode, observation = await Episode.open(
            self.pool,
            template,
            request.seed,
            Split(request.split),
            mode=self._mode,
            conditions=self._conditions,
        )
        return LocalEpisode(episode), observation

    async def close(self) -> None:
        """Close the browsers."""
        await self.pool.close()
