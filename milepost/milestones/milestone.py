"""What an author declares: milestones that pay, violations that must not happen, and the goal."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from milepost.milestones.grounding import grounding
from milepost.milestones.operators import SpecError, suggest
from milepost.milestones.predicates import Predicate, can_occur, is_event, positives
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

    def __post_init__(self) -> None:
        _check_grounded(f"milestone {self.name!r}", self.when)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbid:
    """A rule over events that must not come true; made with `forbid`."""

    name: str
    when: Predicate
    effect: Effect
    cap: Fraction
    """With `cap`: the most that the whole episode may pay; 0 for a veto."""

    def __post_init__(self) -> None:
        _check_predicate(f"forbid {self.name!r}", self.when)


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

    def __post_init__(self) -> None:
        _check_grounded("the goal", self.when)
        if not isinstance(self.frame, tuple):
            raise SpecError(f"frame expects a tuple of predicates, got {type(self.frame).__name__}")
        for allowed in self.frame:
            if not is_event(allowed):
                raise SpecError(
                    f"frame expects predicates about one event: when(...) or an | of these, got {describe(allowed)}"
                )
        kinds = {leaf.kind for allowed in self.frame for leaf in positives(allowed)}
        for leaf in positives(self.when):
            if FACT_TYPES[leaf.kind] in CHANGES and leaf.kind not in kinds:
                raise SpecError(
                    f"the goal asks for {describe(leaf)}, but its frame allows no {leaf.kind}, so nothing can "
                    f"reach it; name the change that is the task: frame=({describe(leaf)},)"
                )


def milestone(
    name: str,
    *,
    reward: str | int | Fraction,
    when: Predicate,
    component: str = "goal",
    after: Iterable[str] = (),
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

    Raises:
        SpecError: an inexact reward or one that is not positive, an unknown component, an ungrounded rule.
    """
    _check_name("milestone", name)
    known = [part.value for part in Component]
    if component not in known:
        raise SpecError(f"milestone {name!r}: unknown component {component!r}; {suggest(component, known)}")
    paid = _read_exact(f"milestone {name!r}: reward", reward)
    if paid <= 0:
        raise SpecError(
            f"milestone {name!r}: reward expects a positive amount, got {reward}; "
            "use forbid(...) for what must not happen"
        )
    if isinstance(after, str):
        raise SpecError(
            f"milestone {name!r}: after expects a tuple of names, got {after!r}; write ({after!r},)"
        )
    return Milestone(name=name, reward=paid, component=Component(component), when=when, after=tuple(after))


def forbid(name: str, *, when: Predicate, effect: str = "veto", cap: str | int | Fraction = 0) -> Forbid:
    """Declare a violation: from the first event at which `when` occurs on, its effect holds for good.

    Args:
        name: unique in its spec.
        when: the rule.
        effect: `veto` or `cap`.
        cap: with `cap`, the most that the whole episode may pay, such as "0.5"; what was paid before the
            violation stays paid.

    Raises:
        SpecError: an unknown effect, a negative cap or one beside a veto, a rule that never occurs.
    """
    _check_name("forbid", name)
    known = [e.value for e in Effect]
    if effect not in known:
        raise SpecError(f"forbid {name!r}: unknown effect {effect!r}; {suggest(effect, known)}")
    limit = _read_exact(f"forbid {name!r}: cap", cap)
    if limit < 0 or (effect == Effect.VETO and limit):
        raise SpecError(f"forbid {name!r}: cap expects an amount of at least 0 and effect='cap', got {cap}")
    return Forbid(name=name, when=when, effect=Effect(effect), cap=limit)


def _check_name(what: str, name: object) -> None:
    if not isinstance(name, str) or not name.strip():
        raise SpecError(f"{what} expects a name such as 'form_filled', got {name!r}")


def _check_predicate(owner: str, when: object) -> None:
    if not isinstance(when, Predicate):
        raise SpecError(f"{owner}: when expects a predicate such as when('clicked'), got {when!r}")
    if not can_occur(when):
        raise SpecError(f"{owner}: {describe(when)} never occurs; it needs a part without ~")


def _check_grounded(owner: str, when: Predicate) -> None:
    _check_predicate(owner, when)
    if grounding(when) < GROUND:
        raise SpecError(
            f"{owner}: {describe(when)} rests only on what the page or the agent says; "
            "add with & a fact of the browser or the harness, such as when('clicked', ...), "
            "when('navigation_completed', ...) or when('app_changed', ...)"
        )


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
