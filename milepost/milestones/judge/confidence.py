"""How often judges are right when they agree as they do: counted on labelled cases, not asked of the judges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson

from milepost.milestones.judge.question import Finding
from milepost.sandbox.events import canonical

VERSION = 1
"""Version of the stored form."""

UNMEASURED = Fraction(9, 10)
"""Confidence in judges that no labelled case was put to: a guess, and the same for every agreement."""


class ConfidenceError(ValueError):
    """A stored measurement cannot be used."""


class Agreement(StrEnum):
    """How judges came to an opinion; it is seen without knowing what is right."""

    ALL_MET = "all_met"
    """Every judge found every criterion met."""
    ALL_SAME = "all_same"
    """Every judge found the same, and something not met."""
    MOST = "most"
    """Judges differ, and a criterion that is not met settled it."""


def name_agreement(findings: Sequence[Mapping[str, Finding]]) -> Agreement:
    """Name how judges agree.

    Args:
        findings: of each judge, by criterion; one judge or more.
    """
    if any(found != findings[0] for found in findings):
        return Agreement.MOST
    everything = all(finding is Finding.MET for finding in findings[0].values())
    return Agreement.ALL_MET if everything else Agreement.ALL_SAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """How often some judges were right on labelled cases, by how they agreed."""

    judges: tuple[str, ...] = ()
    """Whose, in the order of asking; empty when nothing was measured."""
    counts: Mapping[Agreement, tuple[int, int]] = field(default_factory=dict)
    """Right, and all."""
    constant: Fraction = UNMEASURED
    """What holds when nothing was measured."""

    def rate(self, agreement: Agreement) -> Fraction:
        """Give the probability that such an opinion is right: (right + 1) / (all + 2), Laplace's rule of succession.

        An agreement that was never seen gives 1/2, which is no confidence at all.
        """
        if not self.judges:
            return self.constant
        right, seen = self.counts.get(agreement, (0, 0))
        return Fraction(right + 1, seen + 2)

    def to_record(self) -> dict[str, Any]:
        """Give the JSON form."""
        counts = {agreement.value: list(self.counts[agreement]) for agreement in sorted(self.counts)}
        return {"judges": list(self.judges), "counts": counts, "constant": str(self.constant)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Confidence":
        """Read back what `to_record` gives.

        Raises:
            KeyError, ValueError, TypeError: not such a record.
        """
        counts = {Agreement(name): (int(right), int(n)) for name, (right, n) in record["counts"].items()}
        if any(not 0 <= right <= n for right, n in counts.values()):
            raise ValueError(f"more are right than there are: {record['counts']}")
        return cls(
            judges=tuple(str(name) for name in record["judges"]),
            counts=counts,
            constant=Fraction(record["constant"]),
        )


def write_confidence(confidence: Confidence, path: Path, **about: Any) -> None:
    """Write a measurement, and what else is known about it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(canonical({"version": VERSION, "confidence": confidence.to_record(), **about}))


def read_confidence(path: Path) -> Confidence:
    """Read what `write_confidence` has written.

    Raises:
        ConfidenceError: there is no such file, or it is not of this form.
    """
    try:
        stored: dict[str, Any] = orjson.loads(path.read_bytes())
        version, record = stored["version"], stored["confidence"]
        found = Confidence.from_record(record)
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as broken:
        raise ConfidenceError(
            f"{path} is no measurement of judges: {type(broken).__name__} {broken}; "
            "make one with: milepost calibrate-judges"
        ) from None
    if version != VERSION:
        raise ConfidenceError(f"{path}: version {VERSION} is read, got {version!r}")
    return found
