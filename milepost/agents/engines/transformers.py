"""Serves a `transformers` model in this process, sharing the learner's own module.

Requests that arrive while a batch is being served wait for the next one, so nobody waits for more than one
batch. The sampling loop is our own: the returned log-probabilities are those of the distribution that was
sampled from, and a request's tokens depend on its seed alone, never on its neighbours in the batch.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from milepost.agents.agent import Completion, Sampling
from milepost.agents.engines.bounds import find_bounds
from milepost.agents.engines.engine import Deadlines, EngineError, Fault
from milepost.agents.engines.gate import Gate, limit
from milepost.agents.engines.seeing import choose_decoder
from milepost.agents.sight import find_sight


@dataclass(frozen=True, slots=True)
class _Request:
    prompt_ids: tuple[int, ...]
    sampling: Sampling
    picture: bytes | None
    future: asyncio.Future[Completion]


@dataclass(slots=True)
class Sampled:
    """A completion while and after it is sampled."""

    ids: list[int] = field(default_factory=list)
    logps: list[float] = field(default_factory=list)
    stop: str = "length"


class TransformersEngine:
    """Batches requests over one module.

    The module is put into evaluation mode and should stay there: gradients flow all the same, and dropout
    would make the sampler's and the learner's log-probabilities differ.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_batch: int = 32,
        deadlines: Deadlines = Deadlines(),
    ) -> None:
        """Serve `model`.

        Args:
            model: a causal LM; used as it is, so a learner that updates it updates the policy.
            tokenizer: decodes completions and names the end-of-turn token.
            max_batch: most requests served together.
            deadlines: how long calls may take.

        Raises:
            ValueError: `max_batch` is below 1.
        """
        if max_batch < 1:
            raise ValueError(f"max_batch must be at least 1, got {max_batch}")
        self.policy_version = 0
        self._model = model.eval()  # type: ignore[no-untyped-call]
        self._tokenizer = tokenizer
        self._max_batch = max_batch
        self._deadlines = deadlines
        self._bounds = find_bounds(model, tokenizer)
        self._gate = Gate()
        self._waiting: deque[_Request] = deque()
        self._server: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        self._closed = False

    async def start(self, model: PreTrainedModel, version: int) -> None:
        """Begin to serve; the weights are there already, unless it is another module.

        Raises:
            EngineError: the model has another shape than the one that is served.
        """
        await self.update_weights(model, version)

    async def generate(
        self, prompt_ids: Sequence[int], sampling: Sampling, picture: bytes | None = None
    ) -> Completion:
        """Sample one completion; wait while the engine is paused.

        Raises:
            EngineError: the engine is closed, the prompt does not fit, the model failed or sees no pictures, or it
                took too long.
        """
        self._bounds.check(prompt_ids, sampling)
        if picture is not None and find_sight(self._model) is None:
            raise EngineError(f"{type(self._model).__name__} reads text and takes no picture", Fault.REQUEST)
        async with self._gate:
            if self._closed:
                raise EngineError("the engine is closed; open a new one", Fault.SETUP)
            async with limit(self._deadlines.generate_s, "generating a completion"):
                return await self._enqueue(_Request(tuple(prompt_ids), sampling, picture, _new_future()))

    async def update_weights(self, model: PreTrainedModel, version: int) -> None:
        """Take the weights over; those of the module that is served have changed already.

        Raises:
            EngineError: the model has another shape than the one that is served, or a batch did not end in time.
        """
        if model is not self._model:
            what = f"sending weights of version {version}"
            async with limit(self._deadlines.update_s, what), self._gate.closed():
                await self._finish_batch()
                try:
                    await asyncio.to_thread(self._model.load_state_dict, model.state_dict())
                except RuntimeError as broken:
                    raise EngineError(f"the weights do not fit: {broken}", Fault.WEIGHTS) from broken
        self.policy_version = version

    async def pause(self) -> None:
        """Let the requests under way end and begin no other; once it returns the weights may change.

        Raises:
            EngineError: a batch did not end in time.
        """
        async with limit(self._deadlines.pause_s, "waiting for the requests under way"):
            await self._gate.close()
            await self._finish_batch()

    async def resume(self) -> None:
        """Serve again after a pause."""
        self._gate.open()

    async def sleep(self) -> None:
        """Pause: the memory is the learner's already.

        Raises:
            EngineError: a batch did not end in time.
        """
        await self.pause()

    async def wake(self) -> None:
        """Serve again."""
        await self.resume()

    async def close(self) -> None:
        """Refuse further requests, let the current batch end and release the worker thread."""
        self._closed = True
        self._gate.open()
        await self._finish_batch()
        self._thread.shutdown()

    async def _finish_batch(self) -> None:
        """Wait for the batch that is running: requests that were given up have left the gate, but not their batch."""
        if self._server is not None and not self._server.done():
            await asyncio.wait({self._server})

    async def _enqueue(self, request: _Request) -> Completion:
        self._waiting.append(request)
        loop = asyncio.get_running_loop()
        if self._server is None or self._server.done() or self._server.get_loop() is not loop:
            self._server = loop.create_task(self._serve(loop))
        return await request.future

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        # One turn of the loop first: requests made at the same moment belong into the same batch.
        await asyncio.sleep(0)
        while self._waiting:
            taken = [self._waiting.popleft() for _ in range(min(self._max_batch, len(self._waiting)))]
            batch = [request for request in taken if not request.future.done()]
            if not batch:
                continue
            try:
                completions = await loop.run_in_executor(self._thread, self._complete, batch)
            except (RuntimeError, ValueError, IndexError) as broken:
                for request in batch:
                    if not request.future.done():
                        request.future.set_exception(EngineError(f"the model failed: {broken}"))
                continue
            for request, completion in zip(batch, completions, strict=True):
                if not request.future.done():
                    request.future.set_result(completion)

    def _complete(self, batch: Sequence[_Request]) -> list[Completion]:
        version = self.policy_version
        sampled = sample_batch(
            self._model,
            [request.prompt_ids for request in batch],
            [request.sampling for request in batch],
            stops=self._bounds.stops,
            pictures=[request.picture for request in batch],
        )
        return [
            Completion(
                prompt_ids=request.prompt_ids,
                completion_ids=tuple(s.ids),
                logps=tuple(s.logps),
                text=str(self._tokenizer.decode(s.ids, skip_special_tokens=True)),
                stop=s.stop,
                policy_version=version,
                picture=request.picture,
            )
            for request, s in zip(batch, sampled, strict=True)
        ]


def _new_future() -> asyncio.Future[Completion]:
    return asyncio.get_running_loop().create_future()


@torch.inference_mode()
def sample_batch(
    model: PreTrainedModel,
    prompts: Sequence[tuple[int, ...]],
    samplings: Sequence[Sampling],
    *,
    stops: frozenset[int],
    pictures: Sequence[bytes | None] = (),
) -> list[Sampled]:
    """Sample one completion for each prompt; `pictures` are theirs, if the model sees.

    Equal prompts are read once. The draw is the inverse CDF of one uniform number per token from the
    request's seed.
    """
    asked = list(zip(prompts, pictures or [None] * len(prompts), strict=True))
    unique = list(dict.fromkeys(asked))
    row_of = {one: row for row, one in enumerate(unique)}
    rows = [row_of[one] for one in asked]
    decoder = choose_decoder(model, [picture for _, picture in unique])
    logits_RV = decoder.start([prompt for prompt, _ in unique], max(s.max_tokens for s in samplings))
    if len(unique) < len(prompts):
        decoder.select(rows)
        logits_RV = logits_RV[rows]
    draws = [_draw_uniforms(s) for s in samplings]
    done = [Sampled() for _ in prompts]
    open_ = list(range(len(prompts)))  # which request each row serves
    while True:
        ids, logps = _draw_tokens(
            logits_RV,
            [samplings[i].temperature for i in open_],
            [draws[i][min(len(done[i].ids), len(draws[i]) - 1)] for i in open_],
        )
        going = _record(done, open_, ids, logps, samplings, stops)
        if not going:
            return done
        if 2 * len(going) <= len(open_):
            decoder.select(going)
            ids, open_ = [ids[row] for row in going], [open_[row] for row in going]
        logits_RV = decoder.advance(ids)


def _draw_uniforms(sampling: Sampling) -> list[float]:
    generator = np.random.Generator(np.random.Philox(key=sampling.seed))
    uniforms: list[float] = generator.random(sampling.max_tokens).tolist()
    return uniforms


def _draw_tokens(
    logits_RV: torch.Tensor, temperatures: Sequence[float], uniforms: Sequence[float]
) -> tuple[list[int], list[float]]:
    """Draw a token per row; temperature 0 takes the likeliest, with probability one (log-probability 0)."""
    greedy_R1 = torch.tensor([t == 0 for t in temperatures], device=logits_RV.device)[:, None]
    scale_R1 = torch.tensor([t or 1.0 for t in temperatures], device=logits_RV.device)[:, None]
    uniform_R1 = torch.tensor(uniforms, dtype=torch.float64, device=logits_RV.device)[:, None]
    logps_RV = torch.log_softmax(logits_RV.float() / scale_R1, dim=-1)
    cdf_RV = logps_RV.exp().cumsum(dim=-1, dtype=torch.float64)
    ids_R1 = torch.searchsorted(cdf_RV, uniform_R1 * cdf_RV[:, -1:], right=True)
    ids_R1 = ids_R1.clamp(max=cdf_RV.shape[-1] - 1)
    ids_R1 = torch.where(greedy_R1, logits_RV.argmax(dim=-1, keepdim=True), ids_R1)
    logp_R1 = logps_RV.gather(1, ids_R1).masked_fill(greedy_R1, 0.0)
    return ids_R1[:, 0].tolist(), logp_R1[:, 0].tolist()


def _record(
    done: Sequence[Sampled],
    open_: Sequence[int],
    ids: Sequence[int],
    logps: Sequence[float],
    samplings: Sequence[Sampling],
    stops: frozenset[int],
) -> list[int]:
    """Add a token to each completion that is not over; give the rows of those that go on."""
    going = []
    for row, (index, token, logp) in enumerate(zip(open_, ids, logps, strict=True)):
        sampled = done[index]
        if sampled.stop == "stop" or len(sampled.ids) == samplings[index].max_tokens:
            continue
        sampled.ids.append(token)
        sampled.logps.append(logp)
        if token in stops:
            sampled.stop = "stop"
        elif len(sampled.ids) < samplings[index].max_tokens:
            going.append(row)
    return going
