"""The rules of one task, checked when they are made, and their canonical bytes."""

import graphlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, TypeVar

import orjson

from milepost.milestones.consistency import covers, required
from milepost.milestones.field_notation import read_list
from milepost.milestones.kinds import check_kind
from milepost.milestones.milestone import Effect, Forbid, Goal, Milestone
from milepost.milestones.monitor import holds, start
from milepost.milestones.notation import (
    read_forbidden,
    read_goal,
    read_milestone,
    write_forbidden,
    write_goal,
    write_milestone,
)
from milepost.milestones.plan import Plan, make_plan
from milepost.milestones.spec_error import SpecError, at, suggest
from milepost.milestones.wording import describe
from milepost.sandbox.events import canonical

VERSION = 1
"""Version of the JSON form."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Milestones, violations and the goal of a task.

    Raises:
        SpecError: a repeated name, an unknown or circular `after`, a goal that holds from the start or that a veto
            keeps out of reach.
    """

    milestones: tuple[Milestone, ...] = ()
    forbidden: tuple[Forbid, ...] = ()
    goal: Goal
    blind: tuple[str, ...] = ()
    """Kinds of events that the task's world cannot witness: what rests on them is `uninstrumented`, not 0."""

    def __post_init__(self) -> None:
        for name, value in (
            ("milestones", self.milestones),
            ("forbidden", self.forbidden),
            ("blind", self.blind),
        ):
            if not isinstance(value, tuple):
                raise SpecError(
                    f"{name} expects a tuple, got {type(value).__name__}; end it with a comma: (x,)", name
                )
        for index, kind in enumerate(self.blind):
            with at("blind", index):
                check_kind(kind)
        _check_names(self)
        _check_order(self.milestones)
        _check_reachable(self)

    @cached_property
    def total(self) -> Fraction:
        """What all milestones pay together."""
        return sum((declared.reward for declared in self.milestones), Fraction(0))

    @cached_property
    def plan(self) -> Plan:
        """The rules prepared for the fold; derived, not part of the spec's identity."""
        return make_plan(self.milestones, self.forbidden, self.goal, self.blind)

    @cached_property
    def digest(self) -> str:
        """The sha256 of the canonical bytes, hexadecimal."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_record(self) -> dict[str, Any]:
        """Give the spec's JSON object."""
        record = {
            "version": VERSION,
            "milestones": [write_milestone(declared) for declared in self.milestones],
            "forbidden": [write_forbidden(declared) for declared in self.forbidden],
            "goal": write_goal(self.goal),
        }
        return {**record, "blind": sorted(self.blind)} if self.blind else record

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
            if key not in _ENTRIES:
                raise SpecError(f"a spec has no entry {key!r}; {suggest(key, _ENTRIES)}", key)
        if "goal" not in record:
            raise SpecError(f"a spec lacks 'goal'; it has {sorted(record)}")
        with at("goal"):
            goal = read_goal(record["goal"])
        return cls(
            milestones=tuple(_read_each(record, "milestones", read_milestone)),
            forbidden=tuple(_read_each(record, "forbidden", read_forbidden)),
            goal=goal,
            blind=tuple(_read_each(record, "blind", lambda kind: kind)),
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


_ENTRIES = ("version", "milestones", "forbidden", "goal", "blind")

_T = TypeVar("_T")


def _read_each(record: Mapping[str, Any], key: str, read: Callable[[Any], _T]) -> Iterator[_T]:
    with at(key):
        entries = read_list(key, record.get(key, []))
    for index, entry in enumerate(entries):
        with at(key, index):
            yield read(entry)


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def _check_names(spec: Spec) -> None:
    for what, key, names in (
        ("milestone", "milestones", [declared.name for declared in spec.milestones]),
        ("forbidden rule", "forbidden", [declared.name for declared in spec.forbidden]),
    ):
        for index, name in enumerate(names):
            if name in names[:index]:
                raise SpecError(
                    f"two {what}s are named {name!r}; each name pays or forbids once", key, index, "name"
                )
    known = [declared.name for declared in spec.milestones]
    for index, name in enumerate(spec.goal.holds):
        if name not in known:
            raise SpecError(
                f"the goal's holds names {name!r}, which is not a milestone; {suggest(name, known)}",
                *("goal", "holds", index),
            )


def _check_order(milestones: tuple[Milestone, ...]) -> None:
    names = [declared.name for declared in milestones]
    for place, declared in enumerate(milestones):
        for index, dependency in enumerate(declared.after):
            if dependency not in names:
                raise SpecError(
                    f"milestone {declared.name!r}: after names {dependency!r}, which is not a milestone; "
                    f"{suggest(dependency, names)}",
                    *("milestones", place, "after", index),
                )
            if milestones[names.index(dependency)].holds:
                raise SpecError(
                    f"milestone {declared.name!r}: after names {dependency!r}, which is judged when the episode "
                    "ends, so nothing can come after it",
                    *("milestones", place, "after", index),
                )
    graph = graphlib.TopologicalSorter({declared.name: declared.after for declared in milestones})
    try:
        graph.prepare()
    except graphlib.CycleError as cycle:
        chain = list(reversed(cycle.args[1]))
        raise SpecError(
            f"milestones wait for each other: {' after '.join(chain)}",
            *("milestones", names.index(chain[0]), "after"),
        ) from None


def _check_reachable(spec: Spec) -> None:
    if holds(spec.plan.goal, start(spec.plan.goal)):
        raise SpecError("the goal holds before anything has happened", "goal", "when")
    for leaf in required(spec.goal.when):
        for index, declared in enumerate(spec.forbidden):
            if declared.effect is Effect.VETO and covers(declared.when, leaf):
                raise SpecError(
                    f"forbid {declared.name!r} keeps the goal out of reach: the goal asks for {describe(leaf)}, "
                    f"and at every such event {describe(declared.when)} occurs",
                    *("forbidden", index, "when"),
                )
