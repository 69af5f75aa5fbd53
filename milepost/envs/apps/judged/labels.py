"""Labelled cases of the judged tasks: what a judge is shown of an episode, and what is right to find.

`labels.jsonl` holds one case a line, to be read by people as well as by programs: the task's goal and truth, the facts
that its rubric rests on, how the case came about, the findings by criterion, and why. Criteria on which reasonable people
could differ have no label.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from milepost.milestones.judge.evidence import EvidenceItem, EvidencePack
from milepost.milestones.judge.question import Finding
from milepost.sandbox.events import Trust

LABELS = Path(__file__).with_name("labels.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One case."""

    task: str
    seed: int
    split: str
    case: str
    """Name of what was done, unique in its task and seed."""
    made: str
    """`oracle`, `corruption` of what the oracle does, or `hand`: written by a person."""
    pack: EvidencePack
    findings: Mapping[str, Finding]
    """Criterion to what is right to find."""
    why: str

    def to_record(self) -> dict[str, object]:
        """Give the JSON form."""
        return {
            **{name: getattr(self, name) for name in ("task", "seed", "split", "case", "made", "why")},
            "findings": {name: finding.value for name, finding in self.findings.items()},
            "goal": self.pack.goal,
            "items": [[i.id, i.kind, i.trust.name.lower(), orjson.loads(i.data)] for i in self.pack.items],
        }


def read_labels(path: Path = LABELS) -> tuple[Label, ...]:
    """Read the cases.

    Raises:
        KeyError, ValueError: the file is not of this form.
    """
    return tuple(_read(line) for line in path.read_bytes().splitlines())


def _read(line: bytes) -> Label:
    record = orjson.loads(line)
    items = tuple(
        EvidenceItem(
            id=name,
            kind=kind,
            trust=Trust[trust.upper()],
            data=orjson.dumps(data, option=orjson.OPT_SORT_KEYS).decode(),
        )
        for name, kind, trust, data in record["items"]
    )
    return Label(
        **{name: record[name] for name in ("task", "seed", "split", "case", "made", "why")},
        pack=EvidencePack(goal=record["goal"], items=items),
        findings={name: Finding(value) for name, value in record["findings"].items()},
    )
