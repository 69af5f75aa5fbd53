"""Which recorded episodes a report shows: the same test task before and after training, side by side."""

from dataclasses import dataclass
from pathlib import Path

import orjson

from milepost.training.records import EPISODE_FILE, EpisodeRecord, list_episodes, read_episode

BEFORE, AFTER = "test-start", "test-end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One test task, played before and after training."""

    task_id: str
    seed: int
    goal: str
    before: EpisodeRecord
    after: EpisodeRecord


def choose_pairs(directory: Path, *, per_task: int = 1, failures: int = 1) -> list[Pair]:
    """Choose pairs: for every task one that training solved, and then what it still does not solve.

    Args:
        directory: the run's `episodes` folder.
        per_task: pairs of each task.
        failures: pairs, over all tasks, that failed after training although another pair did not.

    Raises:
        RecordError: an episode cannot be read.
    """
    if not directory.is_dir():
        return []
    before, after = _index(directory, BEFORE), _index(directory, AFTER)
    ranked = sorted((_rank(before[key], after[key]), key) for key in before if key in after)
    chosen: list[tuple[str, int]] = []
    for task_id in dict.fromkeys(sorted(key[0] for _, key in ranked)):
        chosen += [key for _, key in ranked if key[0] == task_id][:per_task]
    failed = [key for rank, key in ranked if rank[0] >= 2 and key not in chosen]
    return [_read_pair(before[key][0], after[key][0]) for key in chosen + failed[:failures]]


_Found = tuple[Path, bool, float]


def _index(directory: Path, phase: str) -> dict[tuple[str, int], _Found]:
    found: dict[tuple[str, int], _Found] = {}
    for folder in list_episodes(directory, phase):
        summary = orjson.loads((folder / EPISODE_FILE).read_bytes())
        found[summary["task_id"], summary["seed"]] = folder, summary["success"], float(summary["ret"])
    return found


def _rank(before: _Found, after: _Found) -> tuple[int, float]:
    """Order pairs: newly solved, solved both times, still failing; a larger gain first."""
    kind = 2 if not after[1] else 1 if before[1] else 0
    return kind, before[2] - after[2]


def _read_pair(before: Path, after: Path) -> Pair:
    first, second = read_episode(before), read_episode(after)
    return Pair(
        task_id=second.trajectory.task_id,
        seed=second.trajectory.seed,
        goal=second.goal,
        before=first,
        after=second,
    )
