"""The rules of one task, checked when they are made, and their canonical bytes."""

import graphlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import orjson

from milepost.milestones.milestone import Forbid, Goal, Milestone
from milepost.milestones.monitor import Plan, make_plan
from milepost.milestones.notation import (
    read_forbidden,
    read_goal,
    read_list,
    read_milestone,
    write_forbidden,
    write_goal,
    write_milestone,
)
from milepost.milestones.operators import SpecError, suggest
from milepost.sandbox.events import canonical

VERSION = 1
"""Version of the JSON form."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Milestones, violations and the goal of a task.

    Raises:
        SpecError: a repeated name, an unknown or circular `after`.
    """

    milestones: tuple[Milestone, ...] = ()
    forbidden: tuple[Forbid, ...] = ()
    goal: Goal

    def __post_init__(self) -> None:
        for name, value in (("milestones", self.milestones), ("forbidden", self.forbidden)):
            if not isinstance(value, tuple):
                raise SpecError(
                    f"{name} expects a tuple, got {type(value).__name__}; end it with a comma: (x,)"
                )
        _check_names(self)
        _check_order(self.milestones)

    @cached_property
    def total(self) -> Fraction:
        """What all milestones pay together."""
        return sum((declared.reward for declared in self.milestones), Fraction(0))

    @cached_property
    def plan(self) -> Plan:
        """The rules prepared for the fold; derived, not part of the spec's identity."""
        return make_plan(self.milestones, self.forbidden, self.goal)

    @cached_property
    def digest(self) -> str:
        """The sha256 of the canonical bytes, hexadecimal."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_record(self) -> dict[str, Any]:
        """Give the spec's JSON object."""
        return {
            "version": VERSION,
            "milestones": [write_milestone(declared) for declared in self.milestones],
            "forbidden": [write_forbidden(declared) for declared in self.forbidden],
            "goal": write_goal(self.goal),
        }

    def to_bytes(self) -> bytes:
        """Give the spec's canonical JSON: the same rules give the same bytes."""
        return canonical(self.to_record())

    @classmethod
    def from_record(cls, record: object) -> "Spec":
        """Read a spec's JSON object (from JSON or YAML) back; the digest stays the same.

        Raises:
            SpecError: not the documented form, or a rule that cannot be meant.
        """
        if not isinstance(record, Mapping) or record.get("version", VERSION) != VERSION:
            raise SpecError(f"a spec is an object of version {VERSION}, got {_short(record)}")
        for key in record:
            if key not in ("version", "milestones", "forbidden", "goal"):
                raise SpecError(
                    f"a spec has no entry {key!r}; {suggest(key, ('milestones', 'forbidden', 'goal'))}"
                )
        if "goal" not in record:
            raise SpecError(f"a spec lacks 'goal'; it has {sorted(record)}")
        return cls(
            milestones=tuple(map(read_milestone, read_list("milestones", record.get("milestones", [])))),
            forbidden=tuple(map(read_forbidden, read_list("forbidden", record.get("forbidden", [])))),
            goal=read_goal(record["goal"]),
        )

    @classmethod
    def from_bytes(cls, data: bytes | str) -> "Spec":
        """Read a spec's JSON text back; the digest stays the same.

        Raises:
            SpecError: not JSON, not the documented form, or a rule that cannot be meant.
        """
        try:
            return cls.from_record(orjson.loads(data))
        except orjson.JSONDecodeError as error:
            raise SpecError(f"a spec is JSON, got something else: {error}") from None
        except RecursionError:
            raise SpecError("a spec nests its predicates a few levels deep; this one has too many") from None


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def _check_names(spec: Spec) -> None:
    for what, names in (
        ("milestone", [declared.name for declared in spec.milestones]),
        ("forbidden rule", [declared.name for declared in spec.forbidden]),
    ):
        for index, name in enumerate(names):
            if name in names[:index]:
                raise SpecError(f"two {what}s are named {name!r}; each name pays or forbids once")


def _check_order(milestones: tuple[Milestone, ...]) -> None:
    names = [declared.name for declared in milestones]
    for declared in milestones:
        for dependency in declared.after:
            if dependency not in names:
                raise SpecError(
                    f"milestone {declared.name!r}: after names {dependency!r}, which is not a milestone; "
                    f"{suggest(dependency, names)}"
                )
    graph = graphlib.TopologicalSorter({declared.name: declared.after for declared in milestones})
    try:
        graph.prepare()
    except graphlib.CycleError as cycle:
        raise SpecError(
            f"milestones wait for each other: {' after '.join(reversed(cycle.args[1]))}"
        ) from None
