"""The seam between the scheduler of episodes and the machines that have the browsers."""

import asyncio
from pathlib import Path
from typing import Protocol

from milepost.envs.episode import Outcome
from milepost.sandbox.observation import Observation
from milepost.training.trajectory import EpisodeRequest


class BackendError(RuntimeError):
    """The machines cannot be had; the message says what to do."""


class Running(Protocol):
    """An episode under way, wherever its browser is."""

    @property
    def goal(self) -> str:
        """The goal text as the agent sees it."""
        ...

    @property
    def over(self) -> bool:
        """Whether the episode is over."""
        ...

    @property
    def reached(self) -> frozenset[str]:
        """Names of the milestones reached so far."""
        ...

    @property
    def success(self) -> bool:
        """Whether the goal is reached."""
        ...

    async def step(self, text: str) -> Outcome:
        """Carry out one action and judge what it caused; a failure of the harness is in the outcome."""
        ...

    async def save(self, folder: Path) -> None:
        """Write the record of events and rewards into a folder of this machine.

        Raises:
            SandboxError: the record is lost with the machine that held it.
        """
        ...

    async def close(self) -> None:
        """Dispose of the episode's world; safe to call twice."""
        ...


class Backend(Protocol):
    """Opens episodes. Who opens one holds one of its places until the episode is closed."""

    @property
    def places(self) -> asyncio.Semaphore:
        """One for each browser context."""
        ...

    @property
    def contexts(self) -> int:
        """How many places there are."""
        ...

    async def start(self) -> None:
        """Get ready, to learn early whether everything works.

        Raises:
            BackendError: the machines cannot be had.
            BrowserNotFoundError: no browser is installed.
            BrowserLaunchError: the browser does not start.
        """
        ...

    async def open(self, request: EpisodeRequest) -> tuple[Running, Observation]:
        """Open an episode.

        Raises:
            SandboxError: its world could not be made.
        """
        ...

    async def close(self) -> None:
        """Release browsers and machines; running episodes fail."""
        ...
