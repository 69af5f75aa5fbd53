"""What an agent is: something that turns an observation into the text of an action."""

from dataclasses import dataclass, field
from typing import Protocol

from milepost.sandbox.observation import Observation


class ModelLoadError(ValueError):
    """A model name or path does not give a causal language model with a tokenizer.

    It stands here, where no model's libraries are: who plays an oracle can name it without loading them.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a completion is drawn."""

    temperature: float = 1.0
    """0 is greedy."""
    max_tokens: int = 48
    """Longest completion, the end-of-turn token included."""
    seed: int = 0
    """Seed of this one request; the same request with the same weights gives the same tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One LLM call, exactly as it was served: token in, token out."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    """Sampled ids, the end-of-turn token included when it was sampled."""
    logps: tuple[float, ...]
    """Log-probability of each sampled id under the sampling distribution (nats)."""
    text: str
    """The completion decoded, without special tokens."""
    stop: str
    """`stop` (end of turn) or `length`."""
    policy_version: int = 0
    """Which weights served it."""
    picture: bytes | None = field(default=None, repr=False)
    """The encoded image that stands in the prompt; None where the model read text only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What an agent answers to an observation."""

    text: str
    """Text holding one action call."""
    completion: Completion | None = None
    """The LLM call behind it, if there was one."""


class Agent(Protocol):
    """Anything that acts. One agent serves one episode; it may keep state between calls."""

    async def act(self, observation: Observation) -> Decision:
        """Decide on the next action."""
        ...
