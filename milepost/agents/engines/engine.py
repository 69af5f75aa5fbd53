"""The protocol behind which language models are served to agents."""

from collections.abc import Sequence
from typing import Protocol

from milepost.agents.agent import Completion, Sampling


class EngineError(RuntimeError):
    """The engine could not serve a request; the message carries the backend's own words."""


class Engine(Protocol):
    """Serves completions: token ids in, token ids and exact log-probabilities out."""

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling) -> Completion:
        """Sample one completion.

        Raises:
            EngineError: the backend failed or the prompt does not fit.
        """
        ...

    async def close(self) -> None:
        """Release the backend."""
        ...
