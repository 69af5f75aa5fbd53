"""A low-rank adapter on a frozen policy: what learns is small, and without it the policy is its own reference."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from milepost.training.config import Config
from milepost.training.overrides import ConfigError

ADAPTER = "default"
"""Name of the adapter, as peft's files have it."""


def attach_adapter(model: PreTrainedModel, rank: int, *, seed: int) -> None:
    """Freeze a policy and put a low-rank adapter (Hu et al. 2021) on each of its linear layers, the head excepted.

    The adapter starts as no change at all. One that was loaded with the policy goes on learning.

    Args:
        model: the policy, changed in place.
        rank: of the adapter's matrices; they are scaled by 2.
        seed: draws the half of them that is not 0.

    Raises:
        ValueError: the loaded adapter has another rank.
    """
    from peft import LoraConfig  # noqa: PLC0415 - takes seconds to import

    if has_adapter(model):
        found = getattr(model.peft_config[ADAPTER], "r", None)
        if found != rank:
            raise ValueError(f"the policy has an adapter of rank {found}, policy.lora_rank is {rank}")
        model.set_adapter(ADAPTER)
    else:
        settings = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model.add_adapter(settings, ADAPTER)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
        if parameter.requires_grad:
            # Small steps would be lost in half precision.
            parameter.data = parameter.data.float()


def check_adapter(config: Config) -> None:
    """Refuse what does not go together with an adapter.

    Raises:
        ConfigError: a method that needs a second set of weights, or a server, which is sent no adapters.
    """
    if not config.policy.lora_rank:
        return
    for wrong, message in (
        (config.preference.method, f"preference.method is {config.preference.method!r}"),
        (
            config.algorithm.reference_every,
            f"algorithm.reference_every is {config.algorithm.reference_every}",
        ),
    ):
        if wrong:
            raise ConfigError(
                f"policy.lora_rank is {config.policy.lora_rank} and {message}: with an adapter the reference is "
                "the policy without it and cannot move; leave one of the two out"
            )
    if "@" in config.policy.engine:
        raise ConfigError(
            f"policy.lora_rank is {config.policy.lora_rank} and policy.engine is {config.policy.engine!r}, but a server is "
            'sent whole weights, not adapters; set the engine to "vllm" or "transformers", or lora_rank to 0'
        )


def has_adapter(model: PreTrainedModel) -> bool:
    """Say whether a policy carries an adapter."""
    return bool(getattr(model, "_hf_peft_config_loaded", False))


@contextmanager
def as_reference(policy: PreTrainedModel, reference: PreTrainedModel) -> Iterator[PreTrainedModel]:
    """Give the reference; where that is the policy itself, its adapter is off meanwhile."""
    if reference is not policy:
        yield reference
        return
    policy.disable_adapters()
    try:
        yield policy
    finally:
        policy.enable_adapters()
