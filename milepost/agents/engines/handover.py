"""Hands a policy's weights to another process: a checkpoint in shared memory, where there is room.

Of a policy that learns through a low-rank adapter its own weights go over once, and then one adapter per version.
"""

import itertools
import shutil
import tempfile
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel

from milepost.agents.engines.engine import EngineError, Fault
from milepost.agents.sight import find_sight

SHARED_MEMORY = Path("/dev/shm")
"""Files here never touch a disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What is handed over: Hugging Face checkpoints of a policy."""

    folder: Path
    """All weights; of a policy with an adapter those below it, which never change."""
    adapter: Path | None = None
    """The adapter alone, as peft writes it; None where all weights learn."""
    rank: int = 0
    """The adapter's."""
    sees: bool = False
    """Whether they are of a policy that sees; its processor lies beside them."""


class Handover:
    """Keeps the newest weights as folders that others can load."""

    def __init__(self, places: Sequence[Path] = (SHARED_MEMORY, Path(tempfile.gettempdir()))) -> None:
        """Prepare a handover.

        Args:
            places: where folders may be made, the best first.
        """
        self._places = places
        self._count = itertools.count()
        self._root: Path | None = None
        self.weights: Weights | None = None
        """The newest."""

    def put(self, model: PreTrainedModel) -> Weights:
        """Write the weights and forget those before the last.

        Raises:
            EngineError: there is no room for them.
        """
        size = sum(p.numel() * p.element_size() for p in model.parameters())
        root = self._root or self._make_root(2 * size)
        folder = root / f"{next(self._count):06d}"
        old = self.weights
        try:
            if getattr(model, "_hf_peft_config_loaded", False):
                base = old.folder if old is not None else save_base(model, root / "base")
                model.save_pretrained(folder)
                (settings,) = model.peft_config.values()
                self.weights = Weights(folder=base, adapter=folder, rank=int(getattr(settings, "r", 0)))
            else:
                model.save_pretrained(folder)
                sight = find_sight(model)
                if sight is not None:
                    sight.save(folder)
                self.weights = Weights(folder=folder, sees=sight is not None)
        except OSError as broken:
            raise EngineError(f"cannot hand the weights over in {root}: {broken}", Fault.WEIGHTS) from broken
        if old is not None:
            shutil.rmtree(old.adapter or old.folder, ignore_errors=True)
        return self.weights

    def close(self) -> None:
        """Remove everything."""
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
        self._root = self.weights = None

    def _make_root(self, needed: int) -> Path:
        """Make the folder of this handover where two sets of weights fit."""
        free = {place: shutil.disk_usage(place).free for place in self._places if place.is_dir()}
        fitting = next((place for place, bytes_ in free.items() if bytes_ > needed), None)
        if fitting is None:
            found = ", ".join(f"{place} has {bytes_ / 1e6:.0f} MB" for place, bytes_ in free.items())
            raise EngineError(
                f"handing the weights over takes {needed / 1e6:.0f} MB, and there is no room: {found}; "
                "free some, or set TMPDIR to a folder with room",
                Fault.WEIGHTS,
            )
        self._root = Path(tempfile.mkdtemp(prefix="milepost-weights-", dir=fitting))
        return self._root


def save_base(model: PreTrainedModel, folder: Path) -> Path:
    """Write the weights below a policy's adapter as a plain checkpoint; give its folder.

    A model with an adapter saves the adapter alone, so the weights are lent to a twin that has none.
    """
    own = {
        name.replace(".base_layer.", "."): tensor
        for name, tensor in model.state_dict().items()
        if ".lora_" not in name
    }
    with torch.device("meta"):
        twin = type(model)(deepcopy(model.config))
    twin.load_state_dict(own, assign=True)
    twin.generation_config = model.generation_config
    twin.save_pretrained(folder)
    return folder
