"""The numbers of a run: `metrics.jsonl`, one JSON object a line, and the same as TensorBoard scalars.

Every line has `kind`, `iteration` and `elapsed_s`. Kinds: `evaluation` (with `phase`: `test-start`,
`validation-<iteration>`, `test-end`), `imitation`, `iteration` (training rollouts, credit, learner, times), and
`study` (an iteration that learns from a preference file, without rollouts).
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from milepost.milestones.router import find_drift

if TYPE_CHECKING:  # it takes seconds to load and is loaded only when scalars are written
    from torch.utils.tensorboard import SummaryWriter

METRICS_FILE = "metrics.jsonl"
TENSORBOARD_FOLDER = "tensorboard"


class MetricsLog:
    """Appends records to a run's `metrics.jsonl` and to its TensorBoard folder."""

    def __init__(self, run: Path) -> None:
        """Open a run's metrics, which may be new."""
        run.mkdir(parents=True, exist_ok=True)
        self._path = run / METRICS_FILE
        self._path.touch()
        self._folder = run / TENSORBOARD_FOLDER
        self._writer: SummaryWriter | None = None

    def cut(self, keep_bytes: int) -> None:
        """Cut off what came after a checkpoint, so that a resumed run has every line once."""
        os.truncate(self._path, min(keep_bytes, self.size))

    @property
    def size(self) -> int:
        """Length of the file in bytes."""
        return self._path.stat().st_size

    def append(self, record: Mapping[str, Any]) -> None:
        """Write a record."""
        with self._path.open("ab") as file:
            file.write(orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
        writer = self._open_writer()
        if writer is not None:
            for name, value in flatten(record):
                writer.add_scalar(f"{record['kind']}/{name}", value, int(record["iteration"]))

    def _open_writer(self) -> "SummaryWriter | None":
        if self._writer is None:
            try:
                from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 (slow to load, and optional)
            except ImportError:
                return None
            self._writer = SummaryWriter(str(self._folder))
        return self._writer

    def close(self) -> None:
        """Flush TensorBoard's file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


_SKIPPED = {"kind", "iteration", "phase"}


def flatten(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """List a record's numbers under slash-separated names."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and name not in _SKIPPED:
            yield f"{prefix}{name}", float(value)


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Read a run's records; a last line that was cut off in the middle is left out."""
    path = run / METRICS_FILE
    if not path.is_file():
        return []
    records = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            records.append(orjson.loads(line))
        except orjson.JSONDecodeError as broken:
            raise ValueError(f"{path} holds a line that is not JSON: {broken}") from None
    return records


def watch_routes(run: Path, counts: Mapping[str, int]) -> list[str]:
    """Name the tiers whose share of an iteration's decisions is not what it was in the iterations before."""
    earlier: Counter[str] = Counter()
    for record in read_metrics(run) if counts else ():
        earlier.update(record.get("routes", {}) if record["kind"] == "iteration" else {})
    return find_drift(earlier, counts)


def count_steps(run: Path) -> int:
    """Count the environment steps of a run's training episodes so far."""
    return sum(int(r["time"]["steps"]) for r in read_metrics(run) if r["kind"] == "iteration")


def find_evaluation(run: Path, phase: str) -> dict[str, Any]:
    """Find the newest evaluation whose phase begins so; empty when there is none."""
    found = [r for r in read_metrics(run) if r["kind"] == "evaluation" and r["phase"].startswith(phase)]
    return found[-1] if found else {}
