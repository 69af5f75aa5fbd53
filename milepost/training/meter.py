"""How busy the parts of a run are: who works, who waits for whom, and how long."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field


class Gauge:
    """How many are at one thing, over time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin at nobody; `clock` gives monotonic seconds."""
        self._clock = clock
        self._level = 0
        self._since = clock()
        self._busy_s = 0.0
        self._area_s = 0.0

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Count one more for the length of a `with` block."""
        self._move(1)
        try:
            yield
        finally:
            self._move(-1)

    def _move(self, change: int) -> None:
        now = self._clock()
        self._busy_s += (now - self._since) * (self._level > 0)
        self._area_s += (now - self._since) * self._level
        self._level += change
        self._since = now

    @property
    def busy_s(self) -> float:
        """Seconds in which at least one was there."""
        self._move(0)
        return self._busy_s

    @property
    def area_s(self) -> float:
        """Seconds summed over all that were there."""
        self._move(0)
        return self._area_s


@dataclass(slots=True)
class Meter:
    """Counts what rollouts do, from the start of a run; readings are compared with earlier ones."""

    clock: Callable[[], float] = time.monotonic
    episodes: int = 0
    steps: int = 0
    tokens: int = 0
    """Completion tokens."""
    retries: int = 0
    """Episodes begun again after a failure of the harness."""
    cancelled: int = 0
    """Episodes that were not played to their end, because enough groups were."""
    refills: int = 0
    """Groups that were played in place of lost ones."""
    asking: Gauge = field(init=False)
    """Episodes that wait for their agent's decision."""
    stepping: Gauge = field(init=False)
    """Episodes whose browser opens a page or carries out an action."""
    queueing: Gauge = field(init=False)
    """Episodes that wait for a browser context."""

    def __post_init__(self) -> None:
        self.asking, self.stepping, self.queueing = (Gauge(self.clock) for _ in range(3))

    def read(self) -> dict[str, float]:
        """Give all sums so far; `now` is the clock's."""
        counts = ("episodes", "steps", "tokens", "retries", "cancelled", "refills")
        return {
            "now": self.clock(),
            **{name: float(getattr(self, name)) for name in counts},
            "engine_s": self.asking.busy_s,
            "agent_s": self.asking.area_s,
            "env_s": self.stepping.area_s,
            "queue_s": self.queueing.area_s,
        }


def describe_pace(
    before: Mapping[str, float], after: Mapping[str, float], *, contexts: int
) -> dict[str, float]:
    """Say what happened between two readings of a meter, as rates, shares and mean waits in seconds."""
    spent = {name: value - before[name] for name, value in after.items()}
    seconds = max(1e-9, spent["now"])
    return {
        "rollout_s": seconds,
        "steps": spent["steps"],
        "steps_per_s": spent["steps"] / seconds,
        "tokens_per_s": spent["tokens"] / seconds,
        "episodes_per_s": spent["episodes"] / seconds,
        "retries": spent["retries"],
        "cancelled": spent["cancelled"],
        "refills": spent["refills"],
        # Of the time episodes spent waiting, the part they waited for the policy rather than the browser.
        "policy_share": spent["agent_s"] / max(1e-9, spent["agent_s"] + spent["env_s"]),
        # Some episode waited for the engine, so it was at work.
        "engine_busy": spent["engine_s"] / seconds,
        "browser_busy": spent["env_s"] / (seconds * contexts),
        "context_wait_s": spent["queue_s"] / max(1.0, spent["episodes"]),
        "decision_wait_s": spent["agent_s"] / max(1.0, spent["steps"]),
    }
