"""From trajectories to what preference methods learn from: pairs, labels, demonstrations."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from milepost.training.batch import Row
from milepost.training.trajectory import Trajectory


class Pairing(StrEnum):
    """Which members of a group are paired."""

    BEST_WORST = "best_worst"
    """The best with the worst: one pair a group."""
    ALL = "all"
    """Every two whose returns differ by more than the margin: with DPO, the ranking loss of a reward model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A trajectory as a preference loss sees it."""

    name: str
    """Names it in messages."""
    rows: tuple[Row, ...]
    """Its turns with an LLM call, at least one; weights and advantages are not used."""
    ret: float
    success: bool = False

    @property
    def tokens(self) -> int:
        """Completion tokens of all turns."""
        return sum(len(row.completion_ids) for row in self.rows)

    @property
    def text(self) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
        """All that makes two samples the same: prompts and completions. Pictures are drawn from the same pages."""
        return tuple((row.prompt_ids, row.completion_ids) for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two trajectories of the same task and seed."""

    chosen: Sample
    rejected: Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One trajectory, and whether it is desirable."""

    sample: Sample
    desirable: bool


def take_sample(trajectory: Trajectory) -> Sample | None:
    """Take what can be learnt from a trajectory; None when it failed or holds no LLM call.

    Raises:
        ValueError: its return is not a number.
    """
    if not trajectory.scored:
        return None
    if not math.isfinite(trajectory.ret):
        raise ValueError(
            f"episode {trajectory.episode_id} has return {trajectory.ret}; expected a number. An episode that "
            "cannot be scored must have a status that says so"
        )
    rows = tuple(
        Row(
            prompt_ids=turn.completion.prompt_ids,
            completion_ids=turn.completion.completion_ids,
            sampler_logps=turn.completion.logps,
            picture=turn.completion.picture,
        )
        for turn in trajectory.turns
        if turn.completion.completion_ids
    )
    if not rows:
        return None
    return Sample(name=trajectory.episode_id, rows=rows, ret=trajectory.ret, success=trajectory.success)


def _group(trajectories: Iterable[Trajectory]) -> list[list[Sample]]:
    groups: dict[str, list[Sample]] = {}
    for trajectory in trajectories:
        sample = take_sample(trajectory)
        members = groups.setdefault(trajectory.group, [])
        if sample is not None:
            members.append(sample)
    return list(groups.values())


def mine_pairs(
    trajectories: Sequence[Trajectory], *, margin: float = 0.0, pairing: Pairing = Pairing.BEST_WORST
) -> tuple[list[Pair], dict[str, float]]:
    """Pair the members of each group by their returns.

    Ties are skipped: a pair is made only when the returns differ by more than `margin`. Of equally good members the
    first in the batch stands for them. Two members that said the same are no pair either, whatever came of it.

    Args:
        trajectories: the batch; members that failed for reasons that are not the policy's take no part.
        margin: smallest difference of returns, not included; 0 or more.
        pairing: which members.

    Returns:
        The pairs, and how many `groups`, `pairs`, and groups without any (`flat_groups`, as a share) there were.

    Raises:
        ValueError: the margin is negative, or a return is not a number.
    """
    if not margin >= 0.0:
        raise ValueError(f"margin is the smallest difference of returns: 0 or more is expected, got {margin}")
    groups = _group(trajectories)
    pairs: list[Pair] = []
    flat = 0
    for members in groups:
        found = [
            Pair(chosen=better, rejected=worse)
            for better, worse in _candidates(members, pairing)
            if better.ret - worse.ret > margin and better.text != worse.text
        ]
        pairs += found
        flat += not found
    facts = {"groups": float(len(groups)), "pairs": float(len(pairs))}
    return pairs, facts | {"flat_groups": flat / max(1, len(groups))}


def _candidates(members: Sequence[Sample], pairing: Pairing) -> list[tuple[Sample, Sample]]:
    if len(members) < 2:
        return []
    if pairing is Pairing.BEST_WORST:
        return [(max(members, key=lambda m: m.ret), min(members, key=lambda m: m.ret))]
    return [(a, b) if a.ret >= b.ret else (b, a) for a, b in combinations(members, 2)]


def mine_labels(trajectories: Sequence[Trajectory]) -> tuple[list[Label], dict[str, float]]:
    """Label each trajectory by whether it reached its goal.

    Returns:
        The labels, and how many `labels` and what share of them `desirable` there were.

    Raises:
        ValueError: a return is not a number.
    """
    samples = [sample for members in _group(trajectories) for sample in members]
    labels = [Label(sample=sample, desirable=sample.success) for sample in samples]
    good = sum(label.desirable for label in labels)
    return labels, {"labels": float(len(labels)), "desirable": good / max(1, len(labels))}


def pick_solved(samples: Sequence[Sample]) -> list[Sample]:
    """Take the samples that reached the goal."""
    return [sample for sample in samples if sample.success]


def pick_best(trajectories: Sequence[Trajectory], *, margin: float = 0.0) -> list[Sample]:
    """Take the best of each group, when its return is above `margin`; the first of those that are equally good."""
    best = [max(members, key=lambda m: m.ret) for members in _group(trajectories) if members]
    return [sample for sample in best if sample.ret > margin]


def pick_rising(samples: Sequence[Sample], *, step: int, steps: int, margin: float = 0.0) -> list[Sample]:
    """Take the samples over the threshold of a pass: (step + 1)/steps of the batch's best return (ReST).

    Args:
        samples: the batch.
        step: the pass, from 0.
        steps: how many passes there are; in the last one only the best are left.
        margin: nothing at or below this return is taken.
    """
    top = max((sample.ret for sample in samples), default=0.0)
    threshold = top * (step + 1) / steps
    return [sample for sample in samples if sample.ret >= threshold and sample.ret > margin]
