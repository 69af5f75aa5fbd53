"""Runs episodes: many at once on one event loop, each its own coroutine, no lock-step.

A browser step of one episode overlaps the generation of another; the engine batches whatever requests are
waiting. A failure of the harness is retried, and when it stays it is carried as a status: it never becomes
reward 0.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from milepost.agents.agent import Agent, Completion, Decision
from milepost.envs.episode import Episode, Outcome
from milepost.envs.registry import get_template
from milepost.envs.task import Split
from milepost.milestones import RewardMode
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool
from milepost.training.records import write_episode
from milepost.training.trajectory import EpisodeRequest, Status, Trajectory, Turn

MakeAgent = Callable[[EpisodeRequest], Agent]
"""Gives the agent that plays an episode."""

_STATUS_OF = {
    Failure.POLICY: Status.FINISHED,
    Failure.TASK: Status.INFRASTRUCTURE,
    Failure.INFRASTRUCTURE: Status.INFRASTRUCTURE,
    Failure.TIMEOUT: Status.TIMEOUT,
}


@dataclass(slots=True)
class RolloutCounts:
    """What a rollout did, for throughput figures."""

    episodes: int = 0
    steps: int = 0
    tokens: int = 0
    """Completion tokens."""
    retries: int = 0
    """Episodes begun again after a failure of the harness."""
    agent_s: float = 0.0
    """Seconds that episodes waited for their agents, summed over episodes."""
    env_s: float = 0.0
    """Seconds that episodes waited for the browser, summed over episodes."""


class Rollout:
    """Collects trajectories from a pool of browser contexts."""

    def __init__(
        self,
        pool: Pool,
        *,
        max_inflight: int,
        mode: RewardMode = RewardMode.MILESTONES,
        directory: Path | None = None,
        retries: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare a rollout.

        Args:
            pool: where sessions come from; its number of contexts bounds the browser's work.
            max_inflight: episodes under way at once, at least 1.
            mode: how rewards are paid.
            directory: where episodes are recorded (`<directory>/<episode id>/`); None records nothing.
            retries: times an episode is begun again after a failure of the harness.
            clock: monotonic seconds.
        """
        if max_inflight < 1:
            raise ValueError(f"at least one episode must be in flight, got max_inflight={max_inflight}")
        self._pool = pool
        self._places = asyncio.Semaphore(max_inflight)
        self._mode = mode
        self._directory = directory
        self._retries = retries
        self._clock = clock
        self.counts = RolloutCounts()

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

    async def _play(
        self, request: EpisodeRequest, make_agent: MakeAgent, on_done: Callable[[Trajectory], None] | None
    ) -> Trajectory:
        async with self._places:
            trajectory = await self._attempt(request, make_agent(request))
            for _ in range(self._retries):
                if trajectory.scored:
                    break
                self.counts.retries += 1
                trajectory = await self._attempt(request, make_agent(request))
        self.counts.episodes += 1
        if on_done is not None:
            on_done(trajectory)
        return trajectory

    async def _attempt(self, request: EpisodeRequest, agent: Agent) -> Trajectory:
        start = self._clock()
        template = get_template(request.task_id)
        try:
            episode, observation = await Episode.open(
                self._pool, template, request.seed, Split(request.split), mode=self._mode
            )
        except SandboxError as broken:
            return _failed(request, broken, self._clock() - start)
        self.counts.env_s += self._clock() - start
        try:
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
                wall_s=self._clock() - start,
                failure=outcome.reason,
            )
            if self._directory is not None:
                folder = self._directory / request.episode_id
                episode.save(folder)
                write_episode(folder, trajectory, goal=episode.goal, phase=request.phase, observations=seen)
            return trajectory
        finally:
            await episode.close()

    async def _steps(
        self, episode: Episode, observation: Observation, agent: Agent
    ) -> tuple[tuple[Turn, ...], Outcome, list[Observation]]:
        turns: list[Turn] = []
        seen = [observation]
        outcome = Outcome(observation=observation)
        while not episode.over:
            asked = self._clock()
            decision = await agent.act(observation)
            decided = self._clock()
            reached = episode.reached
            outcome = await episode.step(decision.text)
            self.counts.agent_s += decided - asked
            self.counts.env_s += self._clock() - decided
            self.counts.steps += 1
            observation = outcome.observation
            seen.append(observation)
            if outcome.failure is None:
                turns.append(_turn(decision, outcome, reached))
                self.counts.tokens += len(turns[-1].completion.completion_ids)
        return tuple(turns), outcome, seen


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
