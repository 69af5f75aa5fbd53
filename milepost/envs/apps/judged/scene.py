"""What the judged tasks share: where their rubrics are, and the shape of their rules."""

from pathlib import Path

from milepost.milestones import Goal, Milestone, Predicate, Spec, judged, milestone
from milepost.milestones.judge.rubric import Rubric, read_rubric
from milepost.milestones.milestone import Forbid

SETTLED = "settled"
"""Name of the milestone that no rule pays."""


def load_rubric(name: str) -> Rubric:
    """Read a task's rubric, which lies beside its module."""
    return read_rubric(Path(__file__).parent / f"{name}.toml")


def make_rules(
    *seen: Milestone,
    done: Predicate,
    question: str,
    frame: tuple[Predicate, ...] = (),
    forbidden: tuple[Forbid, ...] = (),
) -> Spec:
    """Make rules of which a judge has the last word.

    Args:
        seen: the milestones that rules pay; the last of them is the one that `done` completes.
        done: all that rules see of the goal. The episode ends when it holds.
        question: what is left to ask, in a sentence.
        frame: what else may have changed.
        forbidden: what must not happen.
    """
    asked = judged(question)
    return Spec(
        milestones=(
            *seen,
            milestone(SETTLED, reward="0.5", component="goal", when=done & asked),
        ),
        forbidden=forbidden,
        goal=Goal(when=done & asked, frame=frame),
    )
