"""Where a policy plays: warm browsers, its engine, and whoever watches."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from milepost.agents.agent import Agent, Sampling
from milepost.agents.engines.choice import TRANSFORMERS, make_engine
from milepost.agents.engines.engine import EngineError
from milepost.agents.llm import LLMAgent
from milepost.agents.sight import find_sight
from milepost.envs.conditions import Conditions
from milepost.envs.registry import get_template
from milepost.milestones import RewardMode
from milepost.milestones.tiers import Tiers
from milepost.sandbox.browser import BrowserOptions
from milepost.sandbox.pool import Pool
from milepost.training.backends.backend import Backend
from milepost.training.backends.cluster import ClusterBackend
from milepost.training.backends.local import LocalBackend
from milepost.training.config import Config
from milepost.training.display import Display
from milepost.training.failures import FailureBudget, FailureBudgetError
from milepost.training.meter import Meter, describe_pace
from milepost.training.records import EPISODES_FOLDER
from milepost.training.rollout import Group, MakeAgent, Rollout
from milepost.training.trajectory import EpisodeRequest, Trajectory
from milepost.training.verifiers import open_tiers

ENGINE_LOG = "engine.log"
"""Log of an engine in processes of its own, in the run's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much happens at once, and how much may go wrong."""

    contexts: int = 8
    """Browser contexts."""
    max_inflight: int = 12
    """Episodes under way, waiting for a context included."""
    max_tokens: int = 40
    """Longest completion."""
    engine: str = "transformers"
    """What serves the policy, see `make_engine`."""
    max_failures: float = 0.2
    """Largest fraction of a phase's episodes that may fail for reasons that are not the policy's."""
    reward: RewardMode = RewardMode.NORMALIZED
    drawn: bool = True
    """Whether the browser draws pages, see `BrowserOptions`."""
    backend: str = "local"
    """Whose browsers: `local`, this machine's, or `ray`, those of a Ray cluster."""
    apart: bool = False
    """The engine serves a copy of the policy, which changes only by `publish`."""


def count_inflight(contexts: int) -> int:
    """Count the episodes under way at once: those that wait take a context as soon as one is free."""
    return contexts + 2 * contexts // 3


def build_limits(config: Config) -> Limits:
    """Take the limits out of a configuration."""
    return Limits(
        contexts=config.rollout.contexts,
        max_inflight=count_inflight(config.rollout.contexts),
        max_tokens=config.policy.max_tokens,
        engine=config.policy.engine,
        reward=RewardMode.NORMALIZED if config.reward.rules == "off" else config.reward.rules,
        drawn=any(get_template(task_id).frames for task_id in config.tasks.ids),
        backend=config.rollout.backend,
        apart=config.rollout.max_staleness > 0,
    )


def build_backend(limits: Limits, *, pictured: bool = False) -> Backend:
    """Choose where episodes are played, with screenshots in their observations if they are to be `pictured`.

    Raises:
        BackendError: the machines cannot be had.
    """
    options = BrowserOptions(drawn=limits.drawn or pictured)
    conditions = Conditions(screenshot=pictured)
    if limits.backend == "ray":
        return ClusterBackend(
            contexts=limits.contexts, mode=limits.reward, options=options, conditions=conditions
        )
    pool = Pool(contexts=limits.contexts, options=options)
    return LocalBackend(pool, contexts=limits.contexts, mode=limits.reward, conditions=conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The trajectories of a phase, and how fast they came."""

    trajectories: list[Trajectory]
    speed: dict[str, float]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.speed["rollout_s"]


class Arena:
    """Plays phases of episodes, several at a time if need be. Open it with `async with`."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        limits: Limits,
        run: Path | None,
        display: Display,
        tiers: AbstractAsyncContextManager[Tiers] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare an arena.

        Args:
            model: the policy; the engine serves this very module unless the limits say `apart`.
            tokenizer: its tokenizer.
            limits: how much at once.
            run: the run's folder, for the episodes that are recorded; None records nothing.
            display: is told of every episode.
            tiers: who scores, opened and closed with the arena; rules alone when None.
            clock: monotonic seconds.

        Raises:
            EngineError: what the engine needs is not installed.
        """
        self._model = model
        # vLLM has a copy of its own anyway.
        apart = limits.apart and limits.engine == TRANSFORMERS
        log = (run or Path(tempfile.gettempdir())) / ENGINE_LOG
        self.engine = make_engine(
            limits.engine,
            deepcopy(model) if apart else model,
            tokenizer,
            max_batch=limits.max_inflight,
            log=log,
        )
        self.first_version = 0
        """The policy's version when the arena opens."""
        self.meter = Meter(clock)
        self.limits = limits
        self._inflight = asyncio.Semaphore(limits.max_inflight)
        self._tokenizer = tokenizer
        self._folder = run / EPISODES_FOLDER if run is not None else None
        self._display = display
        self._given = tiers
        self._tiers: Tiers | None = None
        self.backend: Backend

    async def __aenter__(self) -> Self:
        self.backend = build_backend(self.limits, pictured=find_sight(self._model) is not None)
        try:
            await self.engine.start(self._model, self.first_version)
            await self.backend.start()
            if self._given is not None:
                self._tiers = await self._given.__aenter__()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._given is not None and self._tiers is not None:
            await self._given.__aexit__(None, None, None)
        await self.engine.close()
        await self.backend.close()

    async def publish(self) -> None:
        """Serve the policy as it is now, under the next version; requests under way end with the old weights.

        Raises:
            EngineError: the weights did not arrive.
        """
        await self.engine.update_weights(self._model, self.engine.policy_version + 1)

    @asynccontextmanager
    async def at_rest(self) -> AsyncIterator[None]:
        """Give the engine's time and memory to the learner for a while.

        Raises:
            EngineError: a request does not end, or the engine fails.
        """
        await self.engine.sleep()
        try:
            yield
        finally:
            await self.engine.wake()

    def policy_agents(self, temperature: float) -> MakeAgent:
        """Give the maker of agents that the policy plays at a sampling temperature."""

        def make_agent(request: EpisodeRequest) -> Agent:
            sampling = Sampling(
                temperature=temperature, max_tokens=self.limits.max_tokens, seed=request.sampling_seed
            )
            return LLMAgent(self.engine, self._tokenizer, sampling, sight=find_sight(self._model))

        return make_agent

    async def play(
        self, label: str, requests: Sequence[EpisodeRequest], make_agent: MakeAgent, *, record: bool = False
    ) -> Played:
        """Play a phase.

        Args:
            label: names it on the display.
            requests: its episodes.
            make_agent: who plays them.
            record: keep the episodes in the run's folder.

        Raises:
            EngineError: the engine could not serve the policy.
            FailureBudgetError: too many episodes failed for reasons that are not the policy's.
        """
        self._display.begin(label, len(requests))
        before = self.meter.read()
        note = self._watch(len(requests))
        trajectories = await unwrap(
            self._make_rollout(record).run(requests, make_agent=make_agent, on_done=note)
        )
        speed = describe_pace(before, self.meter.read(), contexts=self.limits.contexts)
        return Played(trajectories=trajectories, speed=speed)

    async def play_groups(
        self,
        groups: Sequence[Group],
        make_agent: MakeAgent,
        *,
        wanted: int,
        refill: Callable[[Group], Group],
        record: bool = False,
    ) -> list[Trajectory]:
        """Play groups until as many as wanted are final, see `Rollout.run_groups`.

        Raises:
            EngineError: the engine could not serve the policy.
            FailureBudgetError: too many episodes failed for reasons that are not the policy's.
        """
        note = self._watch(sum(map(len, groups)))
        return await unwrap(
            self._make_rollout(record).run_groups(
                groups, wanted=wanted, make_agent=make_agent, refill=refill, on_done=note
            )
        )

    def _make_rollout(self, record: bool) -> Rollout:
        return Rollout(
            self.backend,
            max_inflight=self._inflight,
            mode=self.limits.reward,
            tiers=self._tiers,
            directory=self._folder if record else None,
            meter=self.meter,
        )

    def _watch(self, planned: int) -> Callable[[Trajectory], None]:
        """Give who is told of every episode: the display, and the budget of failures."""
        budget = FailureBudget(planned, self.limits.max_failures)

        def note(trajectory: Trajectory) -> None:
            self._display.advance()
            budget.note(trajectory)

        return note


def build_arena(
    config: Config,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    run: Path,
    display: Display,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Arena:
    """Make the arena of a run, with the tiers that its configuration switches on."""
    tiers = open_tiers(config.reward, run)
    return Arena(
        model, tokenizer, limits=build_limits(config), run=run, display=display, tiers=tiers, clock=clock
    )


async def unwrap(work: Awaitable[list[Trajectory]]) -> list[Trajectory]:
    """Await a rollout, and raise what stopped it by itself rather than as a group.

    Raises:
        EngineError: the engine could not serve the policy.
        FailureBudgetError: too many episodes failed for reasons that are not the policy's.
        OSError: an episode could not be recorded, on a full disk for example.
    """
    broken: EngineError | FailureBudgetError | OSError | None = None
    trajectories: list[Trajectory] = []
    try:
        trajectories = await work
    except* (EngineError, FailureBudgetError, OSError) as errors:
        broken = next(_leaves(errors))
    if broken is not None:
        raise broken
    return trajectories


def _leaves(
    group: BaseExceptionGroup[EngineError | FailureBudgetError | OSError],
) -> Iterator[EngineError | FailureBudgetError | OSError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
