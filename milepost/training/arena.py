"""Where a policy plays: warm browsers, its engine, and whoever watches."""

import time
from collections.abc import Callable, Iterator, Sequence
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
from milepost.training.config import Config
from milepost.training.display import Display
from milepost.training.failures import check_failures
from milepost.training.records import EPISODES_FOLDER
from milepost.training.rollout import MakeAgent, Rollout
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
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The trajectories of a phase, and how fast they came."""

    trajectories: list[Trajectory]
    seconds: float
    speed: dict[str, float]


_ADDING = {"rollout_s", "steps", "retries"}
"""What adds up when phases are joined."""


def join_played(first: Played, second: Played) -> Played:
    """Join two phases: counts add up, rates and shares are averaged over their time."""
    seconds = first.seconds + second.seconds
    speed = {
        name: first.speed[name] + value
        if name in _ADDING
        else (first.speed[name] * first.seconds + value * second.seconds) / seconds
        for name, value in second.speed.items()
    }
    return Played(trajectories=first.trajectories + second.trajectories, seconds=seconds, speed=speed)


class Arena:
    """Plays phases of episodes. Open it with `async with`."""

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
            model: the policy; the engine serves this very module.
            tokenizer: its tokenizer.
            limits: how much at once.
            run: the run's folder, for the episodes that are recorded; None records nothing.
            display: is told of every episode.
            clock: monotonic seconds.
        """
        self.engine = TransformersEngine(model, tokenizer, max_batch=limits.max_inflight)
        self._tokenizer = tokenizer
        self._limits = limits
        self._folder = run / EPISODES_FOLDER if run is not None else None
        self._display = display
        self._clock = clock
        self._pool: Pool

    async def __aenter__(self) -> Self:
        self._pool = Pool(contexts=self._limits.contexts, options=BrowserOptions(drawn=self._limits.drawn))
        await self._pool.warm_up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.close()
        await self._pool.close()

    def policy_agents(self, temperature: float) -> MakeAgent:
        """Give the maker of agents that the policy plays at a sampling temperature."""

        def make_agent(request: EpisodeRequest) -> Agent:
            sampling = Sampling(
                temperature=temperature, max_tokens=self._limits.max_tokens, seed=request.sampling_seed
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
        rollout = Rollout(
            self._pool,
            max_inflight=self._limits.max_inflight,
            mode=self._limits.reward,
            directory=self._folder if record else None,
        )
        self._display.begin(label, len(requests))
        start = self._clock()
        broken: EngineError | None = None
        trajectories: list[Trajectory] = []
        try:
            trajectories = await rollout.run(
                requests, make_agent=make_agent, on_done=lambda trajectory: self._display.advance()
            )
        except* EngineError as errors:
            broken = next(_leaves(errors))
        if broken is not None:
            raise broken
        seconds = max(1e-9, self._clock() - start)
        check_failures(trajectories, budget=self._limits.max_failures)
        return Played(trajectories=trajectories, seconds=seconds, speed=_measure(rollout, seconds))


def _measure(rollout: Rollout, seconds: float) -> dict[str, float]:
    counts = rollout.counts
    return {
        "rollout_s": seconds,
        "steps": float(counts.steps),
        "steps_per_s": counts.steps / seconds,
        "tokens_per_s": counts.tokens / seconds,
        "episodes_per_s": counts.episodes / seconds,
        "retries": float(counts.retries),
        # Of the time episodes spent waiting, the part they waited for the policy rather than the browser.
        "policy_share": counts.agent_s / max(1e-9, counts.agent_s + counts.env_s),
    }


def _leaves(group: BaseExceptionGroup[EngineError]) -> Iterator[EngineError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
