"""The JSON form of a spec: canonical to write, checked to read.

Reading goes through the same constructors as authoring does, so that a stored rule is checked like a new one.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from milepost.milestones.milestone import Forbid, Goal, Milestone, forbid, milestone
from milepost.milestones.normal_form import write_number
from milepost.milestones.operators import (
    AtLeast,
    AtMost,
    Eq,
    Fields,
    Matches,
    Number,
    OneOf,
    SpecError,
    Test,
    Text,
    Url,
    at_least,
    at_most,
    eq,
    fields,
    matches,
    number,
    one_of,
    suggest,
    text,
    url,
)
from milepost.milestones.predicates import And, Count, Not, Or, Predicate, Then, When, when


def write_milestone(declared: Milestone) -> dict[str, Any]:
    """Give a milestone's JSON object."""
    return {
        "name": declared.name,
        "reward": write_number(declared.reward),
        "component": declared.component.value,
        "when": write_predicate(declared.when),
        "after": list(declared.after),
    }


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
    return {"when": write_predicate(goal.when), "frame": [write_predicate(allowed) for allowed in goal.frame]}


def write_predicate(predicate: Predicate) -> dict[str, Any]:
    """Give a predicate's JSON object."""
    match predicate:
        case When(kind=kind, tests=tests):
            return {"when": kind, "tests": {name: write_test(test) for name, test in tests}}
        case And(of=parts):
            return {"all": [write_predicate(part) for part in parts]}
        case Or(of=parts):
            return {"any": [write_predicate(part) for part in parts]}
        case Not(of=part):
            return {"not": write_predicate(part)}
        case Then(first=first, second=second):
            return {"then": [write_predicate(first), write_predicate(second)]}
        case Count(of=part, times=times):
            return {"count": write_predicate(part), "times": times}


def write_test(test: Test) -> dict[str, Any]:  # noqa: PLR0911 - one case per test
    """Give a field test's JSON object."""
    match test:
        case Eq(value):
            return {"eq": value}
        case OneOf(values):
            return {"one_of": list(values)}
        case Matches(pattern):
            return {"matches": pattern}
        case Text(wanted):
            return {"text": wanted}
        case Number(amount):
            return {"number": write_number(amount)}
        case AtLeast(amount):
            return {"at_least": write_number(amount)}
        case AtMost(amount):
            return {"at_most": write_number(amount)}
        case Url(address, ignore_query):
            return {"url": address, "ignore_query": ignore_query}
        case Fields(tests):
            return {"fields": {name: write_test(inner) for name, inner in tests}}


def read_milestone(record: object) -> Milestone:
    """Read a milestone back.

    Raises:
        SpecError: not the documented form, or a rule that cannot be meant.
    """
    entries = _entries("a milestone", record, ("name", "reward", "when"), ("component", "after"))
    return milestone(
        entries["name"],
        reward=_fraction(entries["reward"]),
        component=entries.get("component", "goal"),
        when=read_predicate(entries["when"]),
        after=tuple(read_list("after", entries.get("after", []))),
    )


def read_forbidden(record: object) -> Forbid:
    """Read a violation back.

    Raises:
        SpecError: not the documented form, or a rule that cannot be meant.
    """
    entries = _entries("a forbidden rule", record, ("name", "when"), ("effect", "cap"))
    return forbid(
        entries["name"],
        when=read_predicate(entries["when"]),
        effect=entries.get("effect", "veto"),
        cap=_fraction(entries.get("cap", "0")),
    )


def read_goal(record: object) -> Goal:
    """Read a goal back.

    Raises:
        SpecError: not the documented form, or a rule that cannot be meant.
    """
    entries = _entries("a goal", record, ("when",), ("frame",))
    frame = tuple(read_predicate(allowed) for allowed in read_list("frame", entries.get("frame", [])))
    return Goal(when=read_predicate(entries["when"]), frame=frame)


def read_predicate(record: object) -> Predicate:
    """Read a predicate back.

    Raises:
        SpecError: not the documented form, or a rule that cannot be meant.
    """
    word = _word("a predicate", record, ("when", "all", "any", "not", "then", "count"))
    match word:
        case "when":
            entries = _entries(word, record, ("when",), ("tests",))
            if not isinstance(entries["when"], str):
                raise SpecError(f"'when' names a kind of event such as 'clicked', got {entries['when']!r}")
            tests = _entries("tests", entries.get("tests", {}))
            return when(entries["when"], **{name: read_test(test) for name, test in tests.items()})
        case "count":
            entries = _entries(word, record, ("count", "times"))
            return Count(of=read_predicate(entries["count"]), times=entries["times"])
        case "not":
            return Not(of=read_predicate(_entries(word, record, ("not",))["not"]))
        case _:
            return _combine(
                word,
                [read_predicate(part) for part in read_list(word, _entries(word, record, (word,))[word])],
            )


def _combine(word: str, parts: Sequence[Predicate]) -> Predicate:
    if len(parts) < 2 or (word == "then" and len(parts) > 2):
        wanted = "two" if word == "then" else "at least two"
        raise SpecError(f"{word!r} expects {wanted} predicates, got {len(parts)}")
    if word == "then":
        return Then(first=parts[0], second=parts[1])
    return And(of=tuple(parts)) if word == "all" else Or(of=tuple(parts))


_TESTS: Mapping[str, Callable[[Any], Test]] = {
    "eq": eq,
    "matches": matches,
    "text": text,
    "number": lambda value: number(_fraction(value)),
    "at_least": lambda value: at_least(_fraction(value)),
    "at_most": lambda value: at_most(_fraction(value)),
    "one_of": lambda values: one_of(*read_list("one_of", values)),
    "fields": lambda tests: fields(**{n: read_test(t) for n, t in _entries("fields", tests).items()}),
}


def read_test(record: object) -> Test:
    """Read a field test back; a plain value means `eq`.

    Raises:
        SpecError: not the documented form, or a test that cannot be meant.
    """
    if isinstance(record, str | int):
        return eq(record)
    word = _word("a test", record, (*_TESTS, "url"))
    if word == "url":
        entries = _entries(word, record, ("url",), ("ignore_query",))
        return url(entries["url"], ignore_query=bool(entries.get("ignore_query", False)))
    return _TESTS[word](_entries(word, record, (word,))[word])


def _fraction(value: object) -> Any:
    """Turn `1/5`, which only the stored form uses, into a Fraction; leave the rest to the constructor."""
    if isinstance(value, str) and value.count("/") == 1:
        upper, lower = value.split("/")
        if upper.lstrip("-").isdecimal() and lower.isdecimal() and int(lower):
            return Fraction(int(upper), int(lower))
    return value


def _word(what: str, record: object, words: Sequence[str]) -> str:
    """Find the one word that says what a record is."""
    found = [word for word in words if isinstance(record, Mapping) and word in record]
    if len(found) == 1:
        return found[0]
    hint = ""
    if isinstance(record, Mapping) and record and not found:
        hint = f"; {suggest(next(iter(record)), words)}"
    raise SpecError(f"{what} is an object with one of {', '.join(words)}, got {record!r}{hint}")


def _entries(
    what: str, record: object, needed: Sequence[str] = (), allowed: Sequence[str] | None = None
) -> Mapping[str, Any]:
    """Check that a record is an object with the needed keys and, when there is a list of keys, no others."""
    if not isinstance(record, Mapping):
        raise SpecError(f"{what} is an object, got {type(record).__name__} {record!r}")
    missing = [key for key in needed if key not in record]
    if missing:
        raise SpecError(f"{what} lacks {missing[0]!r}; it has {sorted(record)}")
    if needed or allowed is not None:
        known = (*needed, *(allowed or ()))
        for key in record:
            if key not in known:
                raise SpecError(f"{what} has no entry {key!r}; {suggest(key, known)}")
    return record


def read_list(what: str, value: object) -> Sequence[Any]:
    """Check that a value is a list.

    Raises:
        SpecError: it is not.
    """
    if not isinstance(value, list | tuple):
        raise SpecError(f"{what} is a list, got {type(value).__name__} {value!r}")
    return value
