"""A simulated engine and simulated browsers for the real scheduler, in virtual time.

The event loop's clock jumps to the next thing that is due instead of waiting for it, so an hour of rollouts takes
seconds, and every figure is exact and repeatable however busy the machine is. What runs on it is the package's own
`Rollout` and backend seam; only what takes time elsewhere (a browser's step, the model's batch) is a number here.
"""

import asyncio
import selectors
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from milepost.agents.agent import Completion, Decision
from milepost.envs.episode import Outcome
from milepost.sandbox.events import Event
from milepost.sandbox.observation import Observation
from milepost.training.meter import Meter
from milepost.training.rollout import Group, MakeAgent, Rollout
from milepost.training.trajectory import EpisodeRequest, Trajectory

_T = TypeVar("_T")


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing: it moves the clock by the time that it should have waited."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += max(0.0, timeout or 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time; no threads, no sockets."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Give the virtual seconds since the start."""
        return self._jumping.now


def run_virtual(work: Callable[[Callable[[], float]], Coroutine[Any, Any, _T]]) -> tuple[_T, float]:
    """Run a coroutine, which is given the clock, in virtual time; give its result and the seconds that passed."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work(loop.time)), loop.time()
    finally:
        if left := asyncio.all_tasks(loop):  # an engine may still serve what was given up
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.wait(left))
        loop.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """How long things take, in seconds."""

    step_s: float
    """Mean of a browser's step."""
    reset_s: float
    """Mean of opening an episode."""
    batch_s: float
    """What a batch costs whatever its size."""
    request_s: float
    """What each request of a batch costs."""
    spread: float = 0.5
    """Standard deviation of the logarithm of a step's or a reset's time."""
    turns: tuple[int, int] = (4, 12)
    """Fewest and most turns of an episode."""
    mix_s: tuple[float, float] | None = None
    """Least and most seconds of a step or a reset, all orders of magnitude between them equally often, as pages
    differ; in place of the means and the spread."""
    seed: int = 0
    """Draws other times for the same episodes."""


class SimulatedEngine:
    """Serves what waits, at most `max_batch` requests together, one batch after the other."""

    def __init__(self, costs: Costs, *, max_batch: int) -> None:
        """Prepare an engine."""
        self._costs = costs
        self._max_batch = max_batch
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._serving: asyncio.Task[None] | None = None
        self.busy_s = 0.0
        self.requests = 0

    async def generate(self) -> None:
        """Wait for one completion."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        if self._serving is None or self._serving.done():
            self._serving = asyncio.get_running_loop().create_task(self._serve())
        await future

    async def _serve(self) -> None:
        await asyncio.sleep(0)
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(self._max_batch, len(self._waiting)))]
            seconds = self._costs.batch_s + self._costs.request_s * len(batch)
            await asyncio.sleep(seconds)
            self.busy_s += seconds
            self.requests += len(batch)
            for future in batch:
                if not future.done():
                    future.set_result(None)


TASK = "ExpenseForm-v0"
"""What is played: its pages are simulated, but the scheduler asks a task for its rules when an episode is over."""

OBSERVATION = Observation(goal="", url="", title="")


@dataclass(slots=True)
class SimulatedEpisode:
    """An episode that is nothing but its times."""

    times: list[float]
    on_step: Callable[[float], None]
    goal: str = ""
    over: bool = False
    success: bool = False
    reached: frozenset[str] = frozenset()

    async def step(self, text: str) -> Outcome:
        """Take the time of a step."""
        seconds = self.times.pop()
        await asyncio.sleep(seconds)
        self.on_step(seconds)
        self.over = not self.times
        return Outcome(observation=OBSERVATION)

    async def save(self, folder: Path) -> None:
        """Keep nothing."""

    async def recall(self) -> tuple[Event, ...]:
        """Give a log without events."""
        return ()

    async def close(self) -> None:
        """Release nothing."""


@dataclass(slots=True)
class SimulatedBackend:
    """Opens simulated episodes; the same request always takes the same times."""

    costs: Costs
    contexts: int
    env_s: float = 0.0
    """Seconds of all browsers together."""
    places: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.places = asyncio.Semaphore(self.contexts)

    async def start(self) -> None:
        """Launch nothing."""

    async def open(self, request: EpisodeRequest) -> tuple[SimulatedEpisode, Observation]:
        """Take the time of a reset."""
        reset_s, times = draw_times(self.costs, request)
        await asyncio.sleep(reset_s)
        self._note(reset_s)
        return SimulatedEpisode(times, self._note), OBSERVATION

    def _note(self, seconds: float) -> None:
        self.env_s += seconds

    async def close(self) -> None:
        """Release nothing."""


def draw_times(costs: Costs, request: EpisodeRequest) -> tuple[float, list[float]]:
    """Draw an episode's reset time and the times of its steps."""
    rng = np.random.default_rng([request.seed, request.member, costs.seed])
    size = 1 + int(rng.integers(*costs.turns, endpoint=True))
    if costs.mix_s is not None:
        least, most = costs.mix_s
        reset_s, *steps_s = np.exp(rng.uniform(np.log(least), np.log(most), size=size)).tolist()
        return reset_s, steps_s
    # Of a lognormal distribution whose mean is 1.
    factors = rng.lognormal(-(costs.spread**2) / 2, costs.spread, size=size)
    return costs.reset_s * float(factors[0]), [costs.step_s * float(f) for f in factors[1:]]


class SimulatedAgent:
    """Asks the engine and says nothing."""

    def __init__(self, engine: SimulatedEngine, tokens: int = 1) -> None:
        """Ask `engine`."""
        self._engine = engine
        self._completion = Completion(
            prompt_ids=(), completion_ids=(0,) * tokens, logps=(0.0,) * tokens, text="", stop="stop"
        )

    async def act(self, observation: Observation) -> Decision:
        """Wait for a completion."""
        await self._engine.generate()
        return Decision(text="", completion=self._completion)


@dataclass(slots=True)
class SimulatedStage:
    """Plays groups with the real `Rollout` on simulated browsers and a simulated engine."""

    engine: SimulatedEngine
    backend: SimulatedBackend
    meter: Meter
    inflight: asyncio.Semaphore = field(init=False)
    asked: list[list[EpisodeRequest]] = field(default_factory=list)
    """The episodes of every iteration."""
    kept_turns: list[int] = field(default_factory=list)
    """Turns of the episodes that were given to the learner."""

    def __post_init__(self) -> None:
        self.inflight = asyncio.Semaphore(2 * self.backend.contexts)

    def policy_agents(self, temperature: float) -> MakeAgent:
        """Give the maker of agents."""
        return lambda request: SimulatedAgent(self.engine)

    async def play_groups(
        self,
        groups: Sequence[Group],
        make_agent: MakeAgent,
        *,
        wanted: int,
        refill: Callable[[Group], Group],
        record: bool = False,
    ) -> list[Trajectory]:
        """Play groups until as many as wanted are final."""
        self.asked.append([one for group in groups for one in group])
        rollout = Rollout(self.backend, max_inflight=self.inflight, meter=self.meter)
        kept = await rollout.run_groups(groups, wanted=wanted, make_agent=make_agent, refill=refill)
        self.kept_turns += [len(one.turns) for one in kept]
        return kept
