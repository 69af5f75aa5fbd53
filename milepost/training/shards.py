"""Weights and optimiser state that the ranks hold in parts (FSDP2), and how they become whole again.

The parts are an affair of the learner. Rank 0 keeps the whole policy beside its part: that is what the engine serves
and what a checkpoint holds, and it follows the parts after every batch.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

_Result = TypeVar("_Result")


def shard_model(model: PreTrainedModel) -> PreTrainedModel:
    """Give each rank a part of every layer's weights, gathered layer by layer when they are needed; in place."""
    mesh = init_device_mesh(model.device.type, (distributed.get_world_size(),))
    for layer in model.modules():
        if isinstance(layer, GradientCheckpointingLayer):
            fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    # The head runs at chosen positions only, so the model's own forward is never called.
    model.call = lambda work: work()  # type: ignore[assignment]
    register_fsdp_forward_method(model, "call")
    return model


def take_shards(model: PreTrainedModel, *, keep: bool) -> PreTrainedModel:
    """Give this rank's part of a policy; with `keep` the policy stays whole beside it."""
    if not keep:
        return shard_model(model)
    # The twin borrows the policy's weights until its part is cut out of them, so nothing is there twice.
    lent = {
        id(own): torch.nn.Parameter(own.data, requires_grad=own.requires_grad) for own in model.parameters()
    }
    return shard_model(copy.deepcopy(model, lent))


def run_gathered(model: PreTrainedModel, work: Callable[[], _Result]) -> _Result:
    """Do something with a model that may be sharded, and then on all ranks at the same time."""
    if not isinstance(model, FSDPModule):
        return work()
    return cast(_Result, model.call(work))  # type: ignore[operator]


@torch.no_grad()
def collect_weights(model: PreTrainedModel, whole: PreTrainedModel | None) -> None:
    """Bring a whole policy up to what its parts have learnt; every rank takes part.

    Only one tensor is whole at a time, besides the policy itself; weights that do not learn are left as they are.

    Args:
        model: the sharded one.
        whole: the policy on the rank that keeps it, None on the others.
    """
    target = dict(whole.named_parameters()) if whole is not None else {}
    parts = model.state_dict()
    for name in [name for name, parameter in model.named_parameters() if parameter.requires_grad]:
        tensor = parts[name].full_tensor()
        if whole is not None:
            target[name].copy_(tensor)


def gather_state(state: Any, *, keep: bool) -> Any:
    """Make every tensor in a nested state whole; every rank takes part.

    Args:
        state: dictionaries and lists with tensors, of which some are sharded.
        keep: whether this rank wants them, on the processor; the others get nothing in their place.
    """
    if isinstance(state, Mapping):
        return {key: gather_state(value, keep=keep) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(gather_state(value, keep=keep) for value in state)
    if not isinstance(state, DTensor):
        return state
    tensor = state.full_tensor()
    return tensor.cpu() if keep else None


def outline_state(state: Any) -> Any:
    """Give a nested state without the numbers of its tensors, scalars excepted: what is sent before they are dealt out."""
    if isinstance(state, Mapping):
        return {key: outline_state(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(outline_state(value) for value in state)
    return state.to("meta") if isinstance(state, Tensor) and state.ndim else state


def deal_optimizer(state: Mapping[str, Any], parameters: Sequence[Tensor]) -> dict[str, Any]:
    """Deal an optimiser's whole state out, each rank its part; every rank takes part.

    Args:
        state: an optimiser's `state_dict` with whole tensors on rank 0, its outline on the others.
        parameters: the sharded parameters, in the optimiser's order.

    Raises:
        ValueError: it is the state of other parameters.
    """
    found = state["state"]
    if any(not 0 <= index < len(parameters) for index in found):
        raise ValueError(
            f"the optimiser has {len(parameters)} parameters, the state that is loaded has others"
        )
    dealt = {
        index: {name: _deal(value, parameters[index]) for name, value in entry.items()}
        for index, entry in sorted(found.items())
    }
    return {**state, "state": dealt}


def load_weights(state: Mapping[str, Tensor], model: PreTrainedModel) -> None:
    """Load whole weights; into a sharded model those of rank 0, and then on all ranks at the same time."""
    parts = model.state_dict()
    model.load_state_dict({name: _deal(tensor, parts[name]) for name, tensor in state.items()})


def _deal(value: Any, like: Tensor) -> Any:
    """Deal a tensor out in the way another one is; what has another shape is everybody's."""
    if not isinstance(value, Tensor) or not isinstance(like, DTensor) or not value.ndim:
        return value
    if value.shape != like.shape:
        raise ValueError(f"expected a tensor of shape {tuple(like.shape)}, got {tuple(value.shape)}")
    here = torch.empty_like(value, device=like.device) if value.is_meta else value.to(like.device)
    return distribute_tensor(here, like.device_mesh, like.placements, src_data_rank=0)
