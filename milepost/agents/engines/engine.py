"""The protocol behind which language models are served to agents, and how they fail.

Every call has a deadline, and every failure says of what kind it is: a request that cannot be served is the
caller's to mend, a deadline or a dead process may be tried again, wrong weights must stop a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from transformers import PreTrainedModel

from milepost.agents.agent import Completion, Sampling


class Fault(StrEnum):
    """What kind of failure an engine met."""

    SETUP = "setup"
    """It cannot start: a package, a model or an option is not as it should be."""
    REQUEST = "request"
    """This request cannot be served; others can."""
    TIMEOUT = "timeout"
    """A call took longer than its deadline."""
    BACKEND = "backend"
    """The backend failed; the message has its own words."""
    DIED = "died"
    """The backend's process is gone."""
    WEIGHTS = "weights"
    """What is served is not the policy that was sent."""


NO_SEEING_ADAPTER = (
    "vLLM is sent the whole weights of a policy that sees, not an adapter's, which lies on its vision tower too: take "
    'policy.lora_rank = 0, or policy.engine = "transformers"'
)
"""What is said where a vision-language policy with an adapter meets vLLM."""


class EngineError(RuntimeError):
    """The engine could not do what was asked; the message carries the backend's own words."""

    def __init__(self, message: str, fault: Fault = Fault.BACKEND) -> None:
        """Say what happened, and of which kind it is."""
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds that calls of an engine may take."""

    start_s: float = 600.0
    """Loading the model; the first start of a backend may compile."""
    generate_s: float = 300.0
    """One completion, the wait for a place in a batch included; time in which the engine is paused does not count."""
    update_s: float = 300.0
    """New weights, the check of them included."""
    pause_s: float = 300.0
    """The requests under way."""
    sleep_s: float = 120.0
    """Going to sleep or waking up."""


class Engine(Protocol):
    """Serves completions: token ids in, token ids and exact log-probabilities out."""

    @property
    def policy_version(self) -> int:
        """Which weights are being served."""
        ...

    async def start(self, model: PreTrainedModel, version: int) -> None:
        """Begin to serve a policy.

        Raises:
            EngineError: the backend cannot start, or serves something else.
        """
        ...

    async def generate(
        self, prompt_ids: Sequence[int], sampling: Sampling, picture: bytes | None = None
    ) -> Completion:
        """Sample one completion; wait while the engine is paused. The picture is the one that stands in the prompt.

        Raises:
            EngineError: the backend failed, the prompt does not fit, or the policy reads text only.
        """
        ...

    async def update_weights(self, model: PreTrainedModel, version: int) -> None:
        """Serve the weights that `model` has now, under this version. Requests under way end with the old ones.

        Raises:
            EngineError: the weights did not arrive, or what is served is not what was sent.
        """
        ...

    async def pause(self) -> None:
        """Let the requests under way end and begin no other; once it returns the weights may change.

        Raises:
            EngineError: a request did not end in time.
        """
        ...

    async def resume(self) -> None:
        """Serve again after a pause."""
        ...

    async def sleep(self) -> None:
        """Pause, and give the backend's memory to the learner.

        Raises:
            EngineError: the backend failed.
        """
        ...

    async def wake(self) -> None:
        """Take the memory back and serve again, with the weights served before.

        Raises:
            EngineError: the backend failed.
        """
        ...

    async def close(self) -> None:
        """Release the backend."""
        ...
