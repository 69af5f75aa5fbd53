"""Failures of the harness: counted, shown, and never trained on."""

from collections import Counter
from collections.abc import Sequence

from milepost.training.trajectory import Trajectory

_SHOWN = 8


class FailureBudgetError(RuntimeError):
    """Too many episodes were lost to failures of the harness; the message lists them."""


class FailureBudget:
    """Watches how many of a phase's episodes have no score."""

    def __init__(self, planned: int, share: float) -> None:
        """Allow a share of the episodes that are planned to be lost."""
        self._planned = planned
        self._share = share
        self._lost: list[Trajectory] = []

    def note(self, trajectory: Trajectory) -> None:
        """Take in an episode that came to its end.

        Raises:
            FailureBudgetError: too many are lost, whatever becomes of the others.
        """
        if trajectory.scored:
            return
        self._lost.append(trajectory)
        if len(self._lost) > self._share * self._planned:
            raise FailureBudgetError(
                f"{len(self._lost)} of {self._planned} episodes failed for reasons that are not the policy's "
                f"(at most {self._share:.0%} may):\n{describe_failures(self._lost)}\n"
                "Check this machine with `milepost doctor`; fewer rollout.contexts need less memory"
            )


def describe_failures(lost: Sequence[Trajectory]) -> str:
    """Lay failures out as a table: how often, what kind, which task, what broke."""
    counts = Counter(
        (t.status.value, t.task_id, t.failure.splitlines()[0] if t.failure else "") for t in lost
    )
    lines = [
        f"  {count:4d} x {status:<14} {task_id:<20} {failure[:160]}"
        for (status, task_id, failure), count in counts.most_common(_SHOWN)
    ]
    if len(counts) > _SHOWN:
        lines.append(f"  and {len(counts) - _SHOWN} other kinds")
    return "\n".join(lines)
