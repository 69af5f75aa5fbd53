"""Where a policy plays: warm browsers, its engine, and whoever watches."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from milepost.agents.agent import Agent, Sampling
from milepost.agents.engines.engine import EngineError
from milepost.agents.engines.transformers import TransformersEngine
from milepost.agents.llm import LLMAgent
from milepost.milestones import RewardMode
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much happens at once, and how much may go wrong."""

    contexts: int = 8
    """Browser contexts."""
    max_inflight: int = 12
    """Episodes under way, waiting for a context included."""
    max_tokens: int = 40
    """Longest completion."""
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
        reward=config.rollout.reward,
        drawn=config.rollout.drawn,
        backend=config.rollout.backend,
        apart=config.rollout.max_staleness > 0,
    )


def build_backend(limits: Limits) -> Backend:
    """Choose where episodes are played.

    Raises:
        BackendError: the machines cannot be had.
    """
    options = BrowserOptions(drawn=limits.drawn)
    if limits.backend == "ray":
        return ClusterBackend(contexts=limits.contexts, mode=limits.reward, options=options)
    pool = Pool(contexts=limits.contexts, options=options)
    return LocalBackend(pool, contexts=limits.contexts, mode=limits.reward)


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare an arena.

        Args:
            model: the policy; the engine serves this very module unless the limits say `apart`.
            tokenizer: its tokenizer.
            limits: how much at once.
            run: the run's folder, for the episodes that are recorded; None records nothing.
            display: is told of every episode.
            clock: monotonic seconds.
        """
        self._model = model
        self._served = deepcopy(model) if limits.apart else model
        self.engine = TransformersEngine(self._served, tokenizer, max_batch=limits.max_inflight)
        self.meter = Meter(clock)
        self.limits = limits
        self._tokenizer = tokenizer
        self._folder = run / EPISODES_FOLDER if run is not None else None
        self._display = display
        self._backend: Backend

    async def __aenter__(self) -> Self:
        self._backend = build_backend(self.limits)
        await self._backend.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.close()
        await self._backend.close()

    async def publish(self) -> None:
        """Serve the policy as it is now, under the next version; a batch under way ends with the old weights."""
        if self._served is self._model:
            self.engine.policy_version += 1
        else:
            await asyncio.to_thread(self._copy_weights)

    def _copy_weights(self) -> None:
        with self.engine.weights:
            self._served.load_state_dict(self._model.state_dict())
            self.engine.policy_version += 1

    def policy_agents(self, temperature: float) -> MakeAgent:
        """Give the maker of agents that the policy plays at a sampling temperature."""

        def make_agent(request: EpisodeRequest) -> Agent:
            sampling = Sampling(
                temperature=temperature, max_tokens=self.limits.max_tokens, seed=request.sampling_seed
            )
            return LLMAgent(self.engine, self._tokenizer, sampling)

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
        trajectories = await _unwrap(
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
        return await _unwrap(
            self._make_rollout(record).run_groups(
                groups, wanted=wanted, make_agent=make_agent, refill=refill, on_done=note
            )
        )

    def _make_rollout(self, record: bool) -> Rollout:
        return Rollout(
            self._backend,
            max_inflight=self.limits.max_inflight,
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


async def _unwrap(work: Awaitable[list[Trajectory]]) -> list[Trajectory]:
    """Await a rollout, and raise what stopped it by itself rather than as a group."""
    broken: EngineError | FailureBudgetError | None = None
    trajectories: list[Trajectory] = []
    try:
        trajectories = await work
    except* (EngineError, FailureBudgetError) as errors:
        broken = next(_leaves(errors))
    if broken is not None:
        raise broken
    return trajectories


def _leaves(
    group: BaseExceptionGroup[EngineError | FailureBudgetError],
) -> Iterator[EngineError | FailureBudgetError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
