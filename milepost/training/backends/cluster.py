"""Episodes in the browsers of other machines: environment workers are actors of a Ray cluster.

A worker holds a pool of browser contexts and plays what it is told, action by action; the policy stays with the
trainer, so what travels is text, and screenshots to a policy that sees. Every machine needs milepost and a browser. A worker that dies loses its
episodes, which fail as infrastructure does: they are begun again elsewhere, or masked. Ray starts it anew.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

from milepost.envs.conditions import Conditions
from milepost.envs.episode import Outcome
from milepost.milestones import RewardMode
from milepost.sandbox.browser import BrowserOptions
from milepost.sandbox.events import Event
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.observation import Observation
from milepost.training.backends.backend import BackendError
from milepost.training.backends.worker import Broken, Stand, Worker
from milepost.training.trajectory import EpisodeRequest

CONTEXTS_PER_WORKER = 8
"""More contexts on one browser gain nothing on two cores, and one browser's death costs as many episodes."""

CALL_DEADLINE_S = 120.0
"""Longest wait for a worker's answer; its own deadlines are shorter."""

START_DEADLINE_S = 120.0
"""Longest wait for a worker to be placed and to have its browser."""

HEAD_DEADLINE_S = 10.0
"""Longest wait for the cluster's head to take a connection."""

_T = TypeVar("_T")


class RemoteEpisode:
    """An episode that a worker plays."""

    def __init__(self, actor: "_Actor", key: str, stand: Stand) -> None:
        """Stand where the worker's episode stands."""
        self._actor = actor
        self._key = key
        self._stand = stand
        self._closed = False

    @property
    def goal(self) -> str:
        """The goal text as the agent sees it."""
        return self._stand.goal

    @property
    def over(self) -> bool:
        """Whether the episode is over."""
        return self._stand.over

    @property
    def reached(self) -> frozenset[str]:
        """Names of the milestones reached so far."""
        return self._stand.reached

    @property
    def success(self) -> bool:
        """Whether the goal is reached."""
        return self._stand.success

    async def step(self, text: str) -> Outcome:
        """Carry out one action; where the worker is lost, so is the episode."""
        try:
            self._stand = _check(await self._actor.call("step", self._key, text))
        except SandboxError as broken:
            seen = self._stand.outcome.observation
            outcome = Outcome(observation=seen, truncated=True, failure=broken.failure, reason=broken.reason)
            self._stand = Stand(
                outcome=outcome, goal=self.goal, over=True, reached=self.reached, success=self.success
            )
        return self._stand.outcome

    async def save(self, folder: Path) -> None:
        """Fetch the record and write it into a folder of this machine.

        Raises:
            SandboxError: the record is lost with the worker.
        """
        files = _check(await self._actor.call("pack", self._key))
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)

    async def recall(self) -> tuple[Event, ...]:
        """Fetch the episode's log.

        Raises:
            SandboxError: it is lost with the worker.
        """
        events: tuple[Event, ...] = _check(await self._actor.call("recall", self._key))
        return events

    async def close(self) -> None:
        """Dispose of the episode's world, if it is still there."""
        if self._closed:
            return
        self._closed = True
        self._actor.active -= 1
        try:
            await self._actor.call("close", self._key)
        except SandboxError:
            return  # it went with its worker


def _check(answer: _T | Broken) -> _T:
    if isinstance(answer, Broken):
        raise SandboxError(answer.failure, answer.reason)
    return answer


class _Actor:
    """A worker as its caller sees it: every failure of Ray's is one of infrastructure."""

    def __init__(self, handle: Any, number: int, error: type[Exception]) -> None:
        self._handle = handle
        self._error = error
        self.number = number
        self.active = 0

    async def call(self, method: str, *args: Any, deadline_s: float = CALL_DEADLINE_S) -> Any:
        try:
            answer: Awaitable[Any] = asyncio.wrap_future(getattr(self._handle, method).remote(*args).future())
            return await asyncio.wait_for(answer, deadline_s)
        except TimeoutError:
            raise SandboxError(
                Failure.TIMEOUT, f"worker {self.number} gave no answer to {method} in {deadline_s:.0f} s"
            ) from None
        except self._error as broken:
            reason = str(broken).strip().splitlines()[0]
            raise SandboxError(Failure.INFRASTRUCTURE, f"worker {self.number} is lost: {reason}") from broken


class ClusterBackend:
    """Opens episodes on the workers of a Ray cluster, on the one with the fewest under way."""

    def __init__(
        self,
        *,
        contexts: int,
        mode: RewardMode = RewardMode.MILESTONES,
        options: BrowserOptions = BrowserOptions(),
        conditions: Conditions = Conditions(),
    ) -> None:
        """Prepare a backend.

        Args:
            contexts: browser contexts on all machines together.
            mode: how rewards are paid.
            options: how browsers are started.
            conditions: how episodes are run, with screenshots for example.

        Raises:
            BackendError: Ray is not installed.
        """
        self.contexts = contexts
        self.places = asyncio.Semaphore(contexts)
        self._mode = mode
        self._options = options
        self._conditions = conditions
        self._ray = _import_ray()
        self._workers: list[_Actor] = []
        self._handles: list[Any] = []
        self._opened = 0
        self._joined = False

    async def start(self) -> None:
        """Join the cluster and place the workers, at least one on each machine.

        Raises:
            BackendError: the cluster cannot be reached, has no room, or a machine's browser does not start.
        """
        await asyncio.to_thread(self._join)
        machines = sum(bool(node["Alive"]) for node in self._ray.nodes())
        count = min(self.contexts, max(machines, -(-self.contexts // CONTEXTS_PER_WORKER)))
        shares = [self.contexts // count + (i < self.contexts % count) for i in range(count)]
        make = self._ray.remote(Worker).options(
            num_cpus=1, max_restarts=-1, max_concurrency=1000, scheduling_strategy="SPREAD"
        )
        self._handles = [make.remote(share, self._mode, self._options, self._conditions) for share in shares]
        self._workers = [
            _Actor(handle, number, self._ray.exceptions.RayError)
            for number, handle in enumerate(self._handles)
        ]
        try:
            faults = await asyncio.gather(
                *(worker.call("start", deadline_s=START_DEADLINE_S) for worker in self._workers)
            )
        except SandboxError as broken:
            free = self._ray.available_resources().get("CPU", 0.0)
            raise BackendError(
                f"{count} environment workers of one CPU each could not be placed on {machines} machines with "
                f"{free:g} CPUs free: {broken.reason}; add machines with `ray start`, or lower rollout.contexts"
            ) from broken
        if any(faults):
            raise BackendError(f"a worker's browser does not start: {next(filter(None, faults))}")

    def _join(self) -> None:
        """Connect to the cluster that RAY_ADDRESS names, or that runs on this machine."""
        if self._ray.is_initialized():
            return
        address = os.environ.get("RAY_ADDRESS", "auto")
        try:
            _knock(address)
            self._ray.init(address=address, log_to_driver=False, logging_level="error")
        except (OSError, RuntimeError, ValueError, self._ray.exceptions.RayError) as broken:
            where = "on this machine" if address == "auto" else f"at {address}"
            raise BackendError(
                f"no Ray cluster can be reached {where}: {str(broken).strip().splitlines()[0]}. Start one with "
                "`ray start --head` and join the other machines to it with `ray start --address=HEAD:6379`; name "
                'it in RAY_ADDRESS if its head runs elsewhere. Or set rollout.backend = "local"'
            ) from broken
        self._joined = True

    async def open(self, request: EpisodeRequest) -> tuple[RemoteEpisode, Observation]:
        """Open an episode.

        Raises:
            SandboxError: its world could not be made, or its worker is lost.
        """
        worker = min(self._workers, key=lambda one: one.active)
        self._opened += 1
        key = f"{self._opened}"
        worker.active += 1
        try:
            stand = _check(await worker.call("open", key, request))
        except BaseException:
            worker.active -= 1
            raise
        return RemoteEpisode(worker, key, stand), stand.outcome.observation

    async def close(self) -> None:
        """Stop the workers with their browsers, and leave the cluster if it was joined here."""
        stops = [worker.call("stop", deadline_s=20.0) for worker in self._workers]
        await asyncio.gather(*stops, return_exceptions=True)
        for handle in self._handles:
            self._ray.kill(handle, no_restart=True)
        self._workers, self._handles = [], []
        if self._joined:
            await asyncio.to_thread(self._ray.shutdown)
            self._joined = False


def _knock(address: str) -> None:
    """Find out whether anybody listens at `host:port`: Ray itself would try for minutes.

    Raises:
        OSError: nobody does.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=HEAD_DEADLINE_S).close()


def _import_ray() -> Any:
    try:
        import ray  # noqa: PLC0415 (an extra, and slow to load)
    except ImportError as missing:
        raise BackendError(
            'rollout.backend is "ray", but Ray is not installed: pip install "milepost[ray]"'
        ) from missing
    return ray
