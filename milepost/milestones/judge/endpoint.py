"""Speaks to a model over the chat-completions interface that OpenAI, vLLM, Ollama and others have in common.

The only file of the judge that uses the network.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from milepost.milestones.judge.breaker import Breaker, Budget

Sleep = Callable[[float], Awaitable[None]]


class EndpointError(RuntimeError):
    """A judge could not be asked: down, slow, refused, or out of budget. Never a score."""


class EndpointSetupError(ValueError):
    """A judge cannot work as it is set up: a wrong address, key or model. Found before a run begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a judge is and how it is asked."""

    url: str
    """Base address, such as `http://127.0.0.1:8000/v1`."""
    model: str
    """Its exact name, revision included where there is one: verdicts are kept under it."""
    key: str = field(default="", repr=False)
    connect_s: float = 5.0
    total_s: float = 60.0
    """Seconds for one call, everything included."""
    retries: int = 2
    """More tries after 429, 5xx and timeouts; nothing else is tried again."""
    max_tokens: int = 2048
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """More fields of the request, such as `temperature`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model said."""

    text: str
    finish: str
    """Why it stopped: `stop`, `length`, `content_filter`, `refusal`."""
    tokens: int
    """Tokens of prompt and reply."""


class JudgeClient:
    """Asks one endpoint: with deadline, retries, breaker and budget."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        http: httpx.AsyncClient,
        budget: Budget,
        breaker: Breaker,
        rng: np.random.Generator,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Prepare a client.

        Args:
            endpoint: where to ask.
            http: the connection pool; the caller closes it.
            budget: shared by all clients of a run.
            breaker: this endpoint's own.
            rng: draws the jitter between tries.
            sleep: waits some seconds.
        """
        self.endpoint = endpoint
        self._http = http
        self._budget = budget
        self._breaker = breaker
        self._rng = rng
        self._sleep = sleep

    async def complete(self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any]) -> Reply:
        """Get a reply.

        Raises:
            EndpointError: there is none; says why.
        """
        body = {
            "model": self.endpoint.model,
            "messages": list(messages),
            "max_tokens": self.endpoint.max_tokens,
            "temperature": 0,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "verdict", "strict": True, "schema": schema},
            },
            **self.endpoint.parameters,
        }
        for attempt in range(self.endpoint.retries + 1):
            if self._budget.spent:
                raise EndpointError(self._budget.spent)
            if not self._breaker.admit():
                raise EndpointError("the breaker is open: this judge failed too often just now")
            self._budget.calls += 1
            found, problem, again = await self._try(body)
            self._breaker.note(failed=again)
            if found is not None:
                self._budget.tokens += found.tokens
                return found
            if not again or attempt == self.endpoint.retries:
                raise EndpointError(problem)
            await self._sleep(float(2**attempt * (0.5 + self._rng.random())))
        raise AssertionError("unreachable")

    async def _try(self, body: Mapping[str, Any]) -> tuple[Reply | None, str, bool]:
        """Make one call: its reply, or what is wrong, and whether trying again may help."""
        limits = httpx.Timeout(self.endpoint.total_s, connect=self.endpoint.connect_s)
        headers = {"authorization": f"Bearer {self.endpoint.key}"} if self.endpoint.key else {}
        address = f"{self.endpoint.url.rstrip('/')}/chat/completions"
        try:
            # httpx bounds each read, so a server that drips would never end.
            async with asyncio.timeout(self.endpoint.total_s):
                response = await self._http.post(address, json=body, headers=headers, timeout=limits)
        except (TimeoutError, httpx.TimeoutException):
            return None, f"no answer within {self.endpoint.total_s:g} s", True
        except (httpx.HTTPError, httpx.InvalidURL) as broken:
            return None, f"the connection broke: {type(broken).__name__}", True
        if response.status_code == 429 or response.status_code >= 500:
            return None, f"the endpoint answered {response.status_code}", True
        if response.status_code != 200:
            return None, f"the endpoint answered {response.status_code}: {response.text[:200]}", False
        return _read_completion(response)

    async def check(self) -> None:
        """Ask for one token, to find a wrong address, key or model before a run begins.

        Raises:
            EndpointSetupError: what is wrong and what to mend.
        """
        body = {
            "model": self.endpoint.model,
            "messages": [{"role": "user", "content": "Say yes."}],
            "max_tokens": 1,
        }
        found, problem, _ = await self._try(body)
        if found is not None or problem.startswith("the endpoint sent no completion"):
            return
        where = f"the judge {self.endpoint.model!r} at {self.endpoint.url}"
        hints = {
            "answered 401": "its key is missing or wrong",
            "answered 403": "its key may not use this model",
            "answered 404": "there is no such model, or the address should end in /v1",
            "connection broke": "nothing listens there; is the server up and the address right?",
        }
        hint = next(
            (text for part, text in hints.items() if part in problem), "mend it, or switch the judge off"
        )
        raise EndpointSetupError(f"{where} cannot be used: {problem}; {hint}")


def _read_completion(response: httpx.Response) -> tuple[Reply | None, str, bool]:
    try:
        data = response.json()
        choice = data["choices"][0]
        message = choice["message"]
        refused = bool(message.get("refusal"))
        text, finish = message["content"], choice["finish_reason"]
        usage = data.get("usage") or {}
        tokens = int(usage.get("total_tokens") or 0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as broken:
        return None, f"the endpoint sent no completion: {type(broken).__name__}", False
    if not isinstance(text, str) and not refused:
        return None, "the endpoint sent no completion: no text", False
    return Reply(text=text or "", finish="refusal" if refused else str(finish), tokens=tokens), "", False
