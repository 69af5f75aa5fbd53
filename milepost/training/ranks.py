"""The processes of one learner, as `torchrun` starts them, or any launcher that sets its variables.

Rank 0 plays, gives credit, logs and saves; the others wait for its orders and learn their part of every batch. What a
token weighs was fixed over the whole batch, so gradients are summed and the result is that of one process.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed

from milepost.training.overrides import ConfigError
from milepost.training.tally import TokenSums

_PATIENCE = timedelta(hours=2)
"""How long a rank waits for the others: rank 0 plays an iteration's episodes meanwhile."""

SHARDED = "ACCELERATE_USE_FSDP"
"""Environment variable by which a launcher asks for sharded weights."""

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """Who takes part in learning, and which of them this process is. By default it is alone."""

    rank: int = 0
    world: int = 1
    sharded: bool = False
    """Whether each learns a part of the weights (FSDP2) and not all of them."""

    @property
    def leads(self) -> bool:
        """Whether this is the process that gives the orders."""
        return self.rank == 0

    def tell(self, order: str, load: object = None) -> None:
        """Give the others an order."""
        if self.world > 1 and self.leads:
            distributed.broadcast_object_list([(order, load)], src=0)

    def listen(self) -> tuple[str, Any]:
        """Wait for rank 0's next order."""
        received: list[Any] = [None]
        distributed.broadcast_object_list(received, src=0)
        order: tuple[str, Any] = received[0]
        return order

    def take(self, parts: Sequence[_Item]) -> list[_Item]:
        """Give this rank's share of the parts of a batch."""
        return list(parts[self.rank :: self.world])

    def copy_weights(self, model: torch.nn.Module) -> None:
        """Give all ranks rank 0's weights, before they are sharded."""
        if self.world > 1:
            for tensor in (*model.parameters(), *model.buffers()):
                distributed.broadcast(tensor.data, src=0)

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Sum the gradients of all ranks; where weights are sharded the backward pass has done it."""
        if self.world == 1 or self.sharded:
            return
        pending = []
        for parameter in parameters:
            if parameter.grad is None:  # this rank had nothing to learn
                parameter.grad = torch.zeros_like(parameter)
            pending.append(distributed.all_reduce(parameter.grad, async_op=True))
        for work in pending:
            if work is not None:
                work.wait()

    def sum_facts(self, facts: TokenSums) -> TokenSums:
        """Sum what the ranks counted."""
        if self.world == 1:
            return facts
        gathered: list[Any] = [None] * self.world
        distributed.all_gather_object(gathered, facts)
        whole = TokenSums()
        for part in gathered:
            whole.join(part)
        return whole


def join_ranks() -> Ranks:
    """Join the processes that a launcher started with this one; alone where none did.

    The environment variable `ACCELERATE_USE_FSDP`, which `accelerate launch --use_fsdp` sets, asks for sharded weights.

    Raises:
        ConfigError: they cannot meet, for example because the port at which they would is taken.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Ranks()
    if not distributed.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        try:
            distributed.init_process_group(backend, timeout=_PATIENCE)
        except (distributed.DistError, ValueError) as broken:
            place = ":".join(os.environ.get(name, "?") for name in ("MASTER_ADDR", "MASTER_PORT"))
            raise ConfigError(
                f"the {world} processes of the learner cannot meet at {place}: {str(broken).splitlines()[0]}; start them "
                "with `torchrun`, and where the port is taken with another one (--master-port)"
            ) from broken
    sharded = os.environ.get(SHARDED, "").lower() in ("1", "true", "t", "yes", "y", "on")
    if sharded:
        # With `accelerate launch` transformers would load rank 0's weights alone and leave the others' on no device.
        os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"
    return Ranks(rank=distributed.get_rank(), world=world, sharded=sharded)
