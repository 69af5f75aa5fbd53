"""Checkpoints: whole, written atomically, and loadable as a policy.

`checkpoints/<iteration>/` is a Hugging Face model folder (weights, configuration, tokenizer) with two files more:
`optimizer.pt` (optimiser state and torch's random state) and `state.json` (everything else). It is written under
another name, flushed to disk and renamed, so a folder of this name is complete. `checkpoints/latest` holds the
name of the newest.
"""

import os
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson
import torch
from safetensors import SafetensorError
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from milepost.agents.llm import save_policy

FORMAT = 1
"""Version of the format, raised when it changes."""

LATEST = "latest"
OPTIMIZER_FILE = "optimizer.pt"
STATE_FILE = "state.json"


class Stateful(Protocol):
    """An optimiser, or a learner with one."""

    def state_dict(self) -> dict[str, Any]:
        """Give the state."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Put a state back."""
        ...


class CheckpointError(RuntimeError):
    """A checkpoint could not be written or read; the message says what is left and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainState:
    """Where a run stands, besides weights and optimiser."""

    iteration: int
    """Iterations done."""
    policy_version: int
    """Weights served last."""
    elapsed_s: float
    """Wall time so far, over all sessions of the run."""
    sampler: Mapping[str, Any]
    """Position of the task sampler."""
    rng: Mapping[str, Any]
    """State of the run's numpy generator."""
    metrics_bytes: int
    """Length of `metrics.jsonl` so far."""
    config: Mapping[str, Any]
    """The configuration, to compare with on resuming."""
    digest: str
    """Hash of the configuration."""


def save_checkpoint(
    directory: Path,
    *,
    state: TrainState,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    optimizer: Stateful,
    keep: int = 2,
) -> Path:
    """Write a checkpoint and remove all but the newest `keep`.

    Args:
        directory: the run's `checkpoints` folder; made if missing.
        state: where the run stands; its iteration names the checkpoint.
        model: the policy.
        tokenizer: its tokenizer.
        optimizer: the learner's optimiser.
        keep: newest checkpoints kept, at least 1.

    Returns:
        The checkpoint's folder.

    Raises:
        CheckpointError: it could not be written; those before are untouched.
    """
    name = f"{state.iteration:06d}"
    draft = directory / f".draft-{name}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        save_policy(model, tokenizer, draft)
        torch.save(
            {"optimizer": optimizer.state_dict(), "torch_rng": torch.get_rng_state()}, draft / OPTIMIZER_FILE
        )
        (draft / STATE_FILE).write_bytes(_state_bytes(state))
        _flush(draft)
        shutil.rmtree(directory / name, ignore_errors=True)
        draft.rename(directory / name)
        _point(directory, name)
    except (OSError, RuntimeError, SafetensorError) as broken:
        shutil.rmtree(draft, ignore_errors=True)
        raise CheckpointError(_explain(directory, name, broken)) from broken
    for old in list_checkpoints(directory)[:-keep]:
        if old.name != name:
            shutil.rmtree(old, ignore_errors=True)
    return directory / name


def _state_bytes(state: TrainState) -> bytes:
    fields = {name: getattr(state, name) for name in TrainState.__dataclass_fields__}
    # The generator's state holds integers of 128 bits, which JSON libraries refuse.
    fields["rng"] = _to_text(fields["rng"])
    return orjson.dumps({"format": FORMAT, **fields}, option=orjson.OPT_INDENT_2)


def _to_text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _to_text(inner) for key, inner in value.items()}
    return f"int:{value}" if isinstance(value, int) else value


def _from_text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _from_text(inner) for key, inner in value.items()}
    return int(value[4:]) if isinstance(value, str) and value.startswith("int:") else value


def _flush(folder: Path) -> None:
    for path in [*folder.iterdir(), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _point(directory: Path, name: str) -> None:
    draft = directory / f".draft-{LATEST}"
    with draft.open("w", encoding="utf-8") as file:
        file.write(name + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(directory / LATEST)
    _flush_folder(directory)


def _flush_folder(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _explain(directory: Path, name: str, broken: Exception) -> str:
    kept = find_latest(directory)
    free = shutil.disk_usage(directory if directory.is_dir() else Path.cwd()).free // 2**20
    rest = f"the last complete one is {kept}" if kept else "there is no earlier one"
    return (
        f"checkpoint {name} could not be written to {directory} ({free} MB free): {broken}; {rest}. "
        "Make room, then continue with --resume"
    )


def list_checkpoints(directory: Path) -> list[Path]:
    """List the complete checkpoints, oldest first."""
    if not directory.is_dir():
        return []
    return sorted(p for p in directory.iterdir() if p.name.isdigit() and (p / STATE_FILE).is_file())


def find_latest(directory: Path) -> Path | None:
    """Find the newest complete checkpoint: the one `latest` names, or the highest iteration."""
    pointer = directory / LATEST
    if pointer.is_file():
        named = directory / pointer.read_text(encoding="utf-8").strip()
        if (named / STATE_FILE).is_file():
            return named
    complete = list_checkpoints(directory)
    return complete[-1] if complete else None


def read_state(checkpoint: Path) -> TrainState:
    """Read where a run stood.

    Raises:
        CheckpointError: the state is missing, broken or of another format.
    """
    try:
        data = orjson.loads((checkpoint / STATE_FILE).read_bytes())
    except (OSError, ValueError) as broken:
        raise CheckpointError(f"{checkpoint} is not a checkpoint: {broken}; {advise(checkpoint)}") from None
    version = data.pop("format", None)
    if version != FORMAT:
        raise CheckpointError(f"{checkpoint} has format {version}; this version of milepost reads {FORMAT}")
    missing = set(TrainState.__dataclass_fields__) - set(data)
    if missing:
        raise CheckpointError(f"{checkpoint}/{STATE_FILE} lacks {', '.join(sorted(missing))}")
    data["rng"] = _from_text(data["rng"])
    return TrainState(**data)


def restore_optimizer(checkpoint: Path, optimizer: Stateful) -> None:
    """Put the optimiser's state and torch's random state back.

    Raises:
        CheckpointError: the file is missing, broken or of another model.
    """
    try:
        data = torch.load(checkpoint / OPTIMIZER_FILE, weights_only=True)
        optimizer.load_state_dict(data["optimizer"])
        torch.set_rng_state(data["torch_rng"])
    except (OSError, RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as broken:
        raise CheckpointError(
            f"{checkpoint}/{OPTIMIZER_FILE} cannot be used: {str(broken).splitlines()[0]}; {advise(checkpoint)}"
        ) from broken


def advise(checkpoint: Path) -> str:
    """Say how to go on without a checkpoint that is broken."""
    others = [one for one in list_checkpoints(checkpoint.parent) if one != checkpoint]
    rest = f"from {others[-1]}" if others else "from the beginning"
    return f"remove {checkpoint} and continue {rest} with --resume"


def restore_rng(rng: np.random.Generator, state: Mapping[str, Any]) -> None:
    """Put a numpy generator back to a saved state."""
    rng.bit_generator.state = state
