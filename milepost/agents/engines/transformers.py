"""Serves a `transformers` model in this process, sharing the learner's own module.

Requests that arrive while a batch is being served wait for the next one, so nobody waits for more than one
batch. The sampling loop is our own: the returned log-probabilities are those of the distribution that was
sampled from, and a request's tokens depend on its seed alone, never on its neighbours in the batch.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from milepost.agents.agent import Completion, Sampling
from milepost.agents.engines.engine import EngineError


@dataclass(frozen=True, slots=True)
class _Request:
    prompt_ids: tuple[int, ...]
    sampling: Sampling
    future: asyncio.Future[Completion]


@dataclass(frozen=True, slots=True)
class _Sampled:
    ids: list[int]
    logps: list[float]
    stop: str


class TransformersEngine:
    """Batches requests over one module.

    The module is put into evaluation mode and should stay there: gradients flow all the same, and dropout
    would make the sampler's and the learner's log-probabilities differ.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, max_batch: int = 32
    ) -> None:
        """Serve `model`.

        Args:
            model: a causal LM; used as it is, so a learner that updates it updates the policy.
            tokenizer: decodes completions and names the end-of-turn token.
            max_batch: most requests served together.

        Raises:
            ValueError: `max_batch` is below 1.
        """
        if max_batch < 1:
            raise ValueError(f"max_batch must be at least 1, got {max_batch}")
        self.policy_version = 0
        """Which weights are being served; the trainer raises it with every update."""
        self.weights = threading.Lock()
        """Held while a batch is served: whoever changes the weights holds it, so no batch mixes two versions."""
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._max_batch = max_batch
        self._limit = getattr(model.config, "max_position_embeddings", None) or 2**31
        self._stops = _find_stops(model, tokenizer)
        self._waiting: deque[_Request] = deque()
        self._server: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        self._closed = False

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling) -> Completion:
        """Sample one completion.

        Raises:
            EngineError: the engine is closed, the prompt does not fit, or the model failed.
        """
        if self._closed:
            raise EngineError("the engine is closed; open a new one")
        if not 0 < len(prompt_ids) <= self._limit - sampling.max_tokens:
            raise EngineError(
                f"the prompt has {len(prompt_ids)} tokens; with {sampling.max_tokens} to sample, this model "
                f"takes 1 to {self._limit - sampling.max_tokens}: show fewer elements or sample fewer tokens"
            )
        loop = asyncio.get_running_loop()
        request = _Request(tuple(prompt_ids), sampling, loop.create_future())
        self._waiting.append(request)
        if self._server is None or self._server.done() or self._server.get_loop() is not loop:
            self._server = loop.create_task(self._serve(loop))
        return await request.future

    async def close(self) -> None:
        """Refuse further requests, let the current batch end and release the worker thread."""
        self._closed = True
        if self._server is not None and not self._server.done():
            await self._server
        self._thread.shutdown()

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
        with self.weights:
            version = self.policy_version
            sampled = sample_batch(
                self._model,
                [request.prompt_ids for request in batch],
                [request.sampling for request in batch],
                stops=self._stops,
            )
        return [
            Completion(
                prompt_ids=request.prompt_ids,
                completion_ids=tuple(s.ids),
                logps=tuple(s.logps),
                text=self._tokenizer.decode(s.ids, skip_special_tokens=True),
                stop=s.stop,
                policy_version=version,
            )
            for request, s in zip(batch, sampled, strict=True)
        ]


def _find_stops(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Collect the ids that end a turn: the tokenizer's and those of the model's generation settings."""
    settings = getattr(model, "generation_config", None)
    stated = getattr(settings, "eos_token_id", None)
    listed = stated if isinstance(stated, list) else [stated]
    return frozenset(i for i in (*listed, tokenizer.eos_token_id) if i is not None)


@torch.inference_mode()
def sample_batch(
    model: PreTrainedModel,
    prompts: Sequence[tuple[int, ...]],
    samplings: Sequence[Sampling],
    *,
    stops: frozenset[int],
) -> list[_Sampled]:
    """Sample one completion for each prompt with a shared KV cache.

    Equal prompts share their prefill. Prompts are padded on the left; position ids and the mask make the
    padding invisible. The draw is the inverse CDF of one uniform number per token from the request's seed.
    """
    device = model.device
    unique = list(dict.fromkeys(prompts))
    row_of = {prompt: row for row, prompt in enumerate(unique)}
    logits_UV, cache, mask_UT = _prefill(model, unique)
    rows_B = torch.tensor([row_of[prompt] for prompt in prompts], device=device)
    cache.batch_select_indices(rows_B)
    logits_BV, mask_BT = logits_UV[rows_B], mask_UT[rows_B]
    position_B = mask_BT.sum(dim=1)
    draws = [_draw_uniforms(s) for s in samplings]
    done = [_Sampled([], [], "length") for _ in prompts]
    live = list(range(len(prompts)))
    temperature_B = torch.tensor([s.temperature for s in samplings], device=device)
    for step in range(max(s.max_tokens for s in samplings)):
        uniform_B = torch.tensor([draws[i][step] for i in live], dtype=torch.float64, device=device)
        ids_B, logp_B = _draw_tokens(logits_BV, temperature_B, uniform_B)
        kept = _record(done, live, ids_B.tolist(), logp_B.tolist(), samplings, stops)
        if not kept:
            break
        if len(kept) < len(live):
            keep_K = torch.tensor(kept, device=device)
            cache.batch_select_indices(keep_K)
            ids_B, mask_BT, position_B = ids_B[keep_K], mask_BT[keep_K], position_B[keep_K]
            temperature_B = temperature_B[keep_K]
            live = [live[k] for k in kept]
        mask_BT = torch.cat([mask_BT, mask_BT.new_ones(len(live), 1)], dim=1)
        out = model(
            input_ids=ids_B[:, None],
            attention_mask=mask_BT,
            position_ids=position_B[:, None],
            past_key_values=cache,
            use_cache=True,
        )
        logits_BV, position_B = out.logits[:, -1], position_B + 1
    return done


def _prefill(
    model: PreTrainedModel, prompts: Sequence[tuple[int, ...]]
) -> tuple[torch.Tensor, DynamicCache, torch.Tensor]:
    longest = max(map(len, prompts))
    ids_UT = torch.zeros(len(prompts), longest, dtype=torch.long)
    mask_UT = torch.zeros(len(prompts), longest, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids_UT[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask_UT[row, longest - len(prompt) :] = 1
    ids_UT, mask_UT = ids_UT.to(model.device), mask_UT.to(model.device)
    cache = DynamicCache()
    out = model(
        input_ids=ids_UT,
        attention_mask=mask_UT,
        position_ids=(mask_UT.cumsum(dim=1) - 1).clamp(min=0),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return out.logits[:, -1], cache, mask_UT


def _draw_uniforms(sampling: Sampling) -> list[float]:
    generator = np.random.Generator(np.random.Philox(key=sampling.seed))
    uniforms: list[float] = generator.random(sampling.max_tokens).tolist()
    return uniforms


def _draw_tokens(
    logits_BV: torch.Tensor, temperature_B: torch.Tensor, uniform_B: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw a token per row; temperature 0 takes the likeliest, with probability one (log-probability 0)."""
    greedy_B = temperature_B == 0
    scale_B1 = torch.where(greedy_B, torch.ones_like(temperature_B), temperature_B)[:, None]
    logps_BV = torch.log_softmax(logits_BV.float() / scale_B1, dim=-1)
    cdf_BV = logps_BV.double().exp().cumsum(dim=-1)
    ids_B1 = torch.searchsorted(cdf_BV, uniform_B[:, None] * cdf_BV[:, -1:], right=True)
    ids_B1 = ids_B1.clamp(max=cdf_BV.shape[-1] - 1)
    ids_B1 = torch.where(greedy_B[:, None], logps_BV.argmax(dim=-1, keepdim=True), ids_B1)
    logp_B = torch.where(greedy_B, torch.zeros_like(temperature_B), logps_BV.gather(1, ids_B1)[:, 0])
    return ids_B1[:, 0], logp_B


def _record(
    done: Sequence[_Sampled],
    live: Sequence[int],
    ids: Sequence[int],
    logps: Sequence[float],
    samplings: Sequence[Sampling],
    stops: frozenset[int],
) -> list[int]:
    """Add a token to each live completion; give the places in `live` of those that go on."""
    raise NotImplementedError
