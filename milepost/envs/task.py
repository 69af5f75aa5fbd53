"""Tasks: what to do, where it starts, which milestones pay, and how its own oracle solves it.

A *template* builds tasks from a seed: `build(rng, split)` draws the data, the labels, the layout and the
wording of the goal. Seeds of different splits never give the same task, and each split has wordings of its
own, so success on `test` says something about tasks no policy was trained on.
"""

import difflib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np

from milepost.milestones import Spec
from milepost.milestones.judge.rubric import Rubric
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site
from milepost.sandbox.storage import StorageState

_T = TypeVar("_T")


class Split(StrEnum):
    """Which part of a template's task space a task comes from."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


Oracle = Callable[[Observation], Action]
"""A task's own solution: the right next action in any state on the way. Pure, so it can label any state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One concrete task, as drawn from a template by a seed."""

    goal: str
    """What the agent is asked, in words."""
    params: Mapping[str, Any]
    """The drawn parameters (JSON values), for records and viewers; never shown to the agent."""
    start_url: str
    """Where the episode's first tab opens."""
    sites: Mapping[str, Site]
    """The episode's web: host name to the site that answers there. Everything else is closed."""
    spec: Spec
    """The milestones and the goal."""
    oracle: Oracle
    """The task's own solution."""
    alternatives: Mapping[str, Oracle] = field(default_factory=dict)
    """Other ways to do the task that must earn full reward too, by name; each is certified like the oracle."""
    live: tuple[str, ...] = ()
    """Hosts of the real network that are open all the same, such as `example.com` or `*.example.com`."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Files in the workspace at the start, by relative path."""
    storage: StorageState | None = None
    """Cookies and local storage at the start."""
    rubric: Rubric | None = None
    """What a judge may be asked about the questions that the rules leave open; None where they leave none."""
    truth: tuple[str, ...] = ()
    """What the task knows to be right, for the judge alone: one sentence each."""
    referee: str = ""
    """For a start page that draws its own task: the expression it is asked, see `sandbox.referee`.

    Its answer replaces `goal` in what the agent sees and in the log.
    """
    again: str = ""
    """For such a page, if it can begin this task in the document of another: the expression that makes it."""

    def find_oracle(self, policy: str) -> Oracle:
        """Give the task's own solution for `oracle`, another way to do it for `alternative:NAME`.

        Raises:
            ValueError: no such alternative; the message names the nearest one.
        """
        kind, _, name = policy.partition(":")
        if kind != "alternative":
            return self.oracle
        if name not in self.alternatives:
            near = difflib.get_close_matches(name, self.alternatives, n=1, cutoff=0.4)
            known = ", ".join(map(repr, sorted(self.alternatives))) or "none"
            hint = f"did you mean {near[0]!r}?" if near else f"it has {known}"
            raise ValueError(f"the task has no alternative {name!r}; {hint}")
        return self.alternatives[name]


Builder = Callable[[np.random.Generator, Split], Task]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difficulty:
    """How hard a template's tasks are made."""

    distractors: int
    """How many things resemble the wanted one."""
    depth: int
    """How much lies between the start and the wanted thing, from 0: pages of a table, folders, panels."""
    hint: bool
    """Whether the goal also says where to look."""


LEVELS: Mapping[str, Difficulty] = {
    "easy": Difficulty(distractors=2, depth=0, hint=True),
    "normal": Difficulty(distractors=4, depth=1, hint=True),
    "hard": Difficulty(distractors=7, depth=2, hint=False),
}
"""The levels that graded templates come in; `normal` is the one that an id without a level means."""

GradedBuilder = Callable[[np.random.Generator, Split, Difficulty], Task]


def grade(build: GradedBuilder) -> Mapping[str, Builder]:
    """Make a template's builder for every level out of one that takes the difficulty."""

    def at(difficulty: Difficulty) -> Builder:
        return lambda rng, split: build(rng, split, difficulty)

    return {name: at(difficulty) for name, difficulty in LEVELS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A family of tasks under one id."""

    id: str
    """Such as `ReportExport-v0`; the Gymnasium id is `milepost/` and this."""
    family: str
    """One of the six families: `navigation, form, file, email, settings, search`; or `miniwob`."""
    summary: str
    """One line about what the agent does."""
    max_steps: int
    """Steps before the episode is truncated."""
    build: Builder
    frames: bool = True
    """Whether its pages wait for frames: `requestAnimationFrame`, observers of sizes or intersections, transitions.

    Without them text environments have pages that are never drawn, which are a third cheaper to step.
    """
    tidy: bool = False
    """Whether its pages leave nothing in the browser but cookies, storage and caches: no window name, no session storage,
    no worker. Then an episode may begin in the browser context of another, emptied, which takes a third of the CPU time.
    """
    viewport: tuple[int, int] = (1024, 768)
    """Width and height in CSS pixels for which the pages are made."""
    levels: Mapping[str, Builder] = field(default_factory=dict)
    """Builders by level of difficulty, see `grade`; empty for a template that has one difficulty only."""
    waivers: Mapping[str, str] = field(default_factory=dict)
    """What the certificate may find and why it is right all the same: the finding's beginning, and the reason."""

    def at(self, level: str) -> "Template":
        """Give the template at a level of difficulty; its id then ends with the level: `TableLookup-v0@hard`.

        Raises:
            UnknownTaskError: the template has no such level.
        """
        if level not in self.levels:
            known = ", ".join(self.levels) or "none, its tasks have one difficulty"
            raise UnknownTaskError(f"{self.id} has no level {level!r}; its levels: {known}")
        return replace(self, id=f"{self.id}@{level}", build=self.levels[level])

    def task(self, seed: int, split: Split = Split.TRAIN) -> Task:
        """Draw the task of a seed: the same seed and split give the same task, always.

        Raises:
            ValueError: a negative seed.
        """
        if seed < 0:
            raise ValueError(f"a task seed is a non-negative integer, got {seed}")
        entropy = [zlib.crc32(self.id.encode()), list(Split).index(split), seed]
        return self.build(np.random.default_rng(np.random.SeedSequence(entropy)), split)


class UnknownTaskError(KeyError):
    """No template has this id; the message names the nearest ones."""

    def __str__(self) -> str:
        return str(self.args[0])


class NoOracleError(ValueError):
    """A task was asked for its solution and has none."""


def choose(rng: np.random.Generator, options: Sequence[_T]) -> _T:
    """Draw one of the options, keeping its type (numpy's `choice` would turn it into an array scalar)."""
    return options[int(rng.integers(len(options)))]
