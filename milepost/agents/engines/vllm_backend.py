"""What the engine asks of a vLLM, wherever that runs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from milepost.agents.agent import Sampling
from milepost.agents.engines.handover import Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A completion as vLLM gave it."""

    ids: tuple[int, ...]
    logps: tuple[float, ...]
    """Of the distribution that was sampled from."""
    stop: str
    """`stop` or `length`."""
    cached: int
    """Tokens of the prompt that came out of the prefix cache."""
    prompt: tuple[int, ...] = ()
    """The prompt as vLLM read it; given where a picture stands in it."""


class Backend(Protocol):
    """A vLLM: in child processes of ours, or a server."""

    async def launch(self, weights: Weights) -> None:
        """Serve a policy, from nothing."""
        ...

    async def load(self, weights: Weights) -> None:
        """Serve these weights instead, without a restart."""
        ...

    async def sample(
        self,
        prompt_ids: Sequence[int],
        sampling: Sampling,
        *,
        stops: Sequence[int],
        salt: str,
        silent: Sequence[int] = (),
        picture: bytes | None = None,
    ) -> Served:
        """Sample one completion.

        Args:
            prompt_ids: the prompt; with a picture, folded as `Sight.fold` does it.
            sampling: how it is drawn.
            stops: ids that end it.
            salt: a prompt shares caches with prompts of its own salt only, and so does a picture.
            silent: ids that are given no probability.
            picture: the encoded image that stands in the prompt.
        """
        ...

    async def sleep(self) -> None:
        """Give memory back."""
        ...

    async def wake(self) -> None:
        """Take memory again."""
        ...

    async def close(self) -> None:
        """End it, whatever state it is in."""
        ...


def name_picture(picture: bytes, salt: str) -> str:
    """Name a picture for vLLM's caches: what its vision tower made of it is found under the same salt only."""
    return f"{salt}-{hashlib.sha256(picture).hexdigest()}"
