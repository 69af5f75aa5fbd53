"""Rules with one part made weaker: do logs tell them from the rules themselves?

A rule of which a part can be left out without any log noticing is a rule that nobody has tested (DeMillo, Lipton
and Sayward 1978). Mutants of rules only make them weaker, for a weaker rule is one that can be farmed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from milepost.milestones.operators import Fields
from milepost.milestones.predicates import (
    And,
    AnyOf,
    Count,
    Judged,
    Not,
    Or,
    Predicate,
    Then,
    UndoneBy,
    Until,
    When,
    can_occur,
)
from milepost.milestones.progress import fold
from milepost.milestones.spec import Spec
from milepost.milestones.spec_error import SpecError
from milepost.milestones.trace import list_undecided
from milepost.milestones.trust import CHANGES
from milepost.milestones.wording import describe
from milepost.sandbox.events import ActionTaken, EpisodeEnded, Event

ANY_CHANGE = tuple(
    When(kind=kind) for kind in ("app_changed", "file_created", "file_modified", "file_moved", "file_deleted")
)
"""A frame that allows everything."""


Swap = tuple[When, When]
"""An event that a rule waits for, and a weaker one that stands in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """Rules with one part made weaker."""

    name: str
    """What was left out, in the words of the rule; the same in every seed only if the rule's words are."""
    place: str
    """Where: `milestone filled, part 2`; the same in every seed whose rules have the same shape."""
    spec: Spec
    against: Spec
    """The rules with which it is compared: for a goal's predicate those without frame and
    vetoes, which would hide the difference."""
    swap: Swap | None = None
    """In what alone it differs, where that is a single event."""


def weaken(spec: Spec) -> Iterator[Mutant]:
    """Give every set of rules that has one part less; parts without which it could not be meant are left in."""
    for index, declared in enumerate(spec.milestones):
        owner = f"milestone {declared.name}"
        for what, predicate, swap in _weaken(declared.when):
            yield from _make(spec, owner, what, index, swap, when=predicate)
        for number, name in enumerate(declared.after):
            after = declared.after[:number] + declared.after[number + 1 :]
            yield from _make(spec, owner, f"after {name}", index, None, after=after)
        if declared.within_steps is not None:
            yield from _make(spec, owner, "within_steps", index, None, within_steps=None)
        for flag in ("by_agent", "holds"):
            if getattr(declared, flag):
                yield from _make(spec, owner, flag, index, None, **{flag: False})
    for index, rule in enumerate(spec.forbidden):
        rest = spec.forbidden[:index] + spec.forbidden[index + 1 :]
        yield Mutant(
            name=f"forbid {rule.name}",
            place=f"forbid {rule.name}",
            spec=replace(spec, forbidden=rest),
            against=spec,
        )
    yield from _weaken_goal(spec)


def _make(
    spec: Spec, owner: str, what: str, index: int, swap: Swap | None, **changes: Any
) -> Iterator[Mutant]:
    try:
        weaker = replace(spec.milestones[index], **changes)
        milestones = (*spec.milestones[:index], weaker, *spec.milestones[index + 1 :])
        made = replace(spec, milestones=milestones)
    except SpecError:
        return
    yield Mutant(name=f"{owner}: {what}", place=owner, spec=made, against=spec, swap=swap)


def _weaken_goal(spec: Spec) -> Iterator[Mutant]:
    goal = spec.goal
    # What breaks the frame or is forbidden misses the goal whatever its predicate says, so that is tried alone.
    open_goal = replace(goal, frame=ANY_CHANGE)
    against = replace(spec, goal=open_goal, forbidden=())
    for what, predicate, swap in _weaken(goal.when):
        yield from _make_goal(what, against, swap, when=predicate)
    for name in goal.holds:
        rest = tuple(n for n in goal.holds if n != name)
        yield from _make_goal(f"holds {name}", spec, None, holds=rest)
    yield from _make_goal("frame", spec, None, frame=ANY_CHANGE)
    for index, allowed in enumerate(goal.frame):
        for what, predicate, swap in _weaken(allowed):
            frame = (*goal.frame[:index], predicate, *goal.frame[index + 1 :])
            yield from _make_goal(f"frame: {what}", spec, swap, frame=frame)


def _make_goal(what: str, against: Spec, swap: Swap | None, **changes: Any) -> Iterator[Mutant]:
    try:
        made = replace(against, goal=replace(against.goal, **changes))
    except SpecError:
        return
    yield Mutant(name=f"goal: {what}", place="goal", spec=made, against=against, swap=swap)


_Weaker = tuple[str, Predicate, Swap | None]


def _weaken(predicate: Predicate) -> Iterator[_Weaker]:  # noqa: C901, PLR0912 - one case per predicate
    """Give what was left out, the predicate without it, and the event that alone differs, if it is one."""
    match predicate:
        case When():
            yield from _weaken_event(predicate)
        case And(of=parts):
            for index, part in enumerate(parts):
                others = parts[:index] + parts[index + 1 :]
                smaller = others[0] if len(others) == 1 else And(of=others)
                if can_occur(smaller):
                    yield describe(part), smaller, None
            yield from _weaken_parts(predicate, parts)
        case Or(of=parts):
            yield from _weaken_parts(predicate, parts)
        case AnyOf(of=parts, least=least):
            yield f"one of {least}", Or(of=parts) if least == 2 else AnyOf(of=parts, least=least - 1), None
            yield from _weaken_parts(predicate, parts)
        case Then():
            yield from _weaken_order(predicate)
        case Count():
            yield from _weaken_count(predicate)
        case Until(of=part, end=end):
            yield f"until {describe(end)}", part, None
            for what, inner, swap in _weaken(part):
                yield what, Until(of=inner, end=end), swap
        case UndoneBy(of=part, by=by):
            yield f"undone_by {describe(by)}", part, None
            for what, inner, swap in _weaken(part):
                yield what, UndoneBy(of=inner, by=by), swap
        case Not() | Judged():
            return


def _weaken_event(leaf: When) -> Iterator[_Weaker]:
    for index, (name, test) in enumerate(leaf.tests):
        before, after = leaf.tests[:index], leaf.tests[index + 1 :]
        weaker = replace(leaf, tests=(*before, *after))
        yield f"{name} of {describe(leaf)}", weaker, (leaf, weaker)
        for number, (entry, _) in enumerate(test.tests if isinstance(test, Fields) else ()):
            assert isinstance(test, Fields)
            fewer = Fields(test.tests[:number] + test.tests[number + 1 :])
            weaker = replace(leaf, tests=(*before, (name, fewer), *after))
            yield f"{name}.{entry} of {describe(leaf)}", weaker, (leaf, weaker)


def _weaken_order(pair: Then) -> Iterator[_Weaker]:
    yield f"the order of {describe(pair)}", And(of=(pair.first, pair.second)), None
    if pair.within is not None:
        yield "within_steps", replace(pair, within=None), None
    for what, part, swap in _weaken(pair.first):
        yield what, replace(pair, first=part), swap
    for what, part, swap in _weaken(pair.second):
        yield what, replace(pair, second=part), swap


def _weaken_count(counted: Count) -> Iterator[_Weaker]:
    if counted.times > 1:
        yield "one of the count", replace(counted, times=counted.times - 1), None
    if counted.distinct:
        yield "distinct", replace(counted, distinct=""), None
    for what, inner, swap in _weaken(counted.of):
        yield what, replace(counted, of=inner), swap


def _weaken_parts(predicate: And | Or | AnyOf, parts: tuple[Predicate, ...]) -> Iterator[_Weaker]:
    for index, part in enumerate(parts):
        for what, weaker, swap in _weaken(part):
            yield what, replace(predicate, of=(*parts[:index], weaker, *parts[index + 1 :])), swap


def judge(spec: Spec, events: Sequence[Event]) -> tuple[object, ...]:
    """Give all that a log means under rules, in a form in which two judgements can be compared."""
    progress, hits = fold(spec, events)
    paid = tuple((hit.name, hit.reward, hit.seq) for hit in hits)
    return paid, progress.goal_reached, list_undecided(spec, progress), progress.vetoed, progress.limit


def _keep_telling(spec: Spec, events: Sequence[Event]) -> list[Event]:
    """Leave out the events of kinds that mean nothing to a spec, and so nothing to weaker ones either."""
    telling = (*spec.plan.leaves, *CHANGES, ActionTaken, EpisodeEnded)
    return [event for event in events if isinstance(event.fact, telling)]


def may_tell(swap: Swap | None, events: Sequence[Event]) -> bool:
    """Whether a log may tell a mutant from its rules: where one event is swapped, the log has one that only the weaker is.

    Folding is a thousand times as dear, and few near misses are near this one part of the rules.
    """
    if swap is None:
        return True
    strict, weaker = swap
    return any(weaker.matches(event.fact) and not strict.matches(event.fact) for event in events)


def find_survivors(cases: Sequence[tuple[Spec, Sequence[Sequence[Event]]]]) -> tuple[int, tuple[str, ...]]:
    """Count the mutants of rules and name those that no log tells from the rules themselves.

    Args:
        cases: for several seeds of a task, its rules and its logs. Mutants of different seeds are the same when
            they stand at the same place in the list; it is enough that the logs of one seed tell them apart.

    Returns:
        The number of mutants, and the names of the survivors, as in the first case.
    """
    alive: dict[tuple[str, int], str] = {}
    killed: set[tuple[str, int]] = set()
    for spec, logs in cases:
        kept = [_keep_telling(spec, log) for log in logs]
        counts: dict[str, int] = {}
        expected: dict[str, list[tuple[object, ...]]] = {}
        for mutant in weaken(spec):
            number = counts.get(mutant.place, 0)
            counts[mutant.place] = number + 1
            key = (mutant.place, number)
            if key in killed:
                continue
            digest = mutant.against.digest
            if digest not in expected:
                expected[digest] = [judge(mutant.against, log) for log in kept]
            if any(
                may_tell(mutant.swap, log) and judge(mutant.spec, log) != right
                for log, right in zip(kept, expected[digest], strict=True)
            ):
                killed.add(key)
                alive.pop(key, None)
            else:
                alive.setdefault(key, mutant.name)
    return len(killed) + len(alive), tuple(sorted(alive.values()))
