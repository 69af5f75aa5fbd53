"""What runs on a machine of the cluster: browsers, the episodes in them, and answers that can travel."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from milepost.envs.conditions import Conditions
from milepost.envs.episode import Outcome
from milepost.milestones import RewardMode
from milepost.sandbox.browser import BrowserLaunchError, BrowserOptions
from milepost.sandbox.chromium import BrowserNotFoundError
from milepost.sandbox.events import Event
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.pool import Pool
from milepost.training.backends.local import LocalBackend, LocalEpisode
from milepost.training.trajectory import EpisodeRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A worker's `SandboxError`, as a value that can travel."""

    failure: Failure
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where an episode stands after a call."""

    outcome: Outcome
    goal: str
    over: bool
    reached: frozenset[str]
    success: bool


class Worker:
    """Plays episodes on one machine; Ray makes an actor of it."""

    def __init__(
        self, contexts: int, mode: RewardMode, options: BrowserOptions, conditions: Conditions
    ) -> None:
        """Prepare a pool of so many contexts."""
        self._contexts = contexts
        self._conditions = conditions
        self._mode = mode
        self._options = options
        self._episodes: dict[str, LocalEpisode] = {}
        self._backend: LocalBackend

    async def start(self) -> str:
        """Launch the browser; give what is wrong with it, or nothing."""
        pool = Pool(contexts=self._contexts, options=self._options)
        self._backend = LocalBackend(
            pool, contexts=self._contexts, mode=self._mode, conditions=self._conditions
        )
        try:
            await self._backend.start()
        except (BrowserNotFoundError, BrowserLaunchError) as broken:
            return str(broken)
        return ""

    async def open(self, key: str, request: EpisodeRequest) -> Stand | Broken:
        """Open an episode under a key of the caller's."""
        if not hasattr(self, "_backend"):
            await self.start()
        try:
            episode, observation = await self._backend.open(request)
        except SandboxError as broken:
            return Broken(failure=broken.failure, reason=broken.reason)
        self._episodes[key] = episode
        return _stand(episode, Outcome(observation=observation))

    async def step(self, key: str, text: str) -> Stand | Broken:
        """Carry out one action."""
        episode = self._episodes.get(key)
        if episode is None:
            return _lost()
        return _stand(episode, await episode.step(text))

    async def pack(self, key: str) -> Mapping[str, bytes] | Broken:
        """Give the files that record the episode."""
        episode = self._episodes.get(key)
        if episode is None:
            return _lost()
        with TemporaryDirectory(prefix="milepost-record-") as folder:
            await episode.save(Path(folder))
            return {path.name: path.read_bytes() for path in Path(folder).iterdir()}

    async def recall(self, key: str) -> tuple[Event, ...] | Broken:
        """Give the episode's log."""
        episode = self._episodes.get(key)
        return _lost() if episode is None else await episode.recall()

    async def close(self, key: str) -> None:
        """Dispose of an episode."""
        episode = self._episodes.pop(key, None)
        if episode is not None:
            await episode.close()

    async def stop(self) -> None:
        """Close the browser."""
        await self._backend.close()


def _stand(episode: LocalEpisode, outcome: Outcome) -> Stand:
    return Stand(
        outcome=outcome,
        goal=episode.goal,
        over=episode.over,
        reached=episode.reached,
        success=episode.success,
    )


def _lost() -> Broken:
    return Broken(
        failure=Failure.INFRASTRUCTURE, reason="the worker was started anew and knows no such episode"
    )
