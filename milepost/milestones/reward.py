"""From fired milestones to a step's reward: the modes, and the weighted five-component preset."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import orjson

from milepost.milestones.operators import SpecError
from milepost.milestones.progress import Hit, Progress, fold
from milepost.milestones.spec import COMPONENTS, Spec
from milepost.sandbox.events import GENESIS, Event, canonical


class RewardMode(enum.StrEnum):
    """How fired milestones become reward."""

    MILESTONES = "milestones"
    """As the task's author wrote them."""
    NORMALIZED = "normalized"
    """Scaled so that a task's milestones sum to 1."""
    OUTCOME = "outcome"
    """1 when the goal is reached, nothing before."""


def step_reward(
    spec: Spec, before: Progress, after: Progress, hits: Sequence[Hit], mode: RewardMode
) -> Mapping[str, Fraction]:
    """Give a step's rewards by milestone name, exact; empty when nothing was paid."""
    if mode is RewardMode.OUTCOME:
        reached = after.goal_reached and not before.goal_reached
        return {"goal": Fraction(1)} if reached else {}
    scale = Fraction(1) / spec.total if mode is RewardMode.NORMALIZED else Fraction(1)
    return {hit.name: hit.reward * scale for hit in hits}


SEED_EXAMPLE: Mapping[str, Fraction] = {
    "nav": Fraction("0.1"),
    "ui": Fraction("0.2"),
    "form": Fraction("0.2"),
    "file": Fraction("0.3"),
    "goal": Fraction("0.2"),
}
"""The published example of component weights. Its goal weighs less than its file: see `check_weights`."""

DEFAULT_WEIGHTS: Mapping[str, Fraction] = {**SEED_EXAMPLE, "file": Fraction("0.2"), "goal": Fraction("0.3")}
"""The example with file and goal exchanged, so that goal >= file >= ui holds."""


def check_weights(weights: Mapping[str, Fraction], *, ordered: bool = True) -> None:
    """Check component weights: none negative, sum 1, and (on request) goal >= file >= ui.

    Raises:
        SpecError: names what is wrong and the values.
    """
    if set(weights) != set(COMPONENTS):
        raise SpecError(f"weights are needed for {', '.join(COMPONENTS)}; got {', '.join(sorted(weights))}")
    shown = ", ".join(f"{name} {float(weights[name]):g}" for name in COMPONENTS)
    if any(weight < 0 for weight in weights.values()):
        raise SpecError(f"weights must not be negative; got {shown}")
    if sum(weights.values()) != 1:
        raise SpecError(f"weights must sum to 1, got {float(sum(weights.values())):g}: {shown}")
    if ordered and not weights["goal"] >= weights["file"] >= weights["ui"]:
        raise SpecError(f"expected goal >= file >= ui, got {shown}; pass ordered=False to allow it")


class TraceStatus(enum.StrEnum):
    """Whether a log could be judged at all."""

    SCORED = "scored"
    UNSCORED = "unscored"
    """The log is broken: there is no reward, which is not reward 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardTrace:
    """The verdict on an episode's log: recomputing it from the same log gives the same bytes."""

    spec_digest: str
    log_head: str
    """Hash of the log's last event, which stands for the whole log."""
    status: TraceStatus
    hits: tuple[Hit, ...] = ()
    goal_reached: bool = False
    veto: str = ""
    broken: int = -1
    """Seq of the first change outside the goal's frame, or -1."""
    reason: str = ""
    """Why there is no score."""

    @property
    def total(self) -> Fraction | None:
        """The sum of what was paid; None when the log could not be judged."""
        if self.status is TraceStatus.UNSCORED:
            return None
        return sum((hit.reward for hit in self.hits), Fraction(0))

    def to_bytes(self) -> bytes:
        """Give the canonical JSON of the verdict."""
        return canonical(
            {
                "spec": self.spec_digest,
                "log": self.log_head,
                "status": self.status.value,
                "total": None if self.total is None else str(self.total),
                "goal_reached": self.goal_reached,
                "veto": self.veto,
                "broken": self.broken,
                "reason": self.reason,
                "hits": [
                    {
                        "name": hit.name,
                        "reward": str(hit.reward),
                        "component": hit.component,
                        "seq": hit.seq,
                        "step": hit.step,
                        "evidence": list(hit.evidence),
                    }
                    for hit in self.hits
                ],
            }
        )


def score(spec: Spec, events: Sequence[Event]) -> RewardTrace:
    """Judge a whole log. Total, pure and exact."""
    progress, hits = fold(spec, events)
    return RewardTrace(
        spec_digest=spec.digest,
        log_head=events[-1].hash if events else GENESIS,
        status=TraceStatus.SCORED,
        hits=hits,
        goal_reached=progress.goal_reached,
        veto=progress.veto,
        broken=progress.broken,
    )


def unscored(spec_digest: str, reason: str) -> RewardTrace:
    """Give the verdict on a log that cannot be judged."""
    return RewardTrace(spec_digest=spec_digest, log_head="", status=TraceStatus.UNSCORED, reason=reason)


def describe_difference(stored: bytes, computed: bytes) -> str:
    """Say in which entries two verdicts differ; empty when they are byte-equal."""
    if stored == computed:
        return ""
    try:
        old, new = orjson.loads(stored), orjson.loads(computed)
    except orjson.JSONDecodeError:
        return "the stored verdict is not JSON"
    if not isinstance(old, dict):
        return "the stored verdict is not a JSON object"
    keys = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    if not keys:
        return "the same verdict, but not in canonical form"
    return "; ".join(f"{key}: stored {old.get(key)!r}, recomputed {new.get(key)!r}" for key in keys)
