"""Recomputes rewards from what is on disk and says, byte for byte, whether they are what was paid."""

from dataclasses import dataclass
from pathlib import Path

from milepost.milestones.operators import SpecError
from milepost.milestones.predicates import And, Count, Not, Or, Predicate, Then, When, matches_event
from milepost.milestones.progress import fold
from milepost.milestones.reward import RewardTrace, describe_difference, score, unscored
from milepost.milestones.spec import Spec
from milepost.sandbox.events import Event
from milepost.sandbox.log import LogError, read_log

EVENTS, SPEC, REWARDS = "events.jsonl", "spec.json", "rewards.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeAudit:
    """What became of one episode's check."""

    episode: str
    verdict: str
    """`equal`, `different`, or `broken` (the log or the rules cannot be read)."""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What became of a run's check."""

    episodes: tuple[EpisodeAudit, ...]

    def count(self, verdict: str) -> int:
        """How many episodes got a verdict."""
        return sum(episode.verdict == verdict for episode in self.episodes)

    @property
    def clean(self) -> bool:
        """Whether there are episodes and every one recomputes to the same bytes."""
        return bool(self.episodes) and self.count("equal") == len(self.episodes)

    def as_dict(self) -> dict[str, object]:
        """Give the report as plain data."""
        return {
            "episodes": len(self.episodes),
            "equal": self.count("equal"),
            "different": self.count("different"),
            "broken": self.count("broken"),
            "findings": [
                {"episode": e.episode, "verdict": e.verdict, "detail": e.detail}
                for e in self.episodes
                if e.verdict != "equal"
            ],
        }

    def describe(self) -> str:
        """Give the report as text."""
        if not self.episodes:
            return f"no recorded episodes here; expected folders with {EVENTS}, {SPEC} and {REWARDS}"
        lines = [
            f"{len(self.episodes)} episodes: {self.count('equal')} equal byte for byte, "
            f"{self.count('different')} different, {self.count('broken')} broken"
        ]
        lines += [f"{e.verdict}: {e.episode}: {e.detail}" for e in self.episodes if e.verdict != "equal"]
        return "\n".join(lines)


def replay(folder: Path) -> RewardTrace:
    """Recompute an episode's verdict; a log that cannot be trusted is unscored.

    Raises:
        SpecError: the stored rules cannot be read.
        OSError: a file is missing.
    """
    spec = Spec.from_bytes((folder / SPEC).read_bytes())
    try:
        return score(spec, read_log(folder / EVENTS))
    except LogError as error:
        return unscored(spec.digest, str(error))


def audit_episode(folder: Path) -> EpisodeAudit:
    """Recompute an episode's verdict and compare it with the stored one."""
    try:
        trace = replay(folder)
        stored = (folder / REWARDS).read_bytes()
    except (SpecError, OSError) as error:
        return EpisodeAudit(episode=folder.name, verdict="broken", detail=str(error))
    if trace.reason:
        return EpisodeAudit(episode=folder.name, verdict="broken", detail=trace.reason)
    difference = describe_difference(stored, trace.to_bytes())
    verdict = "different" if difference else "equal"
    return EpisodeAudit(episode=folder.name, verdict=verdict, detail=difference)


def audit_run(directory: Path) -> AuditReport:
    """Check every recorded episode of a run directory, or one episode's own folder."""
    if (directory / EVENTS).is_file():
        return AuditReport(episodes=(audit_episode(directory),))
    folders = sorted(path.parent for path in (directory / "episodes").glob(f"*/{EVENTS}"))
    return AuditReport(episodes=tuple(audit_episode(folder) for folder in folders))


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a milestone fired or did not."""

    milestone: str
    fired: bool
    evidence: tuple[Event, ...] = ()
    """The events that made it fire."""
    waiting_for: tuple[str, ...] = ()
    """Milestones that had to come first and did not."""
    missing: tuple[str, ...] = ()
    """Parts of its predicate that no event satisfied, as rules text."""
    blocked: tuple[Event, ...] = ()
    """Events that matched a part while it was still waiting for others."""


def explain(spec: Spec, events: list[Event]) -> tuple[Explanation, ...]:
    """Say for each milestone which events fired it, or what was missing or came too early."""
    progress, hits = fold(spec, events)
    fired = {hit.name: hit for hit in hits}
    by_seq = {event.seq: event for event in events}
    result: list[Explanation] = []
    for index, rule in enumerate(spec.milestones):
        if rule.name in fired:
            evidence = tuple(by_seq[seq] for seq in fired[rule.name].evidence)
            result.append(Explanation(milestone=rule.name, fired=True, evidence=evidence))
            continue
        leaves = _leaves(rule.when)
        seen = {seq for seqs in progress.memory[index] for seq in seqs}
        result.append(
            Explanation(
                milestone=rule.name,
                fired=False,
                waiting_for=tuple(name for name in rule.after if name not in progress.reached),
                missing=tuple(
                    describe(leaf)
                    for leaf, seqs in zip(leaves, progress.memory[index], strict=True)
                    if not seqs
                ),
                blocked=tuple(
                    event
                    for event in events
                    if event.seq not in seen and any(matches_event(leaf, event) for leaf in leaves)
                ),
            )
        )
    return tuple(result)


def describe(leaf: When) -> str:
    """Write a `when` as a reader would."""
    tests = ", ".join(f"{name}={test!r}" for name, test in leaf.tests)
    return f"{leaf.kind}({tests})"


def _leaves(predicate: Predicate) -> tuple[When, ...]:
    match predicate:
        case When():
            return (predicate,)
        case And() | Or():
            return tuple(leaf for part in predicate.parts for leaf in _leaves(part))
        case Not() | Count():
            return _leaves(predicate.part)
        case Then():
            return _leaves(predicate.first) + _leaves(predicate.later)
