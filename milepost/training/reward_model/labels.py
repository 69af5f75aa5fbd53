"""What people say of two episodes: `labels.jsonl`, append-only, one verdict a line.

A line is `{comparison, template, prompt, first, second, annotator, choice, left}`. `first` and `second` are sides as in
`pairs.jsonl`; which of them stood on the left was drawn for each annotator and is noted. The last line of an
annotator about a comparison counts; `undone` takes it back.
"""

import fcntl
import hashlib
import itertools
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import orjson

from milepost.training.records import EPISODES_FOLDER, list_episodes
from milepost.training.reward_model.pairs import (
    Label,
    Pair,
    PreferenceError,
    Side,
    read_summary,
)

LABELS_FILE = "labels.jsonl"


class Choice(StrEnum):
    """What an annotator said."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"
    SKIP = "skip"
    UNDONE = "undone"
    """The verdict before this line is taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two episodes of one task and seed that people may compare."""

    id: str
    template: str
    prompt: str
    first: Side
    second: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one annotator said of one comparison."""

    comparison: Comparison
    annotator: str
    choice: Choice
    left: Choice
    """Which of `first` and `second` stood on the left."""


def draw_comparisons(run: Path, *, seed: int, limit: int | None = None) -> list[Comparison]:
    """Draw pairs of episodes of the same task and seed, in an order that depends on the seed alone.

    Raises:
        PreferenceError: no task and seed has two episodes.
    """
    groups = defaultdict(list)
    for folder in list_episodes(run / EPISODES_FOLDER):
        episode = read_summary(folder)
        if episode.turns:
            groups[episode.prompt].append(episode)
    found = [
        Comparison(
            # A hash, for the names of episodes say how they were played.
            id=hashlib.sha256(f"{one.name}|{other.name}".encode()).hexdigest()[:16],
            template=one.template,
            prompt=prompt,
            first=one.side(),
            second=other.side(),
        )
        for prompt, members in sorted(groups.items())
        for one, other in itertools.combinations(sorted(members, key=lambda e: e.name), 2)
    ]
    if not found:
        raise PreferenceError(f"{run} has no two episodes of one task and seed; there is nothing to compare")
    order = np.random.default_rng(seed).permutation(len(found))
    return [found[k] for k in order[:limit]]


def append_verdict(verdict: Verdict, path: Path) -> None:
    """Append one line, whole or not at all: one write to the end of the file, under a lock, synced."""
    about = verdict.comparison
    line = orjson.dumps(
        {
            "comparison": about.id,
            "template": about.template,
            "prompt": about.prompt,
            "first": asdict(about.first),
            "second": asdict(about.second),
            "annotator": verdict.annotator,
            "choice": verdict.choice.value,
            "left": verdict.left.value,
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(line + b"\n")
        os.fsync(file.fileno())


def read_verdicts(path: Path) -> list[Verdict]:
    """Read what counts: the last verdict of each annotator about each comparison, unless it was taken back.

    Raises:
        PreferenceError: the file cannot be read; names the line.
    """
    standing: dict[tuple[str, str], Verdict] = {}
    read = 0
    try:
        for line in path.read_bytes().splitlines():
            read += 1
            data = orjson.loads(line)
            about = Comparison(
                id=data["comparison"],
                template=data["template"],
                prompt=data["prompt"],
                first=Side(**data["first"]),
                second=Side(**data["second"]),
            )
            verdict = Verdict(
                comparison=about,
                annotator=data["annotator"],
                choice=Choice(data["choice"]),
                left=Choice(data["left"]),
            )
            # Taken out first, so that the order is that of the last word on each.
            standing.pop((verdict.annotator, about.id), None)
            if verdict.choice is not Choice.UNDONE:
                standing[verdict.annotator, about.id] = verdict
    except (OSError, KeyError, TypeError, ValueError) as broken:
        raise PreferenceError(f"{path}, line {read}: {broken}") from None
    return list(standing.values())


def settle_pairs(verdicts: Iterable[Verdict]) -> list[Pair]:
    """Make a preference of each comparison on which more annotators prefer one side than the other.

    The margin is the majority's lead over all who gave a verdict, ties included.
    """
    groups: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        groups[verdict.comparison.id].append(verdict)
    pairs = []
    for said in groups.values():
        counts = Counter(verdict.choice for verdict in said)
        lead = counts[Choice.FIRST] - counts[Choice.SECOND]
        about = said[0].comparison
        if lead:
            sides = (about.first, about.second) if lead > 0 else (about.second, about.first)
            pairs.append(
                Pair(
                    id=f"human:{about.id}",
                    template=about.template,
                    prompt=about.prompt,
                    chosen=sides[0],
                    rejected=sides[1],
                    margin=abs(lead) / (len(said) - counts[Choice.SKIP]),
                    source=Label.HUMAN,
                )
            )
    return pairs


def join_pairs(pairs: Sequence[Pair], said: Sequence[Pair]) -> list[Pair]:
    """Add what people said; where they and the rules compared the same two sides, people's word stands."""
    settled = {frozenset((pair.chosen, pair.rejected)) for pair in said}
    kept = [pair for pair in pairs if frozenset((pair.chosen, pair.rejected)) not in settled]
    return [*kept, *said]
