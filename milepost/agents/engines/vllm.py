"""Serves a policy by vLLM, in processes of its own: token ids in and out, weights renewed without a restart.

vLLM's prefix cache knows tokens, not weights. So each set of weights gives its requests a salt of their own, which no
cached block of other weights has; and after every update a probe compares log-probabilities with the policy's.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from milepost.agents.agent import Completion, Sampling
from milepost.agents.engines.bounds import Bounds, find_bounds
from milepost.agents.engines.engine import Deadlines, EngineError, Fault
from milepost.agents.engines.gate import Gate, limit
from milepost.agents.engines.handover import Handover, Weights
from milepost.agents.engines.probe import COMPLETION, compare, make_probe, make_seen_probe
from milepost.agents.engines.vllm_backend import Backend, Served
from milepost.agents.sight import Sight, find_sight


@dataclass(slots=True)
class EngineCounts:
    """What an engine did."""

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Tokens of prompts that came out of the prefix cache."""
    updates: int = 0
    reloads: int = 0
    """Updates that took a restart, because the probe failed without one."""
    revivals: int = 0
    """Restarts after the backend had died."""
    probe_error: float = 0.0
    """Mean difference of log-probabilities (nats) that the last probe found."""


class VllmEngine:
    """Keeps a vLLM serving the policy: one set of weights at a time, restarted when it dies."""

    def __init__(
        self,
        backend: Backend,
        tokenizer: PreTrainedTokenizerBase,
        *,
        deadlines: Deadlines = Deadlines(),
        revivals: int = 3,
    ) -> None:
        """Prepare an engine; `start` starts it.

        Args:
            backend: the vLLM.
            tokenizer: decodes completions and names the end-of-turn token.
            deadlines: how long calls may take.
            revivals: times a dead backend is started again before the engine gives up.
        """
        self.policy_version = 0
        self.counts = EngineCounts()
        self._backend = backend
        self._tokenizer = tokenizer
        self._deadlines = deadlines
        self._revivals = revivals
        self._gate = Gate()
        self._handover = Handover()
        self._reviving = asyncio.Lock()
        self._launches = 0
        self._bounds: Bounds | None = None
        self._sight: Sight | None = None
        self._closed = False

    async def start(self, model: PreTrainedModel, version: int) -> None:
        """Begin to serve a policy.

        Raises:
            EngineError: vLLM cannot start, or serves something else.
        """
        self._bounds = find_bounds(model, self._tokenizer)
        self._sight = find_sight(model)
        weights = await asyncio.to_thread(self._handover.put, model)
        async with limit(self._deadlines.start_s, "starting vLLM"):
            await self._launch(weights)
            await self._probe(model)
        self.policy_version = version

    async def generate(
        self, prompt_ids: Sequence[int], sampling: Sampling, picture: bytes | None = None
    ) -> Completion:
        """Sample one completion; wait while the engine is paused.

        Raises:
            EngineError: the engine is closed, the prompt does not fit, vLLM failed, it took too long, or there is a
                picture and the policy reads text only, or vLLM makes other tokens of it than the policy's processor.
        """
        bounds = self._bounds
        if bounds is None or self._closed:
            state = "closed" if self._closed else "not started"
            raise EngineError(f"the engine is {state}; start one", Fault.SETUP)
        if picture is not None and self._sight is None:
            raise EngineError("this policy reads text and takes no picture", Fault.REQUEST)
        bounds.check(prompt_ids, sampling)
        async with self._gate:
            served = await self._sample_or_revive(prompt_ids, sampling, picture)
            version = self.policy_version
        self.counts.requests += 1
        self.counts.prompt_tokens += len(prompt_ids)
        self.counts.cached_tokens += served.cached
        return Completion(
            prompt_ids=tuple(prompt_ids),
            completion_ids=served.ids,
            logps=served.logps,
            text=str(self._tokenizer.decode(list(served.ids), skip_special_tokens=True)),
            stop=served.stop,
            policy_version=version,
            picture=picture,
        )

    async def update_weights(self, model: PreTrainedModel, version: int) -> None:
        """Serve the weights that `model` has now. Requests under way end with the old ones.

        Raises:
            EngineError: the weights did not arrive, or what is served is not what was sent.
        """
        async with (
            limit(self._deadlines.update_s, f"sending weights of version {version}"),
            self._gate.closed(),
        ):
            weights = await asyncio.to_thread(self._handover.put, model)
            self.counts.updates += 1
            try:
                await self._backend.load(weights)
                await self._probe(model)
            except EngineError as error:
                if error.fault not in (Fault.DIED, Fault.WEIGHTS):
                    raise
                self.counts.reloads += 1
                await self._launch(weights)
                await self._probe(model)
            self.policy_version = version

    async def pause(self) -> None:
        """Let the requests under way end and begin no other; once it returns the weights may change.

        Raises:
            EngineError: a request did not end in time.
        """
        async with limit(self._deadlines.pause_s, "waiting for the requests under way"):
            await self._gate.close()

    async def resume(self) -> None:
        """Serve again after a pause."""
        self._gate.open()

    async def sleep(self) -> None:
        """Pause, and give vLLM's GPU memory to the learner. On a CPU vLLM keeps its memory.

        Raises:
            EngineError: vLLM failed.
        """
        await self.pause()
        async with limit(self._deadlines.sleep_s, "putting vLLM to sleep"):
            await self._backend.sleep()

    async def wake(self) -> None:
        """Take the memory back and serve again, with the weights served before.

        Raises:
            EngineError: vLLM failed.
        """
        async with limit(self._deadlines.sleep_s, "waking vLLM up"):
            await self._backend.wake()
        await self.resume()

    async def close(self) -> None:
        """End vLLM."""
        self._closed = True
        self._gate.open()
        await self._backend.close()
        self._handover.close()

    async def _launch(self, weights: Weights) -> None:
        if self._launches:
            await self._backend.close()
        self._launches += 1
        await self._backend.launch(weights)

    @property
    def _salt(self) -> str:
        return f"{self._launches}-{self.counts.updates}"

    async def _probe(self, model: PreTrainedModel) -> None:
        assert self._bounds is not None
        prompt, picture = (
            (make_probe(self._bounds), None)
            if self._sight is None
            else make_seen_probe(self._bounds, self._sight, self._tokenizer)
        )
        served = await self._sample(prompt, Sampling(max_tokens=COMPLETION), (), picture)
        self.counts.probe_error = compare(model, prompt, served.ids, served.logps, picture)

    async def _sample(
        self, prompt_ids: Sequence[int], sampling: Sampling, stops: Sequence[int], picture: bytes | None
    ) -> Served:
        sight, salt = self._sight, self._salt
        if sight is None:
            return await self._backend.sample(prompt_ids, sampling, stops=stops, salt=salt)
        served = await self._backend.sample(
            sight.fold(prompt_ids),
            sampling,
            stops=stops,
            salt=salt,
            silent=sight.placeholders,
            picture=picture,
        )
        if picture is not None and served.prompt != tuple(prompt_ids):
            raise EngineError(
                f"vLLM makes {len(served.prompt)} tokens of a prompt with a picture, and the policy's processor makes "
                f"{len(prompt_ids)}, or others: it would be trained on what was not sampled. Serve it with "
                'policy.engine = "transformers"',
                Fault.SETUP,
            )
        return served

    async def _sample_or_revive(
        self, prompt_ids: Sequence[int], sampling: Sampling, picture: bytes | None
    ) -> Served:
        """Sample; when the backend dies, start it again with the same weights and ask once more."""
        assert self._bounds is not None
        stops = sorted(self._bounds.stops)
        for _ in range(self._revivals + 1):
            launch = self._launches
            try:
                async with limit(self._deadlines.generate_s, "generating a completion"):
                    return await self._sample(prompt_ids, sampling, stops, picture)
            except EngineError as error:
                if error.fault is not Fault.DIED or self._closed:
                    raise
                await self._revive(launch, error)
        raise EngineError("vLLM dies of this request each time it is started", Fault.DIED)

    async def _revive(self, launch: int, error: EngineError) -> None:
        async with self._reviving:
            if self._launches != launch:
                return  # another request has done it
            weights = self._handover.weights
            if self.counts.revivals >= self._revivals or weights is None:
                raise EngineError(
                    f"vLLM died {self.counts.revivals + 1} times; {error}", Fault.DIED
                ) from error
            self.counts.revivals += 1
            async with limit(self._deadlines.start_s, "starting vLLM again"):
                await self._launch(weights)
