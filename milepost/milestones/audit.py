"""Recomputes rewards from what is on disk: are they, byte for byte, what was written, and why.

The one file of the judge that reads files. An episode's folder holds `events.jsonl` (the log), `spec.json`
(the rules, canonical), `rewards.json` (the trace, canonical) and, where something was left to other tiers than the
rules, `settlement.json` (who was asked, what was said, and what followed). No judge is asked again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from milepost.milestones.explanation import Explanation, explain
from milepost.milestones.settlement import Settlement, SettlementError, replay_settlement
from milepost.milestones.spec import Spec
from milepost.milestones.spec_error import SpecError, suggest
from milepost.milestones.trace import RewardTrace, score, unscored
from milepost.sandbox.events import Event
from milepost.sandbox.log import LogError, read_log

EVENTS, SPEC, REWARDS, SETTLEMENT = "events.jsonl", "spec.json", "rewards.json", "settlement.json"
"""The files of an episode's folder that the audit reads."""


class Verdict(StrEnum):
    """What the audit of one episode found."""

    EQUAL = "equal"
    """The recomputed trace is the stored one, byte for byte."""
    DIFFERENT = "different"
    """It is another one."""
    BROKEN = "broken"
    """The log or the rules cannot be read or trusted, so there is nothing to compare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeAudit:
    """What became of one episode's check."""

    episode: str
    """Name of the episode's folder."""
    verdict: Verdict
    detail: str = ""
    """What differs, or why nothing can be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What became of a run's check."""

    episodes: tuple[EpisodeAudit, ...]

    def select(self, verdict: Verdict) -> tuple[EpisodeAudit, ...]:
        """Give the episodes with a verdict."""
        return tuple(episode for episode in self.episodes if episode.verdict is verdict)

    @property
    def clean(self) -> bool:
        """Whether there are episodes and each recomputes to the same bytes."""
        return bool(self.episodes) and len(self.select(Verdict.EQUAL)) == len(self.episodes)

    def as_dict(self) -> dict[str, Any]:
        """Give the report as plain data."""
        return {
            "episodes": len(self.episodes),
            "clean": self.clean,
            **{verdict.value: len(self.select(verdict)) for verdict in Verdict},
            "findings": [
                {"episode": e.episode, "verdict": e.verdict.value, "detail": e.detail}
                for e in self.episodes
                if e.verdict is not Verdict.EQUAL
            ],
        }

    def describe(self) -> str:
        """Give the report as text."""
        if not self.episodes:
            return f"no recorded episodes here; expected folders with {EVENTS}, {SPEC} and {REWARDS}"
        counts = {verdict: len(self.select(verdict)) for verdict in Verdict}
        lines = [
            f"{len(self.episodes)} episodes: {counts[Verdict.EQUAL]} equal byte for byte, "
            f"{counts[Verdict.DIFFERENT]} different, {counts[Verdict.BROKEN]} broken"
        ]
        lines += [
            f"{e.verdict}: {e.episode}: {e.detail}" for e in self.episodes if e.verdict is not Verdict.EQUAL
        ]
        return "\n".join(lines)


def replay(spec: Spec, events_path: Path) -> RewardTrace:
    """Recompute an episode's trace from its stored log; a log that cannot be trusted is unscored, never 0.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        events = read_log(events_path)
    except LogError as error:
        return unscored(spec, (), str(error))
    return score(spec, events)


def explain_episode(folder: Path, name: str = "") -> tuple[Explanation, ...]:
    """Say of an episode's goal and milestones on which events they rest, or what they lack.

    Args:
        folder: the episode's folder.
        name: only this milestone, or `goal`.

    Raises:
        SpecError: the stored rules cannot be read, or have no such milestone.
        LogError: the log cannot be trusted.
        OSError: a file cannot be read.
    """
    found = explain(Spec.from_bytes((folder / SPEC).read_bytes()), read_log(folder / EVENTS))
    if not name:
        return found
    known = [explanation.name for explanation in found]
    if name not in known:
        raise SpecError(f"no milestone is named {name!r}; {suggest(name, known)}")
    return (found[known.index(name)],)


def explain_settlement(folder: Path) -> Settlement | None:
    """Give an episode's settlement, made again from the log and what was said; None where rules decided all.

    Raises:
        SettlementError: it cannot be made again.
        SpecError: the stored rules cannot be read.
        LogError: the log cannot be trusted.
        OSError: a file cannot be read.
    """
    path = folder / SETTLEMENT
    if not path.is_file():
        return None
    spec = Spec.from_bytes((folder / SPEC).read_bytes())
    return replay_settlement(path.read_bytes(), spec, read_log(folder / EVENTS))


def audit_episode(folder: Path) -> EpisodeAudit:
    """Recompute an episode's trace and compare it with the stored one, byte for byte."""
    try:
        spec = Spec.from_bytes((folder / SPEC).read_bytes())
        events: Sequence[Event] = read_log(folder / EVENTS)
        stored = (folder / REWARDS).read_bytes()
    except (SpecError, LogError, OSError) as error:
        return EpisodeAudit(episode=folder.name, verdict=Verdict.BROKEN, detail=str(error))
    difference = describe_difference(stored, score(spec, events).to_bytes())
    try:
        difference = difference or _audit_settlement(folder, spec, events)
    except (SettlementError, OSError) as error:
        return EpisodeAudit(episode=folder.name, verdict=Verdict.BROKEN, detail=str(error))
    verdict = Verdict.DIFFERENT if difference else Verdict.EQUAL
    return EpisodeAudit(episode=folder.name, verdict=verdict, detail=difference)


def _audit_settlement(folder: Path, spec: Spec, events: Sequence[Event]) -> str:
    path = folder / SETTLEMENT
    if not path.is_file():
        return ""
    stored = path.read_bytes()
    return describe_difference(stored, replay_settlement(stored, spec, events).to_bytes())


def audit_run(directory: Path) -> AuditReport:
    """Audit every episode of a run, `directory/episodes/*`, or one episode's own folder."""
    if any((directory / name).is_file() for name in (EVENTS, REWARDS)):
        return AuditReport(episodes=(audit_episode(directory),))
    folders = {path.parent for name in (EVENTS, REWARDS) for path in directory.glob(f"episodes/*/{name}")}
    return AuditReport(episodes=tuple(audit_episode(folder) for folder in sorted(folders)))


def describe_difference(
    stored: bytes, computed: bytes, names: tuple[str, str] = ("stored", "recomputed")
) -> str:
    """Say in which entries two traces, of these names, differ; empty when they are the same bytes."""
    if stored == computed:
        return ""
    try:
        old = orjson.loads(stored)
    except orjson.JSONDecodeError as error:
        return f"the {names[0].removeprefix('the ')} trace is not JSON ({error})"
    found = list(_differences("", old, orjson.loads(computed), names))
    return "; ".join(found) if found else "the same trace, but the stored one is not in canonical form"


def _differences(path: str, old: Any, new: Any, names: tuple[str, str]) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            where = f"{path}.{key}" if path else key
            if key not in old:
                yield f"{where}: missing in the {names[0].removeprefix('the ')} trace"
            elif key not in new:
                yield f"{where}: not in the {names[1].removeprefix('the ')} trace"
            else:
                yield from _differences(where, old[key], new[key], names)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(f"{path}[{index}]", one, other, names)
    elif old != new or type(old) is not type(new):
        yield f"{path or 'the trace'}: {names[0]} {old!r}, {names[1]} {new!r}"
