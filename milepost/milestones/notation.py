"""The JSON form of milestones, violations, goals and predicates: canonical to write, checked to read.

Reading goes through the same constructors as authoring does, so that a stored rule is checked like a new one.
What has its default is not written, so that older rules keep their bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from milepost.milestones.field_notation import (
    read_entries,
    read_fraction,
    read_list,
    read_test,
    read_word,
    write_test,
)
from milepost.milestones.milestone import Forbid, Goal, Milestone, forbid, milestone
from milepost.milestones.normal_form import write_number
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
)
from milepost.milestones.spec_error import SpecError, at
from milepost.milestones.trust import TRUST_OF_KIND
from milepost.milestones.vocabulary import any_of, judged, when

FLAGS = ("by_agent", "holds", "graded")
"""What is true or false of a milestone."""


def write_milestone(declared: Milestone) -> dict[str, Any]:
    """Give a milestone's JSON object."""
    written: dict[str, Any] = {
        "name": declared.name,
        "reward": write_number(declared.reward),
        "component": declared.component.value,
        "when": write_predicate(declared.when),
        "after": list(declared.after),
    }
    if declared.within_steps is not None:
        written["within_steps"] = declared.within_steps
    return {**written, **{flag: True for flag in FLAGS if getattr(declared, flag)}}


def write_forbidden(declared: Forbid) -> dict[str, Any]:
    """Give a violation's JSON object."""
    return {
        "name": declared.name,
        "when": write_predicate(declared.when),
        "effect": declared.effect.value,
        "cap": write_number(declared.cap),
    }


def write_goal(goal: Goal) -> dict[str, Any]:
    """Give a goal's JSON object."""
    written: dict[str, Any] = {
        "when": write_predicate(goal.when),
        "frame": [write_predicate(allowed) for allowed in goal.frame],
    }
    return {**written, "holds": list(goal.holds)} if goal.holds else written


def write_predicate(predicate: Predicate) -> dict[str, Any]:  # noqa: C901, PLR0911 - one case per predicate
    """Give a predicate's JSON object."""
    match predicate:
        case When(kind=kind, tests=tests):
            return {"when": kind, "tests": {name: write_test(test) for name, test in tests}}
        case And(of=parts):
            return {"all": [write_predicate(part) for part in parts]}
        case Or(of=parts):
            return {"any": [write_predicate(part) for part in parts]}
        case AnyOf(of=parts, least=least):
            return {"any": [write_predicate(part) for part in parts], "least": least}
        case Not(of=part):
            return {"not": write_predicate(part)}
        case Then(first=first, second=second, within=within):
            pair = {"then": [write_predicate(first), write_predicate(second)]}
            return pair if within is None else {**pair, "within_steps": within}
        case Count(of=part, times=times, distinct=distinct):
            counted = {"count": write_predicate(part), "times": times}
            return {**counted, "distinct": distinct} if distinct else counted
        case Until(of=part, end=end):
            return {"until": [write_predicate(part), write_predicate(end)]}
        case UndoneBy(of=part, by=by):
            return {"undone_by": [write_predicate(part), write_predicate(by)]}
        case Judged(question=question):
            return {"judged": question}


def read_milestone(record: object) -> Milestone:
    """Read a milestone back.

    Raises:
        SpecError: not the documented form, or a rule that cannot be meant.
    """
    optional = ("component", "after", "within_steps", *FLAGS)
    entries = read_entries("a milestone", record, ("name", "reward", "when"), optional)
    with at("when"):
        predicate = read_predicate(entries["when"])
    with at("after"):
        after = tuple(read_list("after", entries.get("after", [])))
    return milestone(
        entries["name"],
        reward=read_fraction(entries["reward"]),
        component=entries.get("component", "goal"),
        when=predicate,
        after=after,
        within_steps=entries.get("within_steps"),
        **{flag: entries.get(flag, False) for flag in FLAGS},
    )


def read_forbidden(record: object) -> Forbid:
    """Read a violation back.

    Raises:
        SpecError: not the documented form, or a rule that cannot be meant.
    """
    entries = read_entries("a forbidden rule", record, ("name", "when"), ("until", "effect", "cap"))
    with at("when"):
        predicate = read_predicate(entries["when"])
    with at("until"):
        until = read_predicate(entries["until"]) if "until" in entries else None
    return forbid(
        entries["name"],
        when=predicate,
        until=until,
        effect=entries.get("effect", "veto"),
        cap=read_fraction(entries.get("cap", "0")),
    )


def read_goal(record: object) -> Goal:
    """Read a goal back.

    Raises:
        SpecError: not the documented form, or a rule that cannot be meant.
    """
    entries = read_entries("a goal", record, ("when",), ("frame", "holds"))
    with at("when"):
        predicate = read_predicate(entries["when"])
    with at("frame"):
        frame = tuple(_read_parts("frame", entries.get("frame", [])))
    with at("holds"):
        holds = tuple(read_list("holds", entries.get("holds", [])))
    return Goal(when=predicate, frame=frame, holds=holds)


_WORDS = ("when", "all", "any", "not", "then", "count", "until", "undone_by", "judged")

_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "when": ("tests",),
    "any": ("least",),
    "then": ("within_steps",),
    "count": ("times", "distinct"),
}
"""By word: what may stand beside it."""


def read_predicate(record: object) -> Predicate:
    """Read a predicate back; `{"clicked": {...}}` is short for `{"when": "clicked", "tests": {...}}`.

    Raises:
        SpecError: not the documented form, or a rule that cannot be meant.
    """
    if isinstance(record, Mapping) and len(record) == 1 and (kind := next(iter(record))) in TRUST_OF_KIND:
        return _read_short(kind, record[kind])
    word = read_word("a predicate", record, _WORDS, also=TRUST_OF_KIND)
    entries = read_entries(word, record, (word,), _OPTIONS.get(word, ()))
    match word:
        case "when":
            return _read_when(entries)
        case "count":
            return _read_count(entries)
        case "not":
            with at("not"):
                return Not(of=read_predicate(entries["not"]))
        case "judged":
            return judged(entries["judged"])
        case _:
            with at(word):
                parts = _read_parts(word, entries[word])
                _check_number(word, parts)
            return _combine(word, parts, entries)


def _read_short(kind: str, tests: object) -> When:
    with at(kind):
        read = _read_tests(tests)
    try:
        return when(kind, **read)
    except SpecError as error:
        # `when` counts from the long form: ("tests", name).
        error.path = (kind, *error.path[1:])
        raise


def _read_when(entries: Mapping[str, Any]) -> When:
    kind = entries["when"]
    if not isinstance(kind, str):
        raise SpecError(f"'when' names a kind of event such as 'clicked', got {kind!r}", "when")
    with at("tests"):
        read = _read_tests(entries.get("tests", {}))
    return when(kind, **read)


def _read_tests(tests: object) -> dict[str, Any]:
    read = {}
    for name, test in read_entries("tests", tests).items():
        with at(name):
            read[str(name)] = read_test(test)
    return read


def _read_count(entries: Mapping[str, Any]) -> Count:
    if "times" not in entries:
        raise SpecError(f"count lacks 'times'; it has {sorted(entries)}")
    with at("count"):
        part = read_predicate(entries["count"])
    return Count(of=part, times=entries["times"], distinct=entries.get("distinct", ""))


def _read_parts(what: str, records: object) -> list[Predicate]:
    read = []
    for index, record in enumerate(read_list(what, records)):
        with at(index):
            read.append(read_predicate(record))
    return read


def _check_number(word: str, parts: Sequence[Predicate]) -> None:
    pair = word not in ("all", "any")
    if len(parts) < 2 or (pair and len(parts) > 2):
        raise SpecError(f"{word!r} expects {'two' if pair else 'at least two'} predicates, got {len(parts)}")


def _combine(word: str, parts: Sequence[Predicate], entries: Mapping[str, Any]) -> Predicate:
    match word:
        case "all":
            return And(of=tuple(parts))
        case "any":
            return any_of(entries["least"], *parts) if "least" in entries else Or(of=tuple(parts))
        case "then":
            return Then(first=parts[0], second=parts[1], within=entries.get("within_steps"))
        case "until":
            return Until(of=parts[0], end=parts[1])
        case _:
            return UndoneBy(of=parts[0], by=parts[1])
