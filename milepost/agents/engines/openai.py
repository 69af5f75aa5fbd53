"""Asks any OpenAI-compatible endpoint for chat completions: for measuring policies, not for training them.

Such an endpoint gives text. Which token ids were sampled, and how likely they were, it does not say, so there is nothing
exact to learn from; vLLM's extensions, which do say it, are in `vllm_server.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np

from milepost.agents.agent import Sampling
from milepost.agents.engines.engine import EngineError, Fault
from milepost.agents.engines.gate import limit
from milepost.agents.prompt import Message

SCHEME = "openai:"
"""What the name of such a policy begins with."""

OPENAI_URL = "https://api.openai.com/v1"

KEY, OPENAI_KEY = "MILEPOST_API_KEY", "OPENAI_API_KEY"
"""Environment variables of the key: for any address, and for OpenAI's own only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a model is and how it is asked."""

    model: str
    url: str = OPENAI_URL
    """Base address, such as `http://127.0.0.1:8000/v1`."""
    key: str = field(default="", repr=False)
    deadline_s: float = 120.0
    """Seconds for one try, everything included."""
    retries: int = 3
    """More tries after 429, 5xx, timeouts and broken connections; nothing else is tried again."""
    max_calls: int = 100_000
    """Calls after which no more are made, tries that failed included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model said."""

    text: str
    tokens: int
    """Tokens of prompt and reply, as the endpoint counts them."""


def parse_endpoint(policy: str, environ: Mapping[str, str]) -> Endpoint:
    """Read `openai:MODEL@URL`, or `openai:MODEL` for OpenAI's own.

    The key comes from `MILEPOST_API_KEY`. `OPENAI_API_KEY` is sent to OpenAI's own address only, so that no other
    server ever learns it.

    Args:
        policy: the name.
        environ: the environment's variables.

    Raises:
        ValueError: it is not of that form.
    """
    model, at, url = policy.removeprefix(SCHEME).rpartition("@")
    if not at:
        model, url = url, OPENAI_URL
    if not policy.startswith(SCHEME) or not model or not url.startswith(("http://", "https://")):
        raise ValueError(
            f"expected {SCHEME}MODEL@URL, such as {SCHEME}qwen3@http://127.0.0.1:8000/v1, got {policy!r}"
        )
    own = environ.get(OPENAI_KEY, "") if url == OPENAI_URL else ""
    return Endpoint(model=model, url=url.rstrip("/"), key=environ.get(KEY, "") or own)


class ChatEndpoint:
    """Asks one endpoint: with deadline, retries and a budget. Open it with `async with`."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        rng: np.random.Generator,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Prepare it.

        Args:
            endpoint: where to ask.
            rng: draws the jitter between tries.
            sleep: waits some seconds.
        """
        self._endpoint = endpoint
        self._rng = rng
        self._sleep = sleep
        self._http = httpx.AsyncClient(timeout=endpoint.deadline_s)
        self.calls = 0
        """Calls made, tries that failed included."""
        self.tokens = 0
        """Tokens of prompts and replies."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def complete(self, messages: Sequence[Message], sampling: Sampling) -> Reply:
        """Get a reply.

        Raises:
            EngineError: there is none; says why in the endpoint's own words.
        """
        body = {
            "model": self._endpoint.model,
            "messages": list(messages),
            "temperature": sampling.temperature,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed % 2**31,
        }
        for attempt in range(self._endpoint.retries + 1):
            if self.calls >= self._endpoint.max_calls:
                raise EngineError(
                    f"the budget of {self.calls} calls is spent; raise it or play fewer episodes"
                )
            self.calls += 1
            try:
                reply = await self._try(body)
            except EngineError as error:
                # What the endpoint refuses, it refuses again; only what may pass is tried again.
                if error.fault in (Fault.SETUP, Fault.REQUEST) or attempt == self._endpoint.retries:
                    raise
                await self._sleep(float(2**attempt * (0.5 + self._rng.random())))
            else:
                self.tokens += reply.tokens
                return reply
        raise AssertionError("unreachable")

    async def _try(self, body: Mapping[str, Any]) -> Reply:
        headers = {"authorization": f"Bearer {self._endpoint.key}"} if self._endpoint.key else {}
        where = f"{self._endpoint.url}/chat/completions"
        try:
            # httpx bounds each read, so a server that drips would never end.
            async with limit(self._endpoint.deadline_s, f"a reply of {self._endpoint.url}"):
                response = await self._http.post(where, json=body, headers=headers)
        except httpx.HTTPError as broken:
            words = f"no reply from {self._endpoint.url} ({type(broken).__name__}: {broken})"
            raise EngineError(words, Fault.DIED) from broken
        if response.status_code != 200:
            raise _refusal(where, response)
        return read_reply(response)


def _refusal(where: str, response: httpx.Response) -> EngineError:
    status, words = response.status_code, response.text[:300]
    if status == 429 or status >= 500:
        return EngineError(f"{where} answered {status}: {words}", Fault.BACKEND)
    hints = {
        401: f"; is the key in {KEY} (for OpenAI's own address: {OPENAI_KEY}) right?",
        403: "; its key may not use this model",
        404: "; there is no such model, or the address should end in /v1",
    }
    fault = Fault.SETUP if status in hints else Fault.REQUEST
    return EngineError(f"{where} answered {status}: {words}{hints.get(status, '')}", fault)


def read_reply(response: httpx.Response) -> Reply:
    """Take the text out of a chat completion; a refusal is an empty text, which is no action.

    Raises:
        EngineError: it is no chat completion.
    """
    try:
        data = response.json()
        message = data["choices"][0]["message"]
        text = message.get("content") or ""
        tokens = int((data.get("usage") or {}).get("total_tokens") or 0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as broken:
        raise EngineError(
            f"the endpoint sent no chat completion ({type(broken).__name__}): {response.text[:200]!r}",
            Fault.SETUP,
        ) from broken
    if not isinstance(text, str):
        raise EngineError(f"the endpoint sent a message that is no text: {text!r}"[:300], Fault.SETUP)
    return Reply(text=text, tokens=tokens)
