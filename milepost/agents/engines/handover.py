"""Hands a policy's weights to another process: a checkpoint in shared memory, where there is room."""

import itertools
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedModel

from milepost.agents.engines.engine import EngineError, Fault

SHARED_MEMORY = Path("/dev/shm")
"""Files here never touch a disk."""


class Handover:
    """Keeps the newest weights as a folder that others can load."""

    def __init__(self, places: Sequence[Path] = (SHARED_MEMORY, Path(tempfile.gettempdir()))) -> None:
        """Prepare a handover.

        Args:
            places: where folders may be made, the best first.
        """
        self._places = places
        self._count = itertools.count()
        self._root: Path | None = None
        self.folder: Path | None = None
        """The newest checkpoint."""

    def put(self, model: PreTrainedModel) -> Path:
        """Write the weights and forget those before the last.

        Raises:
            EngineError: there is no room for them.
        """
        size = sum(p.numel() * p.element_size() for p in model.parameters())
        root = self._root or self._make_root(2 * size)
        folder = root / f"{next(self._count):06d}"
        try:
            model.save_pretrained(folder)
        except OSError as broken:
            raise EngineError(f"cannot hand the weights over in {root}: {broken}", Fault.WEIGHTS) from broken
        old, self.folder = self.folder, folder
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
        return folder

    def close(self) -> None:
        """Remove everything."""
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
        self._root = self.folder = None

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
