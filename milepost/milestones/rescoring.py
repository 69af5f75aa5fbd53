"""New rules over old episodes, offline: what each recorded episode would have paid, and a record of it beside the old.

Nothing that was recorded is edited. A re-scored run is a folder of its own, which can be audited like any other.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from milepost.milestones.audit import EVENTS, REWARDS, SPEC, describe_difference
from milepost.milestones.spec import Spec
from milepost.milestones.trace import RewardTrace, TraceStatus, score
from milepost.sandbox.events import EpisodeStarted, Event, canonical
from milepost.sandbox.log import LogError, read_log

AMENDMENT = "amendment.json"
"""The file that says which trace a re-scored one stands beside."""

Rules = Callable[[EpisodeStarted], Spec]
"""Gives the new rules of an episode by what its log says of its task, seed and split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescored:
    """An episode under new rules."""

    episode: str
    """Name of its folder."""
    old: str
    """What it paid before, exact; `unscored` where there is no reward, empty where nothing was stored."""
    new: str
    was_success: bool | None
    """Whether the stored trace says that the goal was reached; None where nothing can be read."""
    success: bool
    reason: str = ""
    """Why there is no new reward; empty when there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoreReport:
    """A run under new rules."""

    episodes: tuple[Rescored, ...]

    @property
    def changed(self) -> tuple[Rescored, ...]:
        """The episodes that pay another amount, or whose goal came out differently."""
        return tuple(e for e in self.episodes if (e.old, e.was_success) != (e.new, e.success))

    def as_dict(self) -> dict[str, Any]:
        """Give the report as plain data."""
        return {
            "episodes": len(self.episodes),
            "changed": len(self.changed),
            "unscored": sum(1 for e in self.episodes if e.new == TraceStatus.UNSCORED),
            "successes_before": sum(1 for e in self.episodes if e.was_success),
            "successes": sum(1 for e in self.episodes if e.success),
            "findings": [
                {
                    "episode": e.episode,
                    "old": e.old,
                    "new": e.new,
                    "was_success": e.was_success,
                    "success": e.success,
                    "reason": e.reason,
                }
                for e in self.changed
            ],
        }

    def describe(self) -> str:
        """Give the report as text."""
        plain = self.as_dict()
        lines = [
            f"{plain['episodes']} episodes: {plain['changed']} pay another amount or reach another end, "
            f"{plain['unscored']} unscored; goals reached {plain['successes_before']} before, "
            f"{plain['successes']} now"
        ]
        for e in self.changed:
            goal = "" if e.success == e.was_success else f", goal {'reached' if e.success else 'missed'}"
            lines.append(f"{e.episode}: {e.old or 'nothing'} -> {e.new}{goal}{e.reason and f' ({e.reason})'}")
        return "\n".join(lines)


def find_episodes(directory: Path) -> tuple[Path, ...]:
    """Give the folders of a run's episodes, or the folder itself when it is one."""
    if (directory / EVENTS).is_file():
        return (directory,)
    return tuple(sorted(path.parent for path in directory.glob(f"episodes/*/{EVENTS}")))


def rescore_run(directory: Path, rules: Rules, *, out: Path | None = None) -> RescoreReport:
    """Score every recorded episode of a run anew.

    Args:
        directory: a run, or one episode's folder.
        rules: the new rules of an episode.
        out: where a run of the new traces is written; None writes nothing.

    Raises:
        SpecError: the rules cannot be meant.
        OSError: a file cannot be read or written; `out` exists already.
    """
    if out is not None:
        out.mkdir(parents=True)
    return RescoreReport(
        episodes=tuple(_rescore_episode(folder, rules, out) for folder in find_episodes(directory))
    )


def _rescore_episode(folder: Path, rules: Rules, out: Path | None) -> Rescored:
    old, was_success = _read_stored(folder)
    try:
        events: Sequence[Event] = read_log(folder / EVENTS)
        started = next(_find_starts(events))
    except (LogError, StopIteration) as error:
        reason = str(error) or "the log does not say which task it is of"
        return Rescored(
            episode=folder.name,
            old=old,
            new=TraceStatus.UNSCORED,
            was_success=was_success,
            success=False,
            reason=reason,
        )
    spec = rules(started)
    trace = score(spec, events)
    if out is not None:
        _write(folder, out / "episodes" / folder.name, spec, trace)
    return Rescored(
        episode=folder.name,
        old=old,
        new=_amount(trace),
        was_success=was_success,
        success=trace.success,
        reason=trace.reason,
    )


def _find_starts(events: Sequence[Event]) -> Iterator[EpisodeStarted]:
    return (event.fact for event in events if isinstance(event.fact, EpisodeStarted))


def _amount(trace: RewardTrace) -> str:
    return TraceStatus.UNSCORED.value if trace.total is None else str(trace.total)


def _read_stored(folder: Path) -> tuple[str, bool | None]:
    try:
        stored = orjson.loads((folder / REWARDS).read_bytes())
        scored = stored["status"] == TraceStatus.SCORED
        amount = stored["total"] if scored else TraceStatus.UNSCORED.value
        return str(amount), scored and stored["goal"]["detection"] == "fired"
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        return "", None


def _write(folder: Path, target: Path, spec: Spec, trace: RewardTrace) -> None:
    target.mkdir(parents=True)
    shutil.copyfile(folder / EVENTS, target / EVENTS)
    (target / SPEC).write_bytes(spec.to_bytes())
    (target / REWARDS).write_bytes(trace.to_bytes())
    old = orjson.loads((folder / REWARDS).read_bytes()) if (folder / REWARDS).is_file() else {}
    stands_beside = {"episode": folder.name, "spec": old.get("spec", ""), "total": old.get("total")}
    record = {"supersedes": stands_beside, "spec": spec.digest, "log_head": trace.log_head}
    (target / AMENDMENT).write_bytes(canonical(record))


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How an episode's trace differs between two places."""

    episode: str
    detail: str


def diff_runs(first: Path, second: Path) -> tuple[Difference, ...]:
    """Compare the stored traces of two runs, or of two episodes, by name; empty when they are the same bytes.

    Raises:
        OSError: a file cannot be read.
    """
    if all((place / REWARDS).is_file() for place in (first, second)):
        pairs = {first.name: (first, second)}
    else:
        names = {
            path.parent.name for place in (first, second) for path in place.glob(f"episodes/*/{REWARDS}")
        }
        pairs = {name: (first / "episodes" / name, second / "episodes" / name) for name in sorted(names)}
    return tuple(_diff_episodes(pairs))


def _diff_episodes(pairs: dict[str, tuple[Path, Path]]) -> Iterator[Difference]:
    for name, places in pairs.items():
        missing = [place for place in places if not (place / REWARDS).is_file()]
        if missing:
            yield Difference(episode=name, detail=f"there is no {missing[0] / REWARDS}")
            continue
        one, other = ((place / REWARDS).read_bytes() for place in places)
        try:
            detail = describe_difference(one, other, ("the first", "the second"))
        except orjson.JSONDecodeError as error:
            detail = f"the second trace is not JSON ({error})"
        if detail:
            yield Difference(episode=name, detail=detail)


def diff_specs(first: Spec, second: Spec) -> str:
    """Say in which entries two specs differ; empty when they are the same rules."""
    return describe_difference(first.to_bytes(), second.to_bytes(), ("the first", "the second"))
