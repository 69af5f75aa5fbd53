"""What an author declares: milestones that pay, violations that must not happen, and the goal."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from milepost.milestones.consistency import excludes, find_contradiction
from milepost.milestones.grounding import grounding
from milepost.milestones.predicates import (
    And,
    Predicate,
    brakes,
    can_occur,
    is_event,
    parts_of,
    positives,
)
from milepost.milestones.spec_error import SpecError, at, suggest
from milepost.milestones.trust import CHANGES, GROUND
from milepost.milestones.wording import describe
from milepost.sandbox.events import FACT_TYPES


class Component(StrEnum):
    """The part of the five-part reward that a milestone belongs to."""

    NAV = "nav"
    UI = "ui"
    FORM = "form"
    FILE = "file"
    GOAL = "goal"


class Effect(StrEnum):
    """What a violation does. Neither is a penalty that milestones could make up for."""

    VETO = "veto"
    """Nothing is paid from here on, and the goal can no longer be reached."""
    CAP = "cap"
    """The rewards of the episode together never exceed an amount."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """A rule over events that pays once; made with `milestone`."""

    name: str
    reward: Fraction
    component: Component
    when: Predicate
    after: tuple[str, ...]
    """Milestones that must have fired at a strictly earlier event."""
    within_steps: int | None = None
    """At most so many steps after the last of `after` fired, or after the reset."""
    by_agent: bool = False
    """Only events of steps in which the agent itself did something count."""
    holds: bool = False
    """It is judged when the episode ends: its predicate must hold then."""
    graded: bool = False
    """Each part of its `&` pays its share, and only what is more than was reached before."""

    def __post_init__(self) -> None:
        owner = f"milestone {self.name!r}"
        with at("when"):
            _check_grounded(owner, self.when)
        if self.within_steps is not None and (type(self.within_steps) is not int or self.within_steps < 0):
            raise SpecError(
                f"{owner}: within_steps expects a whole number of steps, got {self.within_steps!r}",
                "within_steps",
            )
        if self.holds and (self.graded or self.within_steps is not None):
            raise SpecError(
                f"{owner}: holds is judged when the episode ends; it goes with neither graded nor within_steps",
                "holds",
            )
        if self.graded:
            _check_graded(owner, self.when)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbid:
    """A rule over events that must not come true; made with `forbid`."""

    name: str
    when: Predicate
    effect: Effect
    cap: Fraction
    """With `cap`: the most that the whole episode may pay; 0 for a veto."""

    def __post_init__(self) -> None:
        owner = f"forbid {self.name!r}"
        with at("when"):
            _check_predicate(owner, self.when)
            for brake in brakes(self.when):
                if grounding(brake) < GROUND:
                    raise SpecError(
                        f"{owner}: what the page or the agent says could switch it off: {describe(brake)}; "
                        "add with & a fact of the browser or the harness"
                    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What must be true in the end, and what else may have changed on the way.

    Every change of an app's state and every file created, modified, moved or deleted must match a predicate of
    `frame`, the change that is the task included. An empty frame allows no change at all.

    Raises:
        SpecError: an ungrounded rule, or one that asks for a kind of change which the frame never allows.
    """

    when: Predicate
    frame: tuple[Predicate, ...] = ()
    holds: tuple[str, ...] = ()
    """Milestones that must have fired and whose predicates must still hold in the end."""

    def __post_init__(self) -> None:
        with at("when"):
            _check_grounded("the goal", self.when)
        if not isinstance(self.frame, tuple):
            raise SpecError(f"frame expects a tuple of predicates, got {type(self.frame).__name__}", "frame")
        if not isinstance(self.holds, tuple):
            raise SpecError(f"holds expects a tuple of names, got {self.holds!r}; write ('name',)", "holds")
        for index, allowed in enumerate(self.frame):
            if not is_event(allowed):
                raise SpecError(
                    f"frame expects predicates about one event: when(...) or an | of these, got {describe(allowed)}",
                    *("frame", index),
                )
        allowing = [leaf for allowed in self.frame for leaf in positives(allowed)]
        for leaf in positives(self.when):
            if FACT_TYPES[leaf.kind] in CHANGES and all(excludes(leaf, change) for change in allowing):
                raise SpecError(
                    f"the goal asks for {describe(leaf)}, but its frame allows no such {leaf.kind}, so nothing can "
                    f"reach it; name the change that is the task: frame=({describe(leaf)},)",
                    "frame",
                )


def milestone(
    name: str,
    *,
    reward: str | int | Fraction,
    when: Predicate,
    component: str = "goal",
    after: Iterable[str] = (),
    within_steps: int | None = None,
    by_agent: bool = False,
    holds: bool = False,
    graded: bool = False,
) -> Milestone:
    """Declare a milestone.

    It pays `reward` once: at the first event at which `when` occurs and that comes strictly after the events
    at which the milestones in `after` fired.

    Args:
        name: unique in its spec.
        reward: exact and positive: a decimal text such as "0.25", an integer or a Fraction.
        when: the rule; it needs a fact the page cannot invent.
        component: `nav`, `ui`, `form`, `file` or `goal`.
        after: names of milestones.
        within_steps: it fires at most so many steps after the last of `after` did, or after the reset.
        by_agent: count only events of steps in which the agent did something that can change the world; what a
            page does while the agent waits, scrolls or reads counts for nothing.
        holds: judge it when the episode ends, and pay only if the predicate holds then. What was done and undone
            again pays nothing, where the predicate says with `.undone_by` what undoes it.
        graded: split the reward over the parts of an `&`: each pays its share when it comes to hold, and nothing
            pays twice, however often it is undone.

    Raises:
        SpecError: an inexact reward or one that is not positive, an unknown component, an ungrounded rule.
    """
    _check_name("milestone", name)
    known = [part.value for part in Component]
    if component not in known:
        raise SpecError(
            f"milestone {name!r}: unknown component {component!r}; {suggest(component, known)}", "component"
        )
    with at("reward"):
        paid = _read_exact(f"milestone {name!r}: reward", reward)
        if paid <= 0:
            raise SpecError(
                f"milestone {name!r}: reward expects a positive amount, got {reward}; "
                "use forbid(...) for what must not happen"
            )
    if isinstance(after, str):
        raise SpecError(
            f"milestone {name!r}: after expects a tuple of names, got {after!r}; write ({after!r},)", "after"
        )
    for flag, value in (("by_agent", by_agent), ("holds", holds), ("graded", graded)):
        if not isinstance(value, bool):
            raise SpecError(f"milestone {name!r}: {flag} is true or false, got {value!r}", flag)
    return Milestone(
        name=name,
        reward=paid,
        component=Component(component),
        when=when,
        after=tuple(after),
        within_steps=within_steps,
        by_agent=by_agent,
        holds=holds,
        graded=graded,
    )


def forbid(
    name: str,
    *,
    when: Predicate,
    until: Predicate | None = None,
    effect: str = "veto",
    cap: str | int | Fraction = 0,
) -> Forbid:
    """Declare a violation: from the first event at which `when` occurs on, its effect holds for good.

    Args:
        name: unique in its spec.
        when: the rule.
        until: from the event on at which this occurs, the rule is off: `when.until(until)`.
        effect: `veto` or `cap`.
        cap: with `cap`, the most that the whole episode may pay, such as "0.5"; what was paid before the
            violation stays paid.

    Raises:
        SpecError: an unknown effect, a negative cap or one beside a veto, a rule that never occurs.
    """
    _check_name("forbid", name)
    known = [e.value for e in Effect]
    if effect not in known:
        raise SpecError(f"forbid {name!r}: unknown effect {effect!r}; {suggest(effect, known)}", "effect")
    with at("cap"):
        limit = _read_exact(f"forbid {name!r}: cap", cap)
        if limit < 0 or (effect == Effect.VETO and limit):
            raise SpecError(
                f"forbid {name!r}: cap expects an amount of at least 0 and effect='cap', got {cap}"
            )
    if until is not None:
        _check_predicate(f"forbid {name!r}", when)
        when = when.until(until)
    return Forbid(name=name, when=when, effect=Effect(effect), cap=limit)


def _check_name(what: str, name: object) -> None:
    if not isinstance(name, str) or not name.strip():
        raise SpecError(f"{what} expects a name such as 'form_filled', got {name!r}", "name")


def _check_predicate(owner: str, when: object) -> None:
    if not isinstance(when, Predicate):
        raise SpecError(f"{owner}: when expects a predicate such as when('clicked'), got {when!r}")
    if not can_occur(when):
        raise SpecError(f"{owner}: {describe(when)} never occurs; it needs a part without ~")
    found = find_contradiction(when)
    if found is not None:
        raise SpecError(
            f"{owner}: {describe(when)} never occurs: every {describe(found.wanted)} is also "
            f"{describe(found.against)}, which rules it out"
        )


def _check_grounded(owner: str, when: Predicate) -> None:
    _check_predicate(owner, when)
    if grounding(when) < GROUND:
        raise SpecError(
            f"{owner}: {describe(when)} rests only on what the page or the agent says; "
            "add with & a fact of the browser or the harness, such as when('clicked', ...), "
            "when('navigation_completed', ...) or when('app_changed', ...)"
        )


def _check_graded(owner: str, when: Predicate) -> None:
    if not isinstance(when, And):
        raise SpecError(
            f"{owner}: graded splits the reward over the parts of an &; got {describe(when)}", "graded"
        )
    for part in parts_of(when):
        _check_grounded(f"{owner}, a graded part", part)


_EXACT = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{1,30}|/0*[1-9][0-9]{0,30})?")


def _read_exact(what: str, value: object) -> Fraction:
    if isinstance(value, int | Fraction) and not isinstance(value, bool):
        return Fraction(value)
    if isinstance(value, str) and _EXACT.fullmatch(value):
        return Fraction(value)
    hint = f'; write it as text: "{value}"' if isinstance(value, float) else ""
    raise SpecError(
        f'{what} expects an exact number such as "0.25", got {type(value).__name__} {value!r}{hint}'
    )
