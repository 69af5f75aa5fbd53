"""Runs episodes: many at once on one event loop, each its own coroutine, no lock-step.

A browser step of one episode overlaps the generation of another; the engine batches whatever requests are
waiting. A failure of the harness is retried, and when it stays it is carried as a status: it never becomes
reward 0.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from milepost.agents.agent import Agent, Completion, Decision
from milepost.envs.episode import Outcome
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.observation import Observation
from milepost.training.backends.backend import Backend, Running
from milepost.training.meter import Meter
from milepost.training.records import write_episode
from milepost.training.trajectory import EpisodeRequest, Status, Trajectory, Turn

MakeAgent = Callable[[EpisodeRequest], Agent]
"""Gives the agent that plays an episode."""

Group = Sequence[EpisodeRequest]
"""Requests of the same task and seed."""

LEAST_MEMBERS = 2
"""Scored members without which a group teaches nothing: each is compared with the others."""

_STATUS_OF = {
    Failure.POLICY: Status.FINISHED,
    Failure.TASK: Status.INFRASTRUCTURE,
    Failure.INFRASTRUCTURE: Status.INFRASTRUCTURE,
    Failure.TIMEOUT: Status.TIMEOUT,
}


class Rollout:
    """Collects trajectories from a backend's browser contexts."""

    def __init__(
        self,
        backend: Backend,
        *,
        max_inflight: int,
        directory: Path | None = None,
        retries: int = 1,
        meter: Meter | None = None,
    ) -> None:
        """Prepare a rollout.

        Args:
            backend: opens episodes; its number of contexts bounds the browsers' work.
            max_inflight: episodes under way at once, at least 1.
            directory: where episodes are recorded (`<directory>/<episode id>/`); None records nothing.
            retries: times an episode is begun again after a failure of the harness.
            meter: counts what is done; a new one by default.
        """
        if max_inflight < 1:
            raise ValueError(f"at least one episode must be in flight, got max_inflight={max_inflight}")
        self._backend = backend
        self._inflight = asyncio.Semaphore(max_inflight)
        self._directory = directory
        self._retries = retries
        self.meter = meter or Meter()

    async def run(
        self,
        requests: Sequence[EpisodeRequest],
        *,
        make_agent: MakeAgent,
        on_done: Callable[[Trajectory], None] | None = None,
    ) -> list[Trajectory]:
        """Play every request and give the trajectories in the order of the requests."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._play(request, make_agent, on_done)) for request in requests]
        return [task.result() for task in tasks]

    async def run_groups(
        self,
        groups: Sequence[Group],
        *,
        wanted: int,
        make_agent: MakeAgent,
        refill: Callable[[Group], Group],
        on_done: Callable[[Trajectory], None] | None = None,
    ) -> list[Trajectory]:
        """Play groups until as many as wanted are final; what is under way then is given up.

        A group that lost so many members to failures of the harness that it teaches nothing is followed by another
        in its place, at most `wanted` times in all.

        Args:
            groups: what to play; more than `wanted` spares waiting for the slowest.
            wanted: final groups at which to stop.
            make_agent: gives the agent of each episode.
            refill: gives the group that follows a lost one.
            on_done: is told of every trajectory.

        Returns:
            The trajectories of all groups that were played to their end, the lost ones' too, in the order of
            `groups`.
        """
        played: dict[int, list[Trajectory]] = {}
        final, refills = 0, 0
        async with asyncio.TaskGroup() as tasks:
            pending = {
                tasks.create_task(self._play_group(group, make_agent, on_done)): (place, group)
                for place, group in enumerate(groups)
            }
            while pending and final < wanted:
                done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    place, group = pending.pop(task)
                    played.setdefault(place, []).extend(task.result())
                    if count_scored(task.result()) >= LEAST_MEMBERS:
                        final += 1
                    elif refills < wanted:
                        refills += 1
                        again = refill(group)
                        pending[tasks.create_task(self._play_group(again, make_agent, on_done))] = (
                            place,
                            again,
                        )
            for task in pending:
                task.cancel()
        self.meter.refills += refills
        return [trajectory for place in sorted(played) for trajectory in played[place]]

    async def _play_group(
        self, group: Group, make_agent: MakeAgent, on_done: Callable[[Trajectory], None] | None
    ) -> list[Trajectory]:
        async with asyncio.TaskGroup() as members:
            tasks = [members.create_task(self._play(request, make_agent, on_done)) for request in group]
        return [task.result() for task in tasks]

    async def _play(
        self, request: EpisodeRequest, make_agent: MakeAgent, on_done: Callable[[Trajectory], None] | None
    ) -> Trajectory:
        try:
            async with self._inflight:
                trajectory = await self._attempt(request, make_agent(request))
                for _ in range(self._retries):
                    if trajectory.scored:
                        break
                    self.meter.retries += 1
                    trajectory = await self._attempt(request, make_agent(request))
        except asyncio.CancelledError:
            self.meter.cancelled += 1
            raise
        self.meter.episodes += 1
        if on_done is not None:
            on_done(trajectory)
        return trajectory

    async def _attempt(self, request: EpisodeRequest, agent: Agent) -> Trajectory:
        with self.meter.queueing.enter():
            await self._backend.places.acquire()
        start = self.meter.clock()
        try:
            with self.meter.stepping.enter():
                episode, observation = await self._backend.open(request)
            try:
                return await self._finish(request, episode, observation, agent, start)
            finally:
                await episode.close()
        except SandboxError as broken:
            return _failed(request, broken, self.meter.clock() - start)
        finally:
            self._backend.places.release()

    async def _finish(
        self,
        request: EpisodeRequest,
        episode: Running,
        observation: Observation,
        agent: Agent,
        start: float,
    ) -> Trajectory:
        turns, outcome, seen = await self._steps(episode, observation, agent)
        trajectory = Trajectory(
            episode_id=request.episode_id,
            task_id=request.task_id,
            seed=request.seed,
            split=request.split,
            group=request.group,
            member=request.member,
            turns=turns,
            status=_status(outcome),
            success=episode.success,
            reward_parts=_sum_parts(turns),
            wall_s=self.meter.clock() - start,
            failure=outcome.reason,
        )
        if self._directory is not None:
            folder = self._directory / request.episode_id
            await episode.save(folder)
            write_episode(folder, trajectory, goal=episode.goal, phase=request.phase, observations=seen)
        return trajectory

    async def _steps(
        self, episode: Running, observation: Observation, agent: Agent
    ) -> tuple[tuple[Turn, ...], Outcome, list[Observation]]:
        turns: list[Turn] = []
        seen = [observation]
        outcome = Outcome(observation=observation)
        while not episode.over:
            with self.meter.asking.enter():
                decision = await agent.act(observation)
            reached = episode.reached
            with self.meter.stepping.enter():
                outcome = await episode.step(decision.text)
            self.meter.steps += 1
            observation = outcome.observation
            seen.append(observation)
            if outcome.failure is None:
                turns.append(_turn(decision, outcome, reached))
                self.meter.tokens += len(turns[-1].completion.completion_ids)
        return tuple(turns), outcome, seen


def count_scored(trajectories: Iterable[Trajectory]) -> int:
    """Count the trajectories that have a score."""
    return sum(trajectory.scored for trajectory in trajectories)


def _turn(decision: Decision, outcome: Outcome, reached: frozenset[str]) -> Turn:
    completion = decision.completion or Completion(
        prompt_ids=(), completion_ids=(), logps=(), text=decision.text, stop="stop"
    )
    return Turn(
        completion=completion,
        action=outcome.observation.last_action,
        error=outcome.observation.last_error,
        rewards={name: float(value) for name, value in outcome.rewards.items()},
        reached=reached,
    )


def _status(outcome: Outcome) -> Status:
    if outcome.failure is not None:
        return _STATUS_OF[outcome.failure]
    return Status.TRUNCATED if outcome.truncated else Status.FINISHED


def _sum_parts(turns: Sequence[Turn]) -> dict[str, float]:
    parts: dict[str, float] = {}
    for turn in turns:
        for name, value in turn.rewards.items():
            parts[name] = parts.get(name, 0.0) + value
    return parts


def _failed(request: EpisodeRequest, broken: SandboxError, wall_s: float) -> Trajectory:
    return Trajectory(
        episode_id=request.episode_id,
        task_id=request.task_id,
        seed=request.seed,
        split=request.split,
        group=request.group,
        member=request.member,
        turns=(),
        status=_STATUS_OF[broken.failure],
        success=False,
        wall_s=wall_s,
        failure=broken.reason,
    )
