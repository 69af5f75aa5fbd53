"""The record of an episode as the learner sees it: token in, token out, rewards still named."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from milepost.agents.agent import Completion


class Status(StrEnum):
    """How an episode ended; only the first two are scored, the others are masked, never reward 0."""

    FINISHED = "finished"
    """The goal was reached, or the agent ended the episode."""
    TRUNCATED = "truncated"
    """The step limit was reached."""
    INFRASTRUCTURE = "infrastructure"
    """Browser, site or harness failed."""
    TIMEOUT = "timeout"
    """A deadline passed."""
    UNSCORED = "unscored"
    """It was played to its end, and no tier could say what it is worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeRequest:
    """An episode to be played."""

    task_id: str
    """The template, such as `ReportExport-v0`."""
    seed: int
    """Seed of the task."""
    split: str
    """`train`, `validation` or `test`."""
    group: str
    """Key of the group: requests of the same task and seed that are compared with one another."""
    member: int
    """Index inside the group."""
    sampling_seed: int
    """Seed of everything the agent draws in this episode."""
    phase: str = "rollout"
    """What the episode is for: `imitation`, `train-0007`, `validation-0010`, `test-start`, `test-end`."""
    max_steps: int | None = None
    """Steps before it is truncated, where that is not the template's own limit."""

    @property
    def episode_id(self) -> str:
        """Name of the episode, unique in a run and fit for a folder's name."""
        return f"{self.phase}-{self.task_id}-{self.seed}-{self.member}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One LLM call and what its action caused."""

    completion: Completion
    """Exact prompt ids, completion ids and the sampler's log-probabilities."""
    action: str
    """Canonical action text, or the raw text when it could not be parsed."""
    error: str
    """The observation error the action caused; empty when it was carried out."""
    rewards: Mapping[str, float]
    """Reward by milestone name for what this action caused; empty when nothing fired."""
    reached: frozenset[str]
    """Milestones reached before the action: the anchor of `milestone_loo`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """The record of one episode by one member of a group."""

    episode_id: str
    task_id: str
    seed: int
    """Seed of the task; all members of a group share it."""
    split: str
    group: str
    """Key of the group: trajectories of the same task and seed."""
    member: int
    """Index inside the group."""
    turns: tuple[Turn, ...]
    status: Status
    success: bool
    """The goal was verified."""
    reward_parts: Mapping[str, float] = field(default_factory=dict)
    """Sum of each milestone's reward over the episode."""
    wall_s: float = 0.0
    """Wall time of the episode in seconds, resets included."""
    failure: str = ""
    """What broke, when status is not a scored one."""
    routes: Mapping[str, str] = field(default_factory=dict)
    """Of what rules left open: milestone or `goal` to the tier that decided it, or `unscored`."""

    @property
    def scored(self) -> bool:
        """Whether the episode has a reward at all; a failure of the harness has none."""
        return self.status in (Status.FINISHED, Status.TRUNCATED)

    @property
    def played(self) -> bool:
        """Whether the episode came to its end, with a score or without."""
        return self.scored or self.status is Status.UNSCORED

    def step_rewards(self) -> list[float]:
        """Sum the named rewards of each turn, shape (turns,)."""
        return [float(sum(turn.rewards.values())) for turn in self.turns]

    @property
    def ret(self) -> float:
        """Undiscounted return: the sum of all rewards."""
        return float(sum(self.step_rewards()))
