"""Runs episodes: many at once on one event loop, each its own coroutine, no lock-step.

A browser step of one episode overlaps the generation of another; the engine batches whatever requests are
waiting. A failure of the harness is retried, and when it stays it is carried as a status: it never becomes
reward 0. What rules leave open is settled when the episode has given its browser back, so no judge holds one up.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from milepost.agents.agent import Agent, Completion, Decision
from milepost.envs.episode import Outcome
from milepost.envs.registry import get_template
from milepost.envs.task import Split
from milepost.milestones import RewardMode
from milepost.milestones.case import Case
from milepost.milestones.router import Tier
from milepost.milestones.settlement import Settlement
from milepost.milestones.tiers import Tiers
from milepost.milestones.trace import list_open
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.observation import Observation
from milepost.training.backends.backend import Backend, Running
from milepost.training.meter import Meter
from milepost.training.payment import add_settlement
from milepost.training.records import sum_parts, write_episode
from milepost.training.trajectory import EpisodeRequest, Status, Trajectory, Turn

MakeAgent = Callable[[EpisodeRequest], Agent]
"""Gives the agent that plays an episode."""

Group = Sequence[EpisodeRequest]
"""Requests of the same task and seed."""

LEAST_MEMBERS = 2
"""Members that came to their end without which a group teaches nothing: each is compared with the others."""

_STATUS_OF = {
    Failure.POLICY: Status.FINISHED,
    Failure.TASK: Status.INFRASTRUCTURE,
    Failure.INFRASTRUCTURE: Status.INFRASTRUCTURE,
    Failure.TIMEOUT: Status.TIMEOUT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Played:
    """An episode that is over, before what rules left open is settled."""

    trajectory: Trajectory
    case: Case | None = None
    """What is left to settle; None when there is nothing."""
    goal: str = ""
    seen: Sequence[Observation] = ()


class Rollout:
    """Collects trajectories from a backend's browser contexts."""

    def __init__(
        self,
        backend: Backend,
        *,
        max_inflight: int | asyncio.Semaphore,
        mode: RewardMode = RewardMode.MILESTONES,
        tiers: Tiers | None = None,
        directory: Path | None = None,
        retries: int = 1,
        meter: Meter | None = None,
    ) -> None:
        """Prepare a rollout.

        Args:
            backend: opens episodes; its number of contexts bounds the browsers' work.
            max_inflight: episodes under way at once, at least 1; rollouts that share a semaphore share these too,
                and who asked first is served first.
            mode: how what the tiers settle is paid; as the backend pays what rules decide.
            tiers: who scores what; rules alone when None.
            directory: where episodes are recorded (`<directory>/<episode id>/`); None records nothing.
            retries: times an episode is begun again after a failure of the harness.
            meter: counts what is done; a new one by default.
        """
        if max_inflight == 0:
            raise ValueError(f"at least one episode must be in flight, got max_inflight={max_inflight}")
        self._backend = backend
        self._inflight = (
            max_inflight if isinstance(max_inflight, asyncio.Semaphore) else asyncio.Semaphore(max_inflight)
        )
        self._mode = mode
        self._tiers = tiers or Tiers()
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
                    if count_played(task.result()) >= LEAST_MEMBERS:
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
                played = await self._attempt(request, make_agent(request))
                for _ in range(self._retries):
                    if played.trajectory.scored:
                        break
                    self.meter.retries += 1
                    played = await self._attempt(request, make_agent(request))
            trajectory = await self._settle(request, played)
        except asyncio.CancelledError:
            self.meter.cancelled += 1
            raise
        self.meter.episodes += 1
        if on_done is not None:
            on_done(trajectory)
        return trajectory

    async def _settle(self, request: EpisodeRequest, played: _Played) -> Trajectory:
        """Let the tiers settle what rules left open, and record the episode."""
        settlement: Settlement | None = None
        trajectory = played.trajectory
        if played.case is not None:
            with self.meter.settling.enter():
                settlement = await self._tiers.settle(played.case)
            trajectory = add_settlement(trajectory, settlement, self._mode)
        if self._directory is not None and played.seen:
            write_episode(
                self._directory / request.episode_id,
                trajectory,
                goal=played.goal,
                phase=request.phase,
                observations=played.seen,
                settlement=settlement,
            )
        return trajectory

    async def _attempt(self, request: EpisodeRequest, agent: Agent) -> _Played:
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
            return _Played(trajectory=_failed(request, broken, self.meter.clock() - start))
        finally:
            self._backend.places.release()

    async def _finish(
        self,
        request: EpisodeRequest,
        episode: Running,
        observation: Observation,
        agent: Agent,
        start: float,
    ) -> _Played:
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
            reward_parts=sum_parts(turns),
            wall_s=self.meter.clock() - start,
            failure=outcome.reason,
        )
        if self._directory is not None:
            await episode.save(self._directory / request.episode_id)
        case = await self._make_case(request, trajectory, episode, seen)
        return _Played(trajectory=trajectory, case=case, goal=episode.goal, seen=seen)

    async def _make_case(
        self, request: EpisodeRequest, trajectory: Trajectory, episode: Running, seen: Sequence[Observation]
    ) -> Case | None:
        if not trajectory.scored:
            return None
        task = get_template(request.task_id).task(request.seed, Split(request.split))
        if self._tiers.routing.tiers == {Tier.RULE} and not list_open(task.spec):
            return None
        return Case(
            id=trajectory.episode_id,
            spec=task.spec,
            events=await episode.recall(),
            turns=tuple(
                {"tree": view.tree, "action": turn.action, "error": turn.error}
                for turn, view in zip(trajectory.turns, seen, strict=False)
            ),
            rubric=task.rubric,
            truth=task.truth,
        )

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


def count_played(trajectories: Iterable[Trajectory]) -> int:
    """Count the trajectories that came to their end; when nobody can score them, no other group would fare better."""
    return sum(trajectory.played for trajectory in trajectories)


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
