"""How much memory learning takes, asked before anything is loaded."""

import os
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedConfig,
)

from milepost.agents.agent import ModelLoadError
from milepost.agents.llm import TINY, TINY_FOLDER, sees
from milepost.training.algorithm import KlPlace
from milepost.training.config import Config

_FLOAT = 4
_GROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_GROUP_USED = Path("/sys/fs/cgroup/memory.current")
_MACHINE = Path("/proc/meminfo")


class ModelTooLargeError(ModelLoadError):
    """Learning the policy would take more memory than there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """Bytes, by what they hold."""

    weights: int
    """Of the policy as it is served, and of this process's part where they are shared out."""
    gradients: int
    optimizer: int
    """AdamW's two moments."""
    copies: int
    """A reference and a critic, where they are kept."""
    activations: int
    """Of one micro-batch; an estimate from the sizes of a plain transformer."""

    @property
    def total(self) -> int:
        """All of it."""
        return sum(getattr(self, field.name) for field in fields(self))

    def __str__(self) -> str:
        """List the parts in GB."""
        parts = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return ", ".join(f"{name} {_show(value)}" for name, value in parts if value)


def estimate_memory(config: Config, *, parts: int = 1) -> MemoryEstimate | None:
    """Estimate what learning takes in the process that leads.

    Args:
        config: the run's.
        parts: processes among which weights are shared out.

    Returns:
        The estimate; None when the policy's description cannot be read, which loading it will say.
    """
    source = str(TINY_FOLDER) if config.policy.model == TINY else config.policy.model
    try:
        described = AutoConfig.from_pretrained(str(Path(source).expanduser()))
        with torch.device("meta"):
            kind = AutoModelForImageTextToText if sees(described) else AutoModelForCausalLM
            model = kind.from_config(described)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, KeyError, ImportError, RuntimeError):
        return None
    weights = sum(parameter.numel() for parameter in model.parameters())
    learning, copies = weights, 0
    if config.policy.lora_rank:
        linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
        learning = sum(config.policy.lora_rank * (m.in_features + m.out_features) for m in linear)
    elif config.algorithm.kl_coef or (
        config.preference.method and config.preference.resolve().needs_reference
    ):
        # One that prices rewards is asked by one process, and stays whole.
        whole = config.algorithm.kl_place is KlPlace.REWARD
        copies += weights if whole else -(-weights // parts)
    if config.algorithm.advantage.needs_critic:
        copies += 4 * weights  # weights, gradients, and AdamW's two moments
    return MemoryEstimate(
        weights=(weights + (-(-weights // parts) if parts > 1 else 0)) * _FLOAT,
        gradients=-(-learning // parts) * _FLOAT,
        optimizer=2 * -(-learning // parts) * _FLOAT,
        copies=copies * _FLOAT,
        activations=_estimate_activations(described, config) * _FLOAT,
    )


def _estimate_activations(described: PreTrainedConfig, config: Config) -> int:
    """Count the numbers that a micro-batch keeps for the backward pass."""
    sizes = described.get_text_config()
    width, layers = sizes.hidden_size, sizes.num_hidden_layers
    inner = getattr(sizes, "intermediate_size", None) or 4 * width
    # Around attention about ten states of the model's width, around the MLP its three inner ones.
    layer = 10 * width + 3 * inner
    kept = layers * width + layer if config.optim.recompute else layers * layer
    return int(config.optim.token_budget * kept)


def find_memory() -> int | None:
    """Give the bytes this process may still take; None where the system does not say."""
    free: list[int] = []
    if _MACHINE.is_file():
        lines = dict(line.split(":", 1) for line in _MACHINE.read_text().splitlines() if ":" in line)
        free.append(int(lines["MemAvailable"].split()[0]) * 1024)
    elif "SC_PHYS_PAGES" in os.sysconf_names:
        free.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    if _GROUP_LIMIT.is_file() and (limit := _GROUP_LIMIT.read_text().strip()).isdigit():
        free.append(int(limit) - int(_GROUP_USED.read_text()))
    return min(free, default=None)


def check_memory(config: Config, free: int | None, *, needed: MemoryEstimate | None) -> None:
    """Refuse to load a policy whose learning cannot fit.

    Args:
        config: names the policy and what can be changed.
        free: bytes there are; None is not known.
        needed: the estimate; None is not known.

    Raises:
        ModelTooLargeError: more is needed than there is.
    """
    if free is None or needed is None or needed.total <= free:
        return
    ways = ["a smaller policy"]
    if not config.policy.lora_rank:
        ways.append("policy.lora_rank=16")
    if not config.optim.recompute:
        ways.append("optim.recompute=true")
    ways.append(f"a smaller optim.token_budget (now {config.optim.token_budget})")
    raise ModelTooLargeError(
        f"learning {config.policy.model!r} takes about {_show(needed.total)} ({needed}), and {_show(free)} are free; "
        f"take {', '.join(ways[:-1])} or {ways[-1]}"
    )


def _show(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
