"""Preferences between recorded episodes: `pairs.jsonl`, one pair a line, references into a run and no copies.

A pair is `{id, template, prompt, chosen, rejected, margin, source}`; a side is `{episode, end, goal}`: the
episode's folder, how many of its turns count, and the goal it is judged under.
"""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from milepost.milestones.learned.transition import Transition, change_goal, make_transitions
from milepost.sandbox.log import LogError, read_log
from milepost.training.records import EPISODE_FILE, EPISODES_FOLDER, TURNS_FILE, list_episodes
from milepost.training.reward_model.collection import PREFIX
from milepost.training.reward_model.corruption import HACKS, Play

PAIRS_FILE = "pairs.jsonl"

LEAST_DIFFERENCE = 0.1
"""Difference of returns below which two episodes are not compared."""

SPOILT = 0.8
"""Most that an episode is worth that did not reach its goal, for it has done what nobody asked for."""

OTHER_GOALS = 2
"""Goals of other seeds under which a solved episode is judged as rejected."""


class PreferenceError(ValueError):
    """Preferences that nothing can be learned from; says what is wrong and how to mend it."""


class Label(StrEnum):
    """Where a preference comes from."""

    MILESTONES = "milestones"
    """Rules paid one episode of a task and seed more than the other."""
    CORRUPTION = "corruption"
    """The solution against the solution with a mistake."""
    TRUNCATION = "truncation"
    """The solution against its own beginning."""
    GOAL = "goal"
    """The solution against itself under another goal."""
    HACK = "hack"
    """An honest episode, even an unsuccessful one, against an attempt to be paid for nothing."""
    HUMAN = "human"
    JUDGE = "judge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """An episode as one side of a preference."""

    episode: str
    """Name of its folder."""
    end: int
    """How many of its turns count."""
    goal: str
    """The goal under which it is judged."""
    success: bool
    """Whether it reached that goal."""

    @property
    def is_hack(self) -> bool:
        """Whether it was played to be paid for nothing."""
        return any(self.episode.startswith(f"{PREFIX}{play.value}-") for play in HACKS)

    @property
    def is_demonstration(self) -> bool:
        """Whether it is a task's own solution that reached the goal."""
        return self.success and self.episode.startswith(f"{PREFIX}{Play.ORACLE.value}-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One side is preferred to the other."""

    id: str
    template: str
    prompt: str
    """Pairs of one prompt share their episodes and are one batch element."""
    chosen: Side
    rejected: Side
    margin: float
    """How much better, in [0, 1]."""
    source: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """What pairs are made from: an episode's summary."""

    name: str
    """Of its folder."""
    template: str
    prompt: str
    goal: str
    play: str
    ret: float
    success: bool
    turns: int

    @property
    def worth(self) -> float:
        """Its return; one that did all and more than was asked, and so failed, is worth less than a solution."""
        return self.ret if self.success else min(self.ret, SPOILT)

    def side(self, **changes: Any) -> Side:
        """Give it as a side, whole and under its own goal unless told otherwise."""
        about = {"episode": self.name, "end": self.turns, "goal": self.goal, "success": self.success}
        return Side(**{**about, **changes})


def export_pairs(run: Path) -> list[Pair]:
    """Make the preferences that a run's recorded episodes imply.

    Raises:
        PreferenceError: the run has no episodes, or none of them differ.
    """
    episodes = [read_summary(folder) for folder in list_episodes(run / EPISODES_FOLDER)]
    if not episodes:
        raise PreferenceError(
            f"{run} has no recorded episodes; play some with: milepost preferences collect, "
            "or train with rollout.record_every"
        )
    pairs: dict[tuple[Side, Side], Pair] = {}
    goals = _list_goals(episodes)
    for prompt, group in itertools.groupby(sorted(episodes, key=lambda e: e.prompt), key=lambda e: e.prompt):
        members = list(group)
        for chosen, rejected, margin, source in (*_compare(members), *_change_goals(members, goals)):
            pairs.setdefault(
                (chosen, rejected),
                Pair(
                    id=f"{prompt}#{len(pairs)}",
                    template=members[0].template,
                    prompt=prompt,
                    chosen=chosen,
                    rejected=rejected,
                    margin=margin,
                    source=source,
                ),
            )
    found = list(pairs.values())
    check_pairs(found)
    return found


_Found = tuple[Side, Side, float, Label]


def _compare(members: Sequence[Episode]) -> Iterable[_Found]:
    for one, other in itertools.permutations(members, 2):
        gap = one.worth - other.worth
        hack = other.play in HACKS and one.play not in HACKS and not other.success
        if gap >= LEAST_DIFFERENCE:
            source = Label.HACK if hack else Label.MILESTONES
            if one.play == Play.ORACLE and other.play in (Play.WRONG_VALUE, Play.WRONG_TARGET):
                source = Label.CORRUPTION
            elif one.play == Play.ORACLE and other.play == Play.STOPPED:
                source = Label.TRUNCATION
            yield one.side(), other.side(), min(1.0, gap), source
        elif hack and gap >= 0 and one.play in (Play.STOPPED, Play.WRONG_VALUE) and one.turns > 1:
            yield one.side(), other.side(), 0.0, Label.HACK


def _change_goals(members: Sequence[Episode], goals: dict[str, list[str]]) -> Iterable[_Found]:
    for one in members:
        if not one.success or one.play not in (Play.ORACLE, ""):
            continue
        known = goals[one.template]
        start = known.index(one.goal)
        others = [known[(start + k) % len(known)] for k in range(1, min(OTHER_GOALS + 1, len(known)))]
        for goal in others:
            yield one.side(), one.side(goal=goal, success=False), 1.0, Label.GOAL
        if one.play and one.turns > 1:
            yield one.side(), one.side(end=one.turns - 1, success=False), 0.5, Label.TRUNCATION


def _list_goals(episodes: Iterable[Episode]) -> dict[str, list[str]]:
    goals: dict[str, dict[str, None]] = {}
    for episode in episodes:
        goals.setdefault(episode.template, {})[episode.goal] = None
    return {template: list(found) for template, found in goals.items()}


def read_summary(folder: Path) -> Episode:
    """Read what an episode's folder says of it."""
    about = orjson.loads((folder / EPISODE_FILE).read_bytes())
    phase: str = about["phase"]
    return Episode(
        name=folder.name,
        template=about["task_id"],
        prompt=f"{about['task_id']}:{about['split']}:{about['seed']}",
        goal=about["goal"],
        play=phase.removeprefix(PREFIX) if phase.startswith(PREFIX) else "",
        ret=float(about["ret"]),
        success=about["success"],
        turns=(folder / TURNS_FILE).read_bytes().count(b"\n"),
    )


def read_side(run: Path, side: Side) -> tuple[Transition, ...]:
    """Read the transitions of one side.

    Raises:
        PreferenceError: the episode is not there or cannot be read.
    """
    folder = run / EPISODES_FOLDER / side.episode
    try:
        lines = [orjson.loads(line) for line in (folder / TURNS_FILE).read_bytes().splitlines()]
        events = read_log(folder / "events.jsonl")
    except (OSError, LogError, orjson.JSONDecodeError) as broken:
        raise PreferenceError(f"the episode {side.episode} cannot be read: {broken}") from None
    transitions = make_transitions(side.goal, lines[: side.end], events)
    return tuple(change_goal(transitions, side.goal))


def write_pairs(pairs: Iterable[Pair], path: Path) -> None:
    """Write one pair a line."""
    path.write_bytes(b"".join(orjson.dumps(asdict(pair)) + b"\n" for pair in pairs))


def read_pairs(path: Path) -> list[Pair]:
    """Read pairs and check them.

    Raises:
        PreferenceError: the file cannot be read, or nothing can be learned from it.
    """
    pairs: list[Pair] = []
    try:
        for line in path.read_bytes().splitlines():
            data = orjson.loads(line)
            sides: dict[str, Any] = {name: Side(**data[name]) for name in ("chosen", "rejected")}
            pairs.append(Pair(**{**data, **sides, "source": Label(data["source"])}))
    except (OSError, KeyError, TypeError, ValueError) as broken:
        raise PreferenceError(f"{path}, pair {len(pairs) + 1}: {broken}") from None
    check_pairs(pairs)
    return pairs


def check_pairs(pairs: Sequence[Pair]) -> None:
    """Refuse preferences from which nothing can be learned.

    Raises:
        PreferenceError: there are none, a pair is there twice or both ways, or all prefer the same episode.
    """
    if not pairs:
        raise PreferenceError("there are no preferences: no two episodes of a task and seed differ")
    seen: set[tuple[Side, Side]] = set()
    for pair in pairs:
        if pair.chosen == pair.rejected:
            raise PreferenceError(f"pair {pair.id} prefers an episode to itself")
        if (pair.chosen, pair.rejected) in seen:
            raise PreferenceError(f"pair {pair.id} is there twice; remove one")
        if (pair.rejected, pair.chosen) in seen:
            raise PreferenceError(f"pair {pair.id} contradicts another one; settle it, or leave both out")
        seen.add((pair.chosen, pair.rejected))
    if len({pair.chosen.episode for pair in pairs}) < 2:
        raise PreferenceError("the preferences are one-sided: all prefer the same episode")


_VARIANT = re.compile(
    r"(-v\d+|-\d+|-nodelay|-large|-transfer|-easy|-medium|-hard|-popup|-dynamic|-soft|-grid|-auto)+$"
)
_SAME: Mapping[str, str] = {
    "email-inbox": "email-inbox",
    "social-media": "social-media",
    "multi-": "multi-layouts",
    "drag-single-shape": "drag-circle",
}
"""Pages that are variants though their names do not say so, by how they begin."""


def split_key(template: str) -> str:
    """Name what templates share that may not stand in both parts of a split: `click-test-2` is a `click-test`."""
    name = _VARIANT.sub("", template.removeprefix("miniwob."))
    return next((key for start, key in _SAME.items() if name.startswith(start)), name)


def check_split(train: Iterable[Pair], held_out: Iterable[Pair]) -> None:
    """Refuse a split that leaks.

    Raises:
        PreferenceError: names the templates that are in both parts.
    """
    shared = {split_key(p.template) for p in train} & {split_key(p.template) for p in held_out}
    if shared:
        raise PreferenceError(
            f"{', '.join(sorted(shared))} in both parts: split by template, never by episode"
        )
