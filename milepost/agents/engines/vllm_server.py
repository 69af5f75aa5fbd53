r"""vLLM as a server: token ids in and out over its OpenAI-compatible interface and the extensions it has beside.

Weights go over a folder, so server and learner share a file system. The server must be started so that it takes them:

    VLLM_SERVER_DEV_MODE=1 vllm serve FOLDER --dtype float32 --logprobs-mode processed_logprobs \
        --worker-extension-cls milepost.agents.engines.vllm_worker.PolicyReceiver

A policy that sees also needs `--enable-scale-out`: the interface that takes pictures beside token ids belongs to it.

Its development mode lets whoever reaches its port change it: let it listen on 127.0.0.1 or a closed network only.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import httpx

from milepost.agents.agent import Sampling
from milepost.agents.engines.engine import EngineError, Fault
from milepost.agents.engines.handover import Weights
from milepost.agents.engines.vllm_backend import Served, name_picture
from milepost.agents.engines.vllm_worker import PolicyReceiver
from milepost.agents.sight import SILENT

RETURN_S = 60.0
"""How long a server that was there before may be gone, while whoever runs it starts it again."""


_FAULTS = {400: Fault.REQUEST, 422: Fault.REQUEST, 403: Fault.SETUP}
"""What kind of failure an answer of vLLM is; 403 is an interface that it was not started with."""


class VllmServer:
    """One vLLM server that somebody else started."""

    def __init__(self, url: str, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Prepare it; `launch` connects.

        Args:
            url: its address, such as `http://127.0.0.1:8000`.
            sleep: waits some seconds.
        """
        self._url = url.rstrip("/").removesuffix("/v1")
        self._sleep = sleep
        # The engine bounds every call; a proxy of the environment is not for servers like this.
        self._http = httpx.AsyncClient(base_url=self._url, timeout=None, trust_env=False)
        self._model = ""

    async def launch(self, weights: Weights) -> None:
        """Connect, and serve a policy.

        Raises:
            EngineError: nothing answers, or the server does not take weights.
        """
        tries = int(RETURN_S) if self._model else 1
        for left in reversed(range(tries)):
            try:
                listed = await self._ask("GET", "/v1/models")
                break
            except EngineError as error:
                if error.fault is not Fault.DIED or not left:
                    hint = (
                        "start it, see docs/engines.md"
                        if error.fault is Fault.DIED
                        else "is it a vLLM server?"
                    )
                    raise EngineError(f"{error}; {hint}", Fault.SETUP) from error
            await self._sleep(1.0)
        else:
            raise AssertionError("unreachable")
        self._model = str(listed["data"][0]["id"])
        await self.load(weights)

    async def load(self, weights: Weights) -> None:
        """Serve these weights instead, and forget cached prompts.

        Raises:
            EngineError: the server does not take weights, or failed, or they are an adapter's.
        """
        if weights.adapter is not None:
            raise EngineError(
                'a vLLM server is sent whole weights, not adapters: take engine = "vllm", which serves them, or '
                "policy.lora_rank = 0",
                Fault.SETUP,
            )
        call = {"method": PolicyReceiver.receive_policy.__name__, "args": [str(weights.folder)]}
        try:
            await self._ask("POST", "/collective_rpc", call)
            await self._ask("POST", "/reset_prefix_cache")
        except EngineError as error:
            if error.fault is Fault.DIED:
                raise
            raise EngineError(
                f"the vLLM server does not take weights: {error}; start it with VLLM_SERVER_DEV_MODE=1 and "
                f"--worker-extension-cls {PolicyReceiver.__module__}.{PolicyReceiver.__qualname__}, "
                "where milepost is installed too",
                Fault.SETUP,
            ) from error

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

        Raises:
            EngineError: the server failed, or sent no token ids.
        """
        drawn: dict[str, Any] = {
            "temperature": sampling.temperature,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed % 2**63,
            "logprobs": 0,
            "stop_token_ids": list(stops),
            # Said outright: what is left out is taken from the model's generation settings.
            "top_p": 1.0,
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
        }
        body: dict[str, Any] = {"model": self._model, "return_token_ids": True, "cache_salt": salt}
        if not silent:
            path = "/v1/completions"
            body |= {"prompt": list(prompt_ids), **drawn}
        else:
            # The interface that takes pictures beside token ids, and any size of bias.
            path = "/inference/v1/generate"
            drawn |= {"logit_bias": dict.fromkeys(map(str, silent), SILENT), "detokenize": False}
            body |= {"token_ids": list(prompt_ids), "sampling_params": drawn}
            if picture is not None:
                url = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
                part = {"type": "image_url", "url": url, "uuid": name_picture(picture, salt)}
                body["content_parts"] = [part]
        return read_choice(await self._ask("POST", path, body), greedy=sampling.temperature == 0)

    async def sleep(self) -> None:
        """Give GPU memory back, where the server was started with `--enable-sleep-mode`; else only wait.

        Raises:
            EngineError: the server failed.
        """
        await self._ask("POST", "/sleep?level=1")

    async def wake(self) -> None:
        """Take the memory again.

        Raises:
            EngineError: the server failed.
        """
        await self._ask("POST", "/wake_up")

    async def close(self) -> None:
        """Leave the server as it is: it belongs to whoever started it."""

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Make one call and give its JSON, or None."""
        try:
            response = await self._http.request(method, path, json=body)
        except httpx.HTTPError as broken:
            words = f"nothing answers at {self._url} ({type(broken).__name__}: {broken})"
            raise EngineError(words, Fault.DIED) from broken
        if response.status_code >= 400:
            fault = _FAULTS.get(response.status_code, Fault.BACKEND)
            raise EngineError(
                f"{self._url}{path} answered {response.status_code}: {find_words(response)}", fault
            )
        try:
            return response.json() if response.content else None
        except ValueError as broken:
            raise EngineError(f"{self._url}{path} answered no JSON: {response.text[:200]!r}") from broken


def read_choice(reply: Any, *, greedy: bool) -> Served:
    """Take ids, log-probabilities and the reason to stop out of a completion's reply.

    Raises:
        EngineError: they are not in it.
    """
    try:
        choice = reply["choices"][0]
        ids = tuple(int(i) for i in choice["token_ids"])
        told = choice["logprobs"]
        logps = tuple(
            float(x)
            for x in (
                (place["logprob"] for place in told["content"])
                if "content" in told
                else told["token_logprobs"]
            )
        )
        prompt = tuple(int(i) for i in reply.get("prompt_token_ids") or ())
        details = reply["usage"].get("prompt_tokens_details") or {}
        cached = int(details.get("cached_tokens") or 0)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as broken:
        raise EngineError(
            "the server's reply has no token ids with their log-probabilities "
            f"({type(broken).__name__}: {broken}); it is no vLLM, or too old",
            Fault.SETUP,
        ) from broken
    if len(ids) != len(logps):
        raise EngineError(f"the server sent {len(ids)} token ids and {len(logps)} log-probabilities")
    stop = "stop" if choice.get("finish_reason") == "stop" else "length"
    return Served(
        ids=ids, logps=(0.0,) * len(ids) if greedy else logps, stop=stop, cached=cached, prompt=prompt
    )


def find_words(response: httpx.Response) -> str:
    """Give the server's own message, wherever it put it."""
    try:
        data = response.json()
        error = data.get("error", data) if isinstance(data, dict) else data
        message = error.get("message", error.get("detail")) if isinstance(error, dict) else error
    except ValueError:
        message = None
    return str(message or response.text)[:500] or "without a word"
