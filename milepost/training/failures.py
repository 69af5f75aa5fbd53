"""Failures of the harness: counted, shown, and never trained on."""

from collections import Counter
from collections.abc import Sequence

from milepost.training.trajectory import Trajectory

_SHOWN = 8


class FailureBudgetError(RuntimeError):
    """Too many episodes were lost to failures of the harness; the message lists them."""


def check_failures(trajectories: Sequence[Trajectory], *, budget: float) -> None:
    """Check how many episodes of a batch have no score.

    Args:
        trajectories: the batch.
        budget: largest fraction without a score.

    Raises:
        FailureBudgetError: there are more.
    """
    lost = [trajectory for trajectory in trajectories if not trajectory.scored]
    if len(lost) <= budget * len(trajectories):
        return
    raise FailureBudgetError(
        f"{len(lost)} of {len(trajectories)} episodes failed for reasons that are not the policy's "
        f"(at most {budget:.0%} may):\n{describe_failures(lost)}\n"
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
