"""What a task pays for: milestones, forbidden events, and the goal, checked when they are written."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import orjson

from milepost.milestones.operators import SpecError
from milepost.milestones.predicates import (
    Predicate,
    decode_predicate,
    encode_predicate,
    is_grounded,
    kinds_of,
)
from milepost.sandbox.events import canonical

COMPONENTS = ("nav", "ui", "form", "file", "goal")
"""The five components of the weighted reward."""

VERSION = 1
"""Version of the JSON form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """A rule that pays its reward once, at the event at which its predicate comes to hold."""

    name: str
    reward: Fraction
    component: str
    when: Predicate
    after: tuple[str, ...] = ()
    """Milestones that must have fired at an earlier event; until then this one sees nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbid:
    """A rule that, once it holds, takes the episode's reward away (`veto`) or limits it (`cap`)."""

    name: str
    when: Predicate
    effect: str
    cap: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What must be true at the end, and what else may have changed."""

    when: Predicate
    frame: tuple[Predicate, ...] = ()
    """Changes of apps and files that are part of the task; any other one means the goal is missed."""


def milestone(
    name: str,
    *,
    reward: str | int,
    when: Predicate,
    component: str = "goal",
    after: Sequence[str] = (),
) -> Milestone:
    """Write a milestone.

    Args:
        name: unique inside the spec.
        reward: a decimal such as `"0.25"`; never a float, so that sums are exact.
        when: the predicate.
        component: one of `nav, ui, form, file, goal`.
        after: names of milestones that must come first.

    Raises:
        SpecError: no positive exact reward, an unknown component, or a predicate that a page can satisfy
            on its own.
    """
    if component not in COMPONENTS:
        raise SpecError(
            f"milestone {name!r}: unknown component {component!r}; expected one of {', '.join(COMPONENTS)}"
        )
    if not is_grounded(when):
        raise SpecError(
            f"milestone {name!r} could be earned by what a page shows or an agent says alone; add a fact that the "
            "browser or the harness witnesses, e.g. & when('app_changed', ...) or when('clicked', ...).then(...)"
        )
    return Milestone(
        name=name,
        reward=_fraction(f"milestone {name!r}", reward),
        component=component,
        when=when,
        after=tuple(after),
    )


def forbid(name: str, *, when: Predicate, effect: str = "veto", cap: str | int = 0) -> Forbid:
    """Forbid something: `veto` ends all reward, `cap` limits the episode's sum.

    Raises:
        SpecError: an unknown effect.
    """
    if effect not in ("veto", "cap"):
        raise SpecError(f"forbidden {name!r}: effect is 'veto' or 'cap', got {effect!r}")
    limit = Fraction(0) if effect == "veto" else _fraction(f"forbidden {name!r}", cap)
    return Forbid(name=name, when=when, effect=effect, cap=limit)


def _fraction(where: str, value: str | int) -> Fraction:
    if isinstance(value, float) or not isinstance(value, str | int):
        raise SpecError(
            f'{where}: write the reward as text, e.g. "0.25", not as {value!r}; floats are not exact'
        )
    try:
        result = Fraction(value)
    except ValueError:
        raise SpecError(f'{where}: expected a decimal such as "0.25", got {value!r}') from None
    if result <= 0:
        raise SpecError(f"{where}: expected a positive amount, got {value}; use forbid(...) for violations")
    return result


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The rules of a task. Building one checks it."""

    milestones: tuple[Milestone, ...]
    goal: Goal
    forbidden: tuple[Forbid, ...] = field(default=())

    def __post_init__(self) -> None:
        names = [m.name for m in self.milestones]
        if len(set(names)) != len(names):
            raise SpecError(f"milestone names must be unique, got {', '.join(names)}")
        if not is_grounded(self.goal.when):
            raise SpecError(
                "the goal could be met by what a page shows alone; add a fact of the browser or harness"
            )
        for m in self.milestones:
            for name in m.after:
                if name not in names:
                    raise SpecError(
                        f"milestone {m.name!r} comes after {name!r}, which is not there: {', '.join(names)}"
                    )
        _check_order({m.name: m.after for m in self.milestones})

    @property
    def total(self) -> Fraction:
        """The sum of all rewards."""
        return sum((m.reward for m in self.milestones), Fraction(0))

    @cached_property
    def kinds(self) -> frozenset[str]:
        """Event kinds that some rule looks at."""
        rules: list[Predicate] = [m.when for m in self.milestones]
        rules += [f.when for f in self.forbidden]
        return frozenset().union(kinds_of(self.goal.when), *(kinds_of(rule) for rule in rules))

    @cached_property
    def digest(self) -> str:
        """sha256 of the canonical JSON: the same rules, the same digest."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Give the canonical JSON."""
        return canonical(
            {
                "version": VERSION,
                "milestones": [
                    {
                        "name": m.name,
                        "reward": str(m.reward),
                        "component": m.component,
                        "when": encode_predicate(m.when),
                        "after": list(m.after),
                    }
                    for m in self.milestones
                ],
                "forbidden": [
                    {"name": f.name, "when": encode_predicate(f.when), "effect": f.effect, "cap": str(f.cap)}
                    for f in self.forbidden
                ],
                "goal": {
                    "when": encode_predicate(self.goal.when),
                    "frame": [encode_predicate(p) for p in self.goal.frame],
                },
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "Spec":
        """Read the JSON form back.

        Raises:
            SpecError: not JSON, not of this version, or rules that do not hold together.
        """
        try:
            return _decode_spec(orjson.loads(data))
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise SpecError(f"not a spec of version {VERSION}: {error!r}") from None


def _decode_spec(content: Mapping[str, Any]) -> Spec:
    if content.get("version") != VERSION:
        raise SpecError(f"expected a spec of version {VERSION}, got {content.get('version')!r}")
    return Spec(
        milestones=tuple(
            Milestone(
                name=m["name"],
                reward=Fraction(m["reward"]),
                component=m["component"],
                when=decode_predicate(m["when"]),
                after=tuple(m["after"]),
            )
            for m in content["milestones"]
        ),
        forbidden=tuple(
            Forbid(
                name=f["name"], when=decode_predicate(f["when"]), effect=f["effect"], cap=Fraction(f["cap"])
            )
            for f in content["forbidden"]
        ),
        goal=Goal(
            when=decode_predicate(content["goal"]["when"]),
            frame=tuple(decode_predicate(p) for p in content["goal"]["frame"]),
        ),
    )


def _check_order(after: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse cycles: milestones that wait for each other never fire."""
    done: set[str] = set()
    while len(done) < len(after):
        ready = {name for name, needs in after.items() if name not in done and set(needs) <= done}
        if not ready:
            stuck = ", ".join(sorted(set(after) - done))
            raise SpecError(f"these milestones wait for each other and can never fire: {stuck}")
        done |= ready
