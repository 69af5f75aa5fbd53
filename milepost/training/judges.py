"""Puts labelled cases to judges: how often they are right, by how they agree, and from which confidence on to believe them."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from milepost.envs.apps.judged.labels import Label
from milepost.envs.registry import get_template
from milepost.envs.task import Split
from milepost.milestones.calibration import find_threshold, measure_calibration
from milepost.milestones.judge.confidence import Agreement, Confidence, name_agreement
from milepost.milestones.judge.panel import Panel
from milepost.milestones.judge.question import Finding
from milepost.milestones.router import Standing
from milepost.training.config import RewardSection
from milepost.training.verifiers import make_panel, open_http


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What judges made of a labelled case."""

    task: str
    standing: Standing
    right: bool = False
    """Whether the value is on the right side of success; means nothing unless scored."""
    agreement: Agreement | None = None
    same: bool = True
    """Whether asking once more gave the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What is known about some judges."""

    judges: tuple[str, ...]
    answers: tuple[Answer, ...]

    @property
    def scored(self) -> tuple[Answer, ...]:
        """The cases that the judges decided."""
        return tuple(one for one in self.answers if one.standing is Standing.SCORED)

    @property
    def confidence(self) -> Confidence:
        """The confidence from all cases."""
        return _count(self.judges, self.scored)

    def hold_out(self) -> list[tuple[float, bool]]:
        """Give for each decided case the confidence that the cases of the other tasks give, and whether it was right."""
        found = []
        for one in self.scored:
            others = _count(self.judges, [other for other in self.scored if other.task != one.task])
            assert one.agreement is not None
            found.append((float(others.rate(one.agreement)), one.right))
        return found

    def describe(self, *, risk: float) -> dict[str, Any]:
        """Give the figures.

        Args:
            risk: error rate that may not be passed above the threshold; see `find_threshold`.
        """
        held = self.hold_out()
        sure, right = [one for one, _ in held], [hit for _, hit in held]
        threshold = find_threshold(sure, right, risk=risk)
        counts = self.confidence.counts
        return {
            "judges": list(self.judges),
            "cases": len(self.answers),
            "standings": dict(Counter(one.standing.value for one in self.answers)),
            "right": sum(right),
            "wrong": len(right) - sum(right),
            "said_the_same_again": sum(one.same for one in self.answers) / max(1, len(self.answers)),
            "agreements": {
                agreement.value: {"right": counts[agreement][0], "n": counts[agreement][1]}
                for agreement in sorted(counts)
            },
            "calibration_error": measure_calibration(sure, right),
            "risk": risk,
            "threshold": threshold,
            "covered": sum(one >= threshold for one in sure) / len(self.answers) if threshold else 0.0,
        }


def _count(judges: tuple[str, ...], answers: Sequence[Answer]) -> Confidence:
    counts: dict[Agreement, tuple[int, int]] = {}
    for one in answers:
        assert one.agreement is not None
        right, seen = counts.get(one.agreement, (0, 0))
        counts[one.agreement] = (right + one.right, seen + 1)
    return Confidence(judges=judges, counts=counts)


async def measure_judges(section: RewardSection, labels: Sequence[Label], *, repeats: int = 1) -> Measurement:
    """Put labelled cases to the judges of a section.

    Args:
        section: names the judges.
        labels: the cases; nothing may have been chosen on them.
        repeats: how often each case is asked again, with nothing kept of what was said before.

    Raises:
        ConfigError: too many judges, or one twice.
    """
    with tempfile.TemporaryDirectory() as folder:
        async with open_http() as http:
            panels = [make_panel(section, http, Path(folder) / str(n)) for n in range(repeats + 1)]
            answers = [await _ask(panels, label) for label in labels]
            return Measurement(judges=panels[0].names, answers=tuple(answers))


async def _ask(panels: Sequence[Panel], label: Label) -> Answer:
    rubric = get_template(label.task).task(label.seed, Split(label.split)).rubric
    assert rubric is not None
    decisive = [criterion.id for criterion in rubric.criteria if criterion.decisive]
    wanted = all(label.findings.get(name, Finding.MET) is Finding.MET for name in decisive)
    heard = [await panel.hear(label.pack, rubric) for panel in panels]
    opinions = [panel.form(rubric, rulings) for panel, rulings in zip(panels, heard, strict=True)]
    first = opinions[0]
    same = all((o.standing, o.value) == (first.standing, first.value) for o in opinions)
    if first.standing is not Standing.SCORED:
        return Answer(task=label.task, standing=first.standing, same=same)
    verdicts = [ruling.verdict.findings for ruling in heard[0] if ruling.verdict is not None]
    return Answer(
        task=label.task,
        standing=first.standing,
        right=bool(first.value) is wanted,
        agreement=name_agreement(verdicts),
        same=same,
    )
