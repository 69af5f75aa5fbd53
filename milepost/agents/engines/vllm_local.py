"""vLLM in child processes of this one (AsyncLLM). Importing this file imports vLLM, which takes seconds.

vLLM starts its processes by spawning, so a script that trains needs the usual `if __name__ == "__main__":`.
"""

import asyncio
import json
import multiprocessing
import os
import re
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import VLLMClientError
from vllm.inputs import TokensPrompt
from vllm.lora.request import LoRARequest
from vllm.platforms import current_platform
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError

from milepost.agents.agent import Sampling
from milepost.agents.engines.engine import EngineError, Fault
from milepost.agents.engines.handover import Weights
from milepost.agents.engines.vllm_backend import Served, name_picture
from milepost.agents.engines.vllm_worker import PolicyReceiver
from milepost.agents.sight import SILENT, decode_picture

CPU_CACHE_BYTES = 2**30
"""Size of the key-value cache on a CPU."""

GPU_SHARE = 0.45
"""Part of a GPU's memory that vLLM may take, so that the learner has the rest."""

ADAPTER_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks that vLLM reserves room for; it refuses others, and larger adapters."""

_LAST_WORDS = re.compile(r"^(?!.*root cause)(?:\w+\.)*\w*(?:Error|Exception)\b.*", re.MULTILINE)
"""How a traceback ends, unless it only points to another one as the root cause."""


class LocalVllm:
    """One vLLM in this process's children."""

    def __init__(self, *, dtype: str, max_batch: int, threads: int, log: Path) -> None:
        """Prepare it; `launch` starts it.

        Args:
            dtype: precision, as vLLM names it: that of the learner, so that log-probabilities agree.
            max_batch: most requests served together.
            threads: CPU threads of the model, where it runs on a CPU.
            log: file of vLLM's own log.
        """
        self._dtype = dtype
        self._max_batch = max_batch
        self._threads = threads
        self._log = log
        self._log_start = 0
        self._llm: AsyncLLM | None = None
        self._adapter: LoRARequest | None = None
        self._names = count()
        self._adapters = count(1)

    async def launch(self, weights: Weights) -> None:
        """Serve a policy, from nothing.

        Raises:
            EngineError: vLLM does not start; says why in its own words.
        """
        self._log_start = self._log.stat().st_size if self._log.exists() else 0
        with _settings(self._log, self._threads), self._explained("vLLM does not start", Fault.SETUP):
            # It blocks while its processes start; the browsers of this process go on meanwhile.
            self._llm = await asyncio.to_thread(
                AsyncLLM.from_engine_args, AsyncEngineArgs(**self._arguments(weights))
            )
        self._adapter = None
        if weights.adapter is not None:
            await self.load(weights)

    async def load(self, weights: Weights) -> None:
        """Serve these weights instead, and forget cached prompts.

        Raises:
            EngineError: vLLM failed.
        """
        async with self._running("taking new weights", Fault.WEIGHTS) as llm:
            if weights.adapter is None:
                receive = PolicyReceiver.receive_policy.__name__
                await llm.collective_rpc(receive, args=(str(weights.folder),))
            else:
                await self._exchange(llm, weights.adapter)
            if not await llm.reset_prefix_cache():
                raise EngineError(
                    "vLLM did not reset its prefix cache: a request is under way", Fault.WEIGHTS
                )

    async def _exchange(self, llm: AsyncLLM, folder: Path) -> None:
        """Serve another adapter: vLLM knows adapters by a number, so every version has one of its own."""
        old, number = self._adapter, next(self._adapters)
        new = LoRARequest(f"policy-{number}", number, str(folder))
        if old is not None:
            await llm.remove_lora(old.lora_int_id)
        await llm.add_lora(new)
        self._adapter = new

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
            EngineError: vLLM failed, or its process is gone.
        """
        async with self._running("generating") as llm:
            prompt = TokensPrompt(prompt_token_ids=list(prompt_ids), cache_salt=salt)
            if picture is not None:
                prompt["multi_modal_data"] = {"image": [await asyncio.to_thread(decode_picture, picture)]}
                prompt["multi_modal_uuids"] = {"image": [name_picture(picture, salt)]}
            parameters = SamplingParams(
                temperature=sampling.temperature,
                max_tokens=sampling.max_tokens,
                seed=sampling.seed % 2**63,
                logprobs=0,  # of the sampled token alone
                stop_token_ids=list(stops),
                logit_bias=dict.fromkeys(silent, SILENT) or None,
                detokenize=False,
            )
            name = f"milepost-{next(self._names)}"
            async for output in llm.generate(prompt, parameters, name, lora_request=self._adapter):
                if output.finished:
                    return read_output(output, greedy=sampling.temperature == 0)
        raise EngineError("vLLM ended a request without a last output")

    async def sleep(self) -> None:
        """Give GPU memory back; nothing happens on a CPU.

        Raises:
            EngineError: vLLM failed.
        """
        async with self._running("going to sleep") as llm:
            await llm.sleep(level=1, mode="wait")

    async def wake(self) -> None:
        """Take the memory again.

        Raises:
            EngineError: vLLM failed.
        """
        async with self._running("waking up") as llm:
            await llm.wake_up()

    async def close(self) -> None:
        """End vLLM's processes."""
        llm, self._llm = self._llm, None
        if llm is not None:
            await asyncio.to_thread(llm.shutdown)
            multiprocessing.active_children()  # asks after those that were killed, so that none stays a zombie

    def _arguments(self, weights: Weights) -> Mapping[str, Any]:
        on_cpu = bool(current_platform.is_cpu())
        place: dict[str, Any] = (
            {"kv_cache_memory_bytes": CPU_CACHE_BYTES, "enforce_eager": True}
            if on_cpu
            else {"gpu_memory_utilization": GPU_SHARE, "enable_sleep_mode": True}
        )
        if weights.adapter is not None:
            rank = next((known for known in ADAPTER_RANKS if known >= weights.rank), weights.rank)
            place |= {"enable_lora": True, "max_lora_rank": rank}
        if weights.sees:
            place |= {"limit_mm_per_prompt": {"image": 1, "video": 0, "audio": 0}}
        return place | {
            "model": str(weights.folder),
            "skip_tokenizer_init": not weights.sees,  # it finds pictures by their tokens
            "dtype": self._dtype,
            "max_num_seqs": self._max_batch,
            "logprobs_mode": "processed_logprobs",
            "enable_prefix_caching": True,
            "disable_log_stats": True,
            "use_tqdm_on_load": False,
            "worker_extension_cls": f"{PolicyReceiver.__module__}.{PolicyReceiver.__qualname__}",
        }

    @asynccontextmanager
    async def _running(self, what: str, fault: Fault = Fault.BACKEND) -> AsyncIterator[AsyncLLM]:
        if self._llm is None:
            raise EngineError("vLLM is not running", Fault.DIED)
        with self._explained(f"vLLM failed while {what}", fault):
            yield self._llm

    @contextmanager
    def _explained(self, what: str, fault: Fault) -> Iterator[None]:
        """Turn vLLM's errors into ours, in its own words."""
        try:
            yield
        except EngineError:
            raise
        except EngineDeadError as error:
            words = find_last_words(self._log, self._log_start)
            raise EngineError(f"vLLM's process died: {words}; see {self._log}", Fault.DIED) from error
        except VLLMClientError as error:
            raise EngineError(f"vLLM refuses the request: {error}", Fault.REQUEST) from error
        except Exception as error:
            hidden = "root cause" in str(error)
            words = find_last_words(self._log, self._log_start) if hidden else str(error) or repr(error)
            raise EngineError(f"{what}: {words}; see {self._log}", fault) from error


def read_output(output: Any, *, greedy: bool) -> Served:
    """Take ids, log-probabilities and the reason to stop out of vLLM's last output of a request."""
    (completion,) = output.outputs
    ids = tuple(completion.token_ids)
    # A greedy token is certain; vLLM reports what the model says of it.
    logps = (
        (0.0,) * len(ids)
        if greedy
        else tuple(place[i].logprob for i, place in zip(ids, completion.logprobs, strict=True))
    )
    stop = "stop" if completion.finish_reason == "stop" else "length"
    return Served(
        ids=ids,
        logps=logps,
        stop=stop,
        cached=output.num_cached_tokens or 0,
        prompt=tuple(output.prompt_token_ids),
    )


def find_last_words(log: Path, start: int = 0) -> str:
    """Give the last error that a log of vLLM names from a byte on, or what little is known."""
    try:
        text = log.read_bytes()[start:].decode(errors="replace")
    except OSError:
        return "it left no log"
    found = _LAST_WORDS.findall(text)
    return (
        found[-1] if found else "its log names no error; it may have been killed, for example for its memory"
    )


@contextmanager
def _settings(log: Path, threads: int) -> Iterator[None]:
    """Set what vLLM and its children read from the environment while they start; what the user set stays."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", prefix="milepost-vllm-log-", suffix=".json", delete=False) as file:
        json.dump(_configure_log(log), file)
    wanted = {
        "VLLM_LOGGING_CONFIG_PATH": file.name,
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_WORKER_MULTIPROCESSING_METHOD": "spawn",
    }
    if current_platform.is_cpu():
        # Compiling the sampler takes longer than a small model's whole run.
        wanted |= {
            "TORCHDYNAMO_DISABLE": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "OMP_NUM_THREADS": str(threads),
        }
    missing = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            os.environ.pop(name, None)
        Path(file.name).unlink()


def _configure_log(log: Path) -> Mapping[str, Any]:
    handler = {"class": "logging.FileHandler", "filename": str(log), "formatter": "plain", "delay": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(processName)s %(message)s"}},
        "handlers": {"file": handler},
        "loggers": {"vllm": {"handlers": ["file"], "level": "INFO", "propagate": False}},
    }
